"""What every driver must do: the same values, errors and guarantees whichever library speaks."""

import asyncio
import gc
import random
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler

from tests.mysql.server import MYSQLD, seq
from tornado_ext.errors import Unavailable
from tornado_ext.mysql import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    Database,
    DatabaseError,
    DataError,
    DataTooLong,
    Deadlock,
    DuplicateKey,
    ForeignKeyViolation,
    IntegrityError,
    LockTimeout,
    NotNullViolation,
    ProgrammingError,
    QueryTimeout,
)
from tornado_ext.testing import MariaDBServer

gen_test = pytest.mark.gen_test

MakeDatabase = Callable[..., Database]

PACKET = 2**24 - 1  # bytes, the most that one holds
LIBRARY = {"mysql": "asyncmy.connection", "mysql+tornado": "tornado_mysql.connections"}


@gen_test
async def test_the_library_of_the_scheme_speaks(db: Database, scheme: str) -> None:
    async with db.acquire() as connection:
        modules = {kind.__module__ for kind in type(connection.driver_connection).__mro__}

    assert modules & set(LIBRARY.values()) == {LIBRARY[scheme]}


@gen_test
async def test_a_connection_is_utf8_and_commits_by_itself(db: Database) -> None:
    row = await db.fetch_one(
        "SELECT @@character_set_client, @@character_set_connection, @@character_set_results,"
        " @@autocommit"
    )

    assert row is not None
    assert list(row.values()) == ["utf8mb4", "utf8mb4", "utf8mb4", 1]


# Values ------------------------------------------------------------------------------------------

COLUMNS: list[tuple[str, object, object]] = [  # ...: as it was sent
    ("TINYINT", -128, ...),
    ("BOOL", True, 1),
    ("BIGINT UNSIGNED", 2**64 - 1, ...),
    ("DOUBLE", 0.1 + 0.2, ...),
    ("DOUBLE", 1.7976931348623157e308, ...),
    ("DOUBLE", 5e-324, ...),
    ("DECIMAL(65, 30)", Decimal("-1.000000000000000000000000000001"), ...),
    ("YEAR", 2024, ...),
    ("BIT(10)", 5, b"\x00\x05"),
    ("VARCHAR(50)", "naïve 😀 'quoted' \\ \0", ...),
    ("TEXT", "", ...),
    ("VARCHAR(50) CHARACTER SET latin1", "é", ...),
    ("VARBINARY(50)", b"\x00\xff'\\", ...),
    ("BLOB", bytearray(range(256)), bytes(range(256))),
    ("GEOMETRY", b"\0\0\0\0\1\1" + bytes(19), ...),
    ("JSON", '{"a": "\\\\é"}', ...),
    ("ENUM('it''s', 'b')", "it's", ...),
    ("SET('a', 'b')", "a,b", ...),
    ("DATE", date(1, 1, 1), ...),
    ("DATETIME", datetime(2024, 2, 29, 23, 59, 59), ...),
    ("DATETIME(6)", datetime(9999, 12, 31, 23, 59, 59, 999999), ...),
    ("DATETIME(3)", datetime(2024, 1, 1, 0, 0, 0, 7000), ...),
    ("DATETIME", datetime(2024, 1, 1, 12, tzinfo=UTC), datetime(2024, 1, 1, 12)),
    ("TIMESTAMP NULL", datetime(2024, 1, 1, 12), ...),
    ("TIME(6)", -timedelta(hours=838, minutes=59, seconds=58, microseconds=1), ...),
    ("TIME", timedelta(hours=100), ...),
    ("TIME(6)", timedelta(microseconds=1), ...),
    ("INT", None, ...),
    ("VARCHAR(10)", None, ...),
]


@gen_test
async def test_a_value_comes_back_as_it_was_stored(db: Database) -> None:
    names = [f"c{number}" for number in range(len(COLUMNS))]
    kinds = [kind for kind, _, _ in COLUMNS]
    columns = ", ".join(map("{} {}".format, names, kinds))
    marks = ", ".join(["%s"] * len(COLUMNS))
    await db.execute(f"CREATE TABLE t ({columns})")
    await db.execute(f"INSERT INTO t VALUES ({marks})", *(sent for _, sent, _ in COLUMNS))

    row = await db.fetch_one("SELECT * FROM t")

    assert row is not None
    for name, (kind, sent, expected) in zip(names, COLUMNS, strict=True):
        expected = sent if expected is ... else expected
        assert (kind, row[name], type(row[name])) == (kind, expected, type(expected))


@gen_test
async def test_dates_that_python_cannot_hold_come_as_text(db: Database) -> None:
    async with db.acquire() as connection:
        await connection.execute("SET sql_mode = ''")
        await connection.execute("CREATE TABLE z (d DATE, t DATETIME)")
        await connection.execute("INSERT INTO z VALUES ('0000-00-00', '2024-00-00 00:00:00')")
    row = await db.fetch_one("SELECT d, t FROM z")

    assert row == {"d": "0000-00-00", "t": "2024-00-00 00:00:00"}


@gen_test
async def test_a_statement_of_several_packets_comes_through(db: Database) -> None:
    text = "é" * 2**21  # 4 MiB, in hexadecimal 8

    assert await db.fetch_value("SELECT %s", text) == text


@pytest.mark.gen_test(timeout=30)  # it moves 100 MB
async def test_a_value_longer_than_a_packet_comes_through(
    db: Database, url: str, make_db: MakeDatabase
) -> None:
    await db.execute("SET GLOBAL max_allowed_packet = 67108864")
    later = make_db(url, max_size=1)
    try:
        for length in (PACKET - 4, PACKET + 1, 2 * PACKET + 2):  # the first fills one to the brim
            rows = await later.fetch_all("SELECT REPEAT('a', %s) v UNION ALL SELECT 'b'", length)

            assert [len(row.v) for row in rows] == [length, 1]
            assert await later.fetch_value("SELECT 1") == 1
    finally:
        await db.execute("SET GLOBAL max_allowed_packet = DEFAULT")


@gen_test
async def test_a_connection_does_not_hold_the_rows_that_it_returned(db: Database) -> None:
    async with db.acquire() as connection:
        await connection.fetch_value("SELECT 1")
        tracemalloc.start()
        try:
            assert len(await connection.fetch_all(f"SELECT REPEAT('x', 9999) FROM {seq(500)}"))
            for _ in range(3):  # in which Tornado-MySQL's futures end
                await asyncio.sleep(0)
            gc.collect()
            held, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak > 5_000_000 > 5 * held


# Queries -----------------------------------------------------------------------------------------


@gen_test
async def test_execute_tells_rows_changed_and_the_new_id(db: Database) -> None:
    await db.execute("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)")

    inserted = await db.execute("INSERT INTO t (n) VALUES (1), (2), (3)")
    updated = await db.execute("UPDATE t SET n = 0 WHERE n > %s", 1)

    assert (inserted.rowcount, inserted.lastrowid) == (3, 1)
    assert (updated.rowcount, updated.lastrowid) == (2, 0)


@gen_test
async def test_fetch_returns_rows_a_row_a_value_or_none(db: Database) -> None:
    await db.execute("CREATE TABLE t (id INT, name VARCHAR(10))")
    await db.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")

    assert await db.fetch_all("SELECT * FROM t ORDER BY id") == [
        {"id": 1, "name": "a"},
        {"id": 2, "name": "b"},
    ]
    assert await db.fetch_one("SELECT * FROM t ORDER BY id") == {"id": 1, "name": "a"}
    assert await db.fetch_value("SELECT COUNT(*) FROM t") == 2
    assert await db.fetch_all("SELECT * FROM t WHERE id = 3") == []
    assert await db.fetch_one("SELECT * FROM t WHERE id = 3") is None
    assert await db.fetch_value("SELECT id FROM t WHERE id = 3") is None


@gen_test
async def test_the_servers_warnings_stay_with_the_server(db: Database) -> None:
    await db.execute("DROP TABLE IF EXISTS nothing")  # pytest would raise a Python warning


@gen_test
async def test_a_procedure_returns_its_first_rows_and_leaves_none_behind(db: Database) -> None:
    await db.execute("CREATE PROCEDURE p() BEGIN SELECT 1 AS a; SELECT 2 AS b; END")

    assert await db.fetch_all("CALL p()") == [{"a": 1}]
    assert await db.fetch_value("SELECT 3") == 3


@gen_test
async def test_one_call_is_one_statement(db: Database) -> None:
    await db.execute("CREATE TABLE t (n INT)")

    with pytest.raises(ProgrammingError):
        await db.execute("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)")

    assert await db.fetch_value("SELECT COUNT(*) FROM t") == 0


@gen_test
async def test_the_server_cannot_be_made_to_ask_for_a_file(db: Database) -> None:
    await db.execute("CREATE TABLE t (line TEXT)")

    with pytest.raises(DatabaseError, match=r"local (infile|data)"):
        await db.execute("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t")


HANDSHAKE = (  # protocol 10, version, thread, salt, capabilities, collation, status, salt, plugin
    b"\x0a10.11.0-MariaDB\0"
    + (bytes(4) + b"saltsalt\0" + b"\xff\xf7\x2d\x02\0\x08\0\x15" + bytes(10))
    + b"saltsaltsalt\0mysql_native_password\0"
)
OK, FILE_PLEASE = b"\0\0\0\x02\0\0\0", b"\xfb/etc/hostname"
TOO_LARGE = b"\xff\x81\x04#08S01Got a packet bigger than 'max_allowed_packet' bytes"


@asynccontextmanager
async def server_that_says(*answers: bytes) -> AsyncIterator[tuple[str, asyncio.Future[bytes]]]:
    """Play a server that answers a login and then each statement; yield where, and what it hears.

    That is what comes after the last answer.
    """
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, payload in ((0, HANDSHAKE), (2, OK), *((1, answer) for answer in answers)):
            if number:
                await reader.read(2**16)
            writer.write(struct.pack("<I", len(payload) | number << 24) + payload)
        heard.set_result(await reader.read())
        writer.close()

    async with await asyncio.start_server(play, "127.0.0.1", 0) as server:
        yield f"u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/d", heard


@gen_test
async def test_a_server_that_asks_for_a_file_by_itself_gets_nothing(
    scheme: str, make_db: MakeDatabase
) -> None:
    async with server_that_says(FILE_PLEASE) as (address, heard):
        with pytest.raises(ConnectFailed, match=r"LOAD.*LOCAL"):
            await make_db(f"{scheme}://{address}").fetch_value("SELECT 1")

        assert await heard == b""


# Errors ------------------------------------------------------------------------------------------

CHECK, SLOW = "INSERT INTO t VALUES (-1, 'b', 1)", "SELECT SLEEP(9) FROM t"
MYSQL_MISTAKES: list[tuple[str, type[DatabaseError], int, str]] = [
    (CHECK, IntegrityError, 3819, "HY000"),
    (f"{SLOW.replace(' ', ' /*+ MAX_EXECUTION_TIME(10) */ ', 1)}", QueryTimeout, 3024, "HY000"),
]
MARIADB_MISTAKES: list[tuple[str, type[DatabaseError], int, str]] = [
    (CHECK, IntegrityError, 4025, "23000"),
    (f"SET STATEMENT max_statement_time=0.01 FOR {SLOW}", QueryTimeout, 1969, "70100"),
]
MISTAKES: list[tuple[str, type[DatabaseError], int, str]] = [
    ("INSERT INTO t VALUES (1, 'a', 1)", DuplicateKey, 1062, "23000"),
    ("INSERT INTO t VALUES (2, 'b', 9)", ForeignKeyViolation, 1452, "23000"),
    ("DELETE FROM parent", ForeignKeyViolation, 1451, "23000"),
    ("INSERT INTO t VALUES (2, NULL, 1)", NotNullViolation, 1048, "23000"),
    ("INSERT INTO t (id) VALUES (2)", NotNullViolation, 1364, "HY000"),
    ("INSERT INTO t VALUES (2, 'too long', 1)", DataTooLong, 1406, "22001"),
    ("INSERT INTO t VALUES (99999999999, 'b', 1)", DataError, 1264, "22003"),
    ("INSERT INTO t VALUES ('x', 'b', 1)", DataError, 1366, "HY000" if MYSQLD else "22007"),
    ("SELEC 1", ProgrammingError, 1064, "42000"),
    ("SELECT * FROM nothing", ProgrammingError, 1146, "42S02"),
    ("SELECT nothing FROM t", ProgrammingError, 1054, "42S22"),
    ("SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO=65000", DatabaseError, 65000, "45000"),
    *(MYSQL_MISTAKES if MYSQLD else MARIADB_MISTAKES),
]


@gen_test
async def test_an_error_has_a_class_by_its_meaning(db: Database) -> None:
    await db.execute("CREATE TABLE parent (id INT PRIMARY KEY)")
    await db.execute(
        "CREATE TABLE t (id INT PRIMARY KEY CHECK (id > 0), name CHAR(3) NOT NULL,"
        " parent INT, FOREIGN KEY (parent) REFERENCES parent (id))"
    )
    await db.execute("INSERT INTO parent VALUES (1)")
    await db.execute("INSERT INTO t VALUES (1, 'a', 1)")

    for sql, kind, errno, sqlstate in MISTAKES:
        with pytest.raises(DatabaseError) as raised:
            await db.execute(sql)
        exc = raised.value
        assert (type(exc), exc.errno, exc.sqlstate, exc.sql) == (kind, errno, sqlstate, sql)
    assert db.stats().open == 1  # none of them cost the connection


@gen_test
async def test_an_error_has_the_sql_without_its_parameters(db: Database) -> None:
    with pytest.raises(ProgrammingError) as raised:
        await db.execute("SELECT %s FROM nothing", "secret")

    assert raised.value.sql == "SELECT %s FROM nothing"
    assert "secret" not in str(raised.value)


@gen_test
async def test_a_duplicate_key_is_named(db: Database) -> None:
    await db.execute("CREATE TABLE t (email VARCHAR(99), UNIQUE KEY by_email (email))")
    await db.execute("INSERT INTO t VALUES (%s)", "it's for key 'x'")

    with pytest.raises(DuplicateKey) as raised:
        await db.execute("INSERT INTO t VALUES (%s)", "it's for key 'x'")

    assert raised.value.key == "by_email"


@gen_test
async def test_a_lock_that_is_not_given_up_is_a_lock_timeout(db: Database) -> None:
    await db.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    await db.execute("INSERT INTO t VALUES (1, 0)")

    async with db.transaction() as tx:
        await tx.execute("UPDATE t SET n = 1")
        with pytest.raises(LockTimeout):
            await db.fetch_all("SELECT * FROM t WHERE id = 1 FOR UPDATE NOWAIT")


@gen_test
async def test_a_statement_longer_than_the_server_takes_is_refused_by_name(
    db: Database, url: str, make_db: MakeDatabase
) -> None:
    await db.execute("SET GLOBAL max_allowed_packet = 1048576")
    later = make_db(url)
    try:
        # Which of them depends on whether the server closes before it was told everything.
        with pytest.raises((DataTooLong, ConnectionLost)):
            await later.fetch_value("SELECT LENGTH(%s)", "x" * 2**21)
    finally:
        await db.execute("SET GLOBAL max_allowed_packet = DEFAULT")

    assert await later.fetch_value("SELECT 1") == 1


@gen_test
async def test_a_server_is_not_asked_for_more_after_a_statement_that_it_found_too_long(
    scheme: str, make_db: MakeDatabase
) -> None:
    async with server_that_says(OK, OK, TOO_LARGE) as (address, heard):
        with pytest.raises(DataTooLong):
            await make_db(f"{scheme}://{address}").fetch_value("SELECT 1")

        assert await heard == b""  # it hangs up after this error


# Connections -------------------------------------------------------------------------------------


@gen_test
async def test_a_killed_connection_is_named_and_replaced(db: Database) -> None:
    async with db.acquire() as connection:
        own = await connection.fetch_value("SELECT CONNECTION_ID()")
        sleeping = asyncio.ensure_future(connection.fetch_value("SELECT SLEEP(30)"))
        await asyncio.sleep(0)
        await db.execute(f"KILL CONNECTION {own}")
        with pytest.raises(ConnectionLost):
            await sleeping

    assert await db.fetch_value("SELECT 1") == 1


@gen_test
async def test_cancelled_and_late_statements_give_nobody_anothers_answer(db: Database) -> None:
    chance = random.Random(7)
    await db.fetch_value("SELECT 1")

    async def ask(number: int) -> bool:
        try:
            timeout = 0.001 if number % 7 == 0 else 10
            pause = chance.choice([0, 0.002])
            answer = await db.fetch_value("SELECT %s + SLEEP(%s)", number, pause, timeout=timeout)
        except Unavailable:
            return False
        assert answer == number
        return True

    tasks = [asyncio.create_task(ask(number)) for number in range(200)]
    for task in tasks[::3]:
        await asyncio.sleep(0.001)
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert not [result for result in results if isinstance(result, Exception)]
    assert results.count(True) > 50
    assert (db.stats().in_use, db.stats().waiting) == (0, 0)


@gen_test
async def test_a_wrong_password_is_named_and_does_not_appear(
    url: str, make_db: MakeDatabase
) -> None:
    with pytest.raises(AuthenticationFailed) as raised:
        await make_db(url.replace("tester:", "tester:wrong")).fetch_value("SELECT 1")

    assert "wrong" not in str(raised.value)
    assert not isinstance(raised.value, Unavailable)


@gen_test
async def test_an_account_with_another_way_to_log_in_is_named(
    url: str, mariadb_server: MariaDBServer, make_db: MakeDatabase
) -> None:
    if MYSQLD:
        mariadb_server.query("INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'")
    way = "auth_socket" if MYSQLD else "unix_socket"
    mariadb_server.query(f"CREATE USER IF NOT EXISTS nobody IDENTIFIED WITH {way}")
    at = url.index("://") + 3

    with pytest.raises(AuthenticationFailed):
        await make_db(url[:at] + "nobody:p" + url[url.index("@") :]).fetch_value("SELECT 1")


@gen_test
async def test_an_unknown_database_is_named(url: str, make_db: MakeDatabase) -> None:
    with pytest.raises(ProgrammingError, match="Unknown database 'nowhere'"):
        await make_db(url.rpartition("/")[0] + "/nowhere").fetch_value("SELECT 1")


@gen_test
async def test_a_password_of_any_characters_logs_in(
    mysql_url: str, mariadb_server: MariaDBServer, scheme: str, make_db: MakeDatabase
) -> None:
    password = "p@:/?#[]%ß€"
    mariadb_server.query(f"CREATE USER IF NOT EXISTS odd IDENTIFIED BY '{password}'")
    mariadb_server.query("GRANT ALL ON *.* TO odd")
    name = mysql_url.rpartition("/")[2]
    url = f"{scheme}://odd:{quote(password, safe='')}@127.0.0.1:{mariadb_server.port}/{name}"

    assert await make_db(url).fetch_value("SELECT CURRENT_USER()") == "odd@%"


class Hello(RequestHandler):
    def get(self) -> None:
        self.write("hello")


@pytest.fixture
def app() -> Application:
    """What `http_client` talks to."""
    return Application([("/", Hello)])


@gen_test
async def test_a_failed_login_leaves_the_next_http_connection_alone(
    url: str, make_db: MakeDatabase, http_client: AsyncHTTPClient, base_url: str
) -> None:
    # The file descriptor of the failed login is the next that is given out.
    for _ in range(3):
        with pytest.raises(AuthenticationFailed):
            await make_db(url.replace("tester:", "tester:wrong")).fetch_value("SELECT 1")
        response = await http_client.fetch(base_url)

        assert response.body == b"hello"


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 4096])
def test_a_server_that_talks_nonsense_or_not_at_all_is_a_failed_connect(
    answer: bytes | None,
    scheme: str,
    make_db: MakeDatabase,
    scripted: Callable[..., str],
    io_loop: IOLoop,
) -> None:
    database = make_db(f"{scheme}://u:p@{scripted(answer)}/d", connect_timeout=0.3)

    with pytest.raises(ConnectFailed):
        io_loop.run_sync(lambda: database.fetch_value("SELECT 1"), timeout=5)


# Transactions ------------------------------------------------------------------------------------


async def count(database: Database) -> int:
    return int(await database.fetch_value("SELECT COUNT(*) FROM t"))


@gen_test
async def test_a_transaction_commits_at_the_end_of_its_block(db: Database) -> None:
    await db.execute("CREATE TABLE t (n INT)")

    async with db.transaction() as tx:
        await tx.execute("INSERT INTO t VALUES (1)")
        assert await count(db) == 0

    assert await count(db) == 1


@gen_test
async def test_an_exception_rolls_the_transaction_back(db: Database) -> None:
    await db.execute("CREATE TABLE t (n INT)")

    async def fail() -> None:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()

    assert await count(db) == 0
    assert db.stats().open == 1  # the connection is kept


@pytest.mark.parametrize("where", ["in a statement", "between statements"])
@gen_test
async def test_a_cancellation_rolls_the_transaction_back(db: Database, where: str) -> None:
    await db.execute("CREATE TABLE t (n INT)")
    inserted = asyncio.Event()

    async def work() -> None:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            inserted.set()
            await (tx.execute("DO SLEEP(0.1)") if where == "in a statement" else asyncio.sleep(30))

    task = asyncio.create_task(work())
    await inserted.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await db.execute("LOCK TABLES t WRITE")  # waits for the end of the transaction
    assert await count(db) == 0
    assert db.stats().in_use == 0


@gen_test
async def test_a_nested_transaction_is_undone_alone(db: Database) -> None:
    await db.execute("CREATE TABLE t (n INT)")

    async with db.transaction() as tx:
        await tx.execute("INSERT INTO t VALUES (1)")
        with suppress(KeyError):
            async with tx.transaction():
                await tx.execute("INSERT INTO t VALUES (2)")
                raise KeyError
        async with tx.transaction():
            await tx.execute("INSERT INTO t VALUES (3)")

    assert [row.n for row in await db.fetch_all("SELECT n FROM t ORDER BY n")] == [1, 3]


@gen_test
async def test_nothing_is_executed_after_a_deadlock_took_the_transaction(db: Database) -> None:
    await db.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    await db.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
    both_began = asyncio.Barrier(2)

    async def cross(first: int, second: int) -> None:
        async with db.transaction() as tx:
            await tx.execute("UPDATE t SET n = n + 1 WHERE id = %s", first)
            await both_began.wait()
            try:
                async with tx.transaction():
                    await tx.execute("UPDATE t SET n = n + 1 WHERE id = %s", second)
            except Deadlock:
                with pytest.raises(Deadlock):  # it would be committed at once, by itself
                    await tx.execute("UPDATE t SET n = 100")
            # and the block that swallowed the error can't commit

    results = await asyncio.gather(cross(1, 2), cross(2, 1), return_exceptions=True)

    assert [type(result) for result in results if result] == [Deadlock]
    assert [row.n for row in await db.fetch_all("SELECT n FROM t")] == [1, 1]
    assert await db.fetch_value("SELECT COUNT(*) FROM t FOR UPDATE") == 2  # no lock is left


@pytest.mark.skipif(MYSQLD is not None, reason="innodb_snapshot_isolation is MariaDB's")
@gen_test
async def test_nothing_is_executed_after_a_conflict_ended_the_transaction(db: Database) -> None:
    await db.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    await db.execute("INSERT INTO t VALUES (1, 0)")

    async def conflict() -> None:
        async with db.transaction() as tx:
            await tx.execute("SET innodb_snapshot_isolation = ON")
            await tx.execute("INSERT INTO t SELECT 2, 0")
            await tx.fetch_all("SELECT * FROM t")
            await db.execute("UPDATE t SET n = 10 WHERE id = 1")
            with pytest.raises(Deadlock, match="1020"):
                await tx.execute("UPDATE t SET n = n + 1 WHERE id = 1")
            await tx.execute("INSERT INTO t VALUES (3, 0)")

    with pytest.raises(Deadlock, match="an error ended the transaction"):
        await conflict()

    assert [(row.id, row.n) for row in await db.fetch_all("SELECT * FROM t")] == [(1, 10)]


@gen_test
async def test_nothing_is_executed_after_any_error_that_ended_the_transaction(
    db: Database,
) -> None:
    await db.execute("CREATE TABLE t (n INT)")
    # As 1205 is with innodb_rollback_on_timeout, a setting of the server.
    error = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205"
    await db.execute(f"CREATE PROCEDURE p() BEGIN ROLLBACK; {error}; END")

    async def fail() -> None:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(LockTimeout):
                await tx.execute("CALL p()")
            await tx.execute("INSERT INTO t VALUES (2)")

    with pytest.raises(Deadlock, match="an error ended the transaction"):
        await fail()

    assert await count(db) == 0


@gen_test
async def test_an_error_that_undoes_its_statement_alone_leaves_the_transaction(
    db: Database,
) -> None:
    await db.execute("CREATE TABLE t (id INT PRIMARY KEY)")

    async with db.transaction() as tx:
        await tx.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(DuplicateKey):
            await tx.execute("INSERT INTO t VALUES (1)")
        # Asking for the status, as is done after an error, costs the warnings on MySQL alone.
        assert len(await tx.fetch_all("SHOW WARNINGS")) == (0 if MYSQLD else 1)
        await tx.execute("INSERT INTO t VALUES (2)")

    assert await count(db) == 2


async def make_procedure(database: Database, last: str) -> None:
    """Make one that begins a transaction, and does something last."""
    await database.execute("CREATE TABLE t (n INT)")
    await database.execute(
        f"CREATE PROCEDURE p() BEGIN START TRANSACTION; INSERT INTO t VALUES (1); {last}; END"
    )


@pytest.mark.parametrize(
    ("sql", "last"),
    [
        ("START TRANSACTION", "DO 0"),
        ("SET autocommit = 0", "DO 0"),
        ("CALL p()", "DO 0"),
        ("CALL p()", "SELECT 1"),
    ],
)
@gen_test
async def test_a_transaction_that_one_statement_leaves_open_is_refused_and_undone(
    url: str, make_db: MakeDatabase, sql: str, last: str, caplog: pytest.LogCaptureFixture
) -> None:
    db = make_db(url, max_size=1)
    await make_procedure(db, last)

    with pytest.raises(ProgrammingError, match=r"use transaction\(\) or acquire\(\)"):
        await db.execute(sql)
    await db.execute("INSERT INTO t VALUES (2)")
    await db.close()

    assert [row.n for row in await make_db(url).fetch_all("SELECT n FROM t")] == [2]
    assert "left a transaction open" in caplog.text


@gen_test
async def test_a_transaction_that_a_failed_statement_leaves_open_is_undone(
    url: str, make_db: MakeDatabase
) -> None:
    db = make_db(url, max_size=1)
    await make_procedure(db, "SELECT nothing")

    with pytest.raises(ProgrammingError, match="nothing"):
        await db.execute("CALL p()")
    await db.execute("INSERT INTO t VALUES (2)")
    await db.close()

    assert [row.n for row in await make_db(url).fetch_all("SELECT n FROM t")] == [2]


@gen_test
async def test_two_tasks_on_one_connection_are_told_so(db: Database) -> None:
    async with db.acquire() as connection:
        first = asyncio.create_task(connection.fetch_value("SELECT 1 + SLEEP(0.05)"))
        await asyncio.sleep(0)
        with pytest.raises(ProgrammingError, match="another task"):
            await connection.fetch_value("SELECT 2")

        assert await first == 1


@gen_test
async def test_a_connection_is_dead_after_its_block(db: Database) -> None:
    async with db.transaction() as tx:
        pass

    with pytest.raises(ProgrammingError, match="after its block"):
        await tx.execute("SELECT 1")


@pytest.mark.parametrize("autocommit", [0, 1])
@gen_test
async def test_nothing_of_a_borrower_reaches_the_next(db: Database, autocommit: int) -> None:
    await db.execute("CREATE TABLE t (n INT)")
    async with db.acquire() as connection:
        await connection.execute("SET @secret = 1, sql_mode = 'ANSI_QUOTES'")
        await connection.execute("SET autocommit = %s", autocommit)
        await connection.execute("INSERT INTO t VALUES (1)")

    row = await db.fetch_one("SELECT @secret, @@autocommit, @@sql_mode = @@global.sql_mode")

    assert row is not None
    assert list(row.values()) == [None, 1, 1]
    assert await count(db) == autocommit
