"""What can be asked of a database beyond one statement and its answer."""

import asyncio
import logging
import tracemalloc
from collections.abc import Callable
from contextlib import aclosing, suppress

import pytest

from tests.mysql.network import Network
from tests.mysql.server import MYSQLD, seq
from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware import request_id
from tornado_ext.mysql import (
    CommitUnknown,
    Connection,
    ConnectionLost,
    Database,
    DatabaseError,
    Deadlock,
    DuplicateKey,
    LockTimeout,
    ParameterError,
    ProgrammingError,
    QueryTimeout,
    ReadOnlyServer,
)
from tornado_ext.mysql.queries import Queries
from tornado_ext.testing import MariaDBServer

gen_test = pytest.mark.gen_test

MakeDatabase = Callable[..., Database]

LIMIT = "@@max_execution_time / 1000" if MYSQLD else "@@max_statement_time"  # in seconds


async def numbers(database: Queries) -> list[int]:
    return [row.n for row in await database.fetch_all("SELECT n FROM t ORDER BY n")]


@gen_test
async def test_parameters_may_have_names(db: Database) -> None:
    row = await db.fetch_one("SELECT %(a)s AS a, %(b)s AS b, %(a)s AS c", a=1, b="it's")

    assert row == {"a": 1, "b": "it's", "c": 1}


# Rows as they come -------------------------------------------------------------------------------


@gen_test
async def test_iterate_yields_every_row_and_gives_the_connection_back(db: Database) -> None:
    assert [row.n async for row in db.iterate(f"SELECT seq AS n FROM {seq(1000)}")] == [
        *range(1, 1001)
    ]
    assert [row async for row in db.iterate("SELECT 1 FROM DUAL WHERE %s", 0)] == []
    assert (db.stats().open, db.stats().in_use) == (1, 0)


@gen_test
async def test_iterate_holds_few_rows_however_slow_the_reader(db: Database) -> None:
    tracemalloc.start()
    try:
        async with aclosing(db.iterate(f"SELECT REPEAT('x', 20000) FROM {seq(2000)}")) as rows:
            number = 0
            async for _ in rows:
                number += 1
                if number % 200 == 0:
                    await asyncio.sleep(0.02)  # in which 40 MB would come
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert number == 2000
    assert peak < 6_000_000


@gen_test
async def test_an_iteration_that_is_left_early_gives_its_slot_back(db: Database) -> None:
    async with aclosing(db.iterate(f"SELECT seq AS n FROM {seq(100000)}")) as rows:
        async for row in rows:
            assert row.n == 1
            break

    assert (db.stats().open, db.stats().in_use) == (0, 0)
    assert await db.fetch_value("SELECT 2") == 2


@gen_test
async def test_an_iteration_that_is_cancelled_gives_its_slot_back(db: Database) -> None:
    async def read() -> None:
        async for _ in db.iterate(f"SELECT seq FROM {seq(100000)}"):
            await asyncio.sleep(0)

    task = asyncio.create_task(read())
    while not db.stats().open:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(3):
        while db.stats().in_use:
            await asyncio.sleep(0)

    assert await db.fetch_value("SELECT 2") == 2


@gen_test
async def test_an_exception_that_is_kept_does_not_keep_the_slot_of_its_iteration(
    db: Database,
) -> None:
    async def fail() -> None:
        async for _ in db.iterate(f"SELECT seq FROM {seq(1000)}"):
            raise KeyError

    with pytest.raises(KeyError) as kept:
        await asyncio.create_task(fail())
    await asyncio.sleep(0.01)

    assert (db.stats().in_use, kept.type) == (0, KeyError)


@gen_test
async def test_iterate_is_part_of_the_transaction_and_alone_on_its_connection(
    db: Database,
) -> None:
    await db.execute("CREATE TABLE t (n INT)")

    async with db.transaction() as tx:
        await tx.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)])
        async for row in tx.iterate("SELECT n FROM t"):
            with pytest.raises(ProgrammingError, match="in the middle of a statement"):
                await tx.fetch_value("SELECT 1")
            assert row.n in (1, 2)
        await tx.execute("INSERT INTO t VALUES (3)")

    assert await numbers(db) == [1, 2, 3]


@gen_test
async def test_an_iteration_that_is_left_early_ends_its_transaction(db: Database) -> None:
    await db.execute("CREATE TABLE t (n INT)")

    async def leave(tx: Connection) -> None:
        await tx.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)])
        async with aclosing(tx.iterate("SELECT n FROM t")) as rows:
            async for _ in rows:
                break
        await tx.execute("INSERT INTO t VALUES (3)")

    with pytest.raises(ConnectionLost):
        await db.run_transaction(leave)
    assert await numbers(db) == []


@gen_test
async def test_an_error_of_an_iteration_is_named(db: Database) -> None:
    sql = "SELECT 1 / seq AS n FROM nothing"
    with pytest.raises(ProgrammingError) as raised:
        async for _ in db.iterate(sql):
            pass

    assert (raised.value.errno, raised.value.sql) == (1146, sql)
    assert await db.fetch_value("SELECT 2") == 2


# Many rows ---------------------------------------------------------------------------------------


@gen_test
async def test_executemany_stores_every_row(db: Database) -> None:
    await db.execute("CREATE TABLE t (n INT PRIMARY KEY, name VARCHAR(99))")

    changed = await db.executemany(
        "INSERT INTO t VALUES (%s, %s)", ((n, f"é{n}") for n in range(20_000))
    )

    assert changed == 20_000
    assert await db.fetch_value("SELECT COUNT(*) FROM t WHERE name = CONCAT('é', n)") == 20_000


@pytest.mark.parametrize(
    ("rows", "error"), [([(1,), (2,), (1,)], DuplicateKey), ([(1,), (2, 3)], ParameterError)]
)
@gen_test
async def test_executemany_stores_all_rows_or_none(
    db: Database, rows: list[object], error: type[DatabaseError]
) -> None:
    await db.execute("CREATE TABLE t (n INT PRIMARY KEY)")

    for sql in ("INSERT INTO t VALUES (%s)", "INSERT INTO t SET n = %s"):
        with pytest.raises(error) as raised:
            await db.executemany(sql, rows)
        assert raised.value.sql == sql
        assert await numbers(db) == []


# Time --------------------------------------------------------------------------------------------


@gen_test
async def test_the_server_ends_what_took_too_long(db: Database) -> None:
    with pytest.raises(QueryTimeout):
        await db.fetch_value("SELECT SLEEP(30) /* late */", timeout=0.1)

    async with asyncio.timeout(5):
        while await db.fetch_value(
            "SELECT COUNT(*) FROM information_schema.processlist"
            " WHERE info LIKE %s AND id <> CONNECTION_ID()",
            "%/* late */%",
        ):
            await asyncio.sleep(0.01)


@gen_test
async def test_the_time_limit_of_one_statement_does_not_end_the_next(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.fetch_value("SELECT 1", timeout=0.2)

        assert await tx.fetch_value("SELECT 1 + SLEEP(0.3)") == 1


@gen_test
async def test_the_time_that_the_reader_takes_is_no_wait_of_an_iteration(db: Database) -> None:
    sql = f"SELECT REPEAT('x', 10000) AS text FROM {seq(500)}"  # in several reads
    number = 0
    async for _ in db.iterate(sql, timeout=0.3):
        number += 1
        if number == 1:
            await asyncio.sleep(0.4)

    assert number == 500


@gen_test
async def test_the_time_limit_of_one_statement_does_not_end_an_iteration(
    url: str, make_db: MakeDatabase
) -> None:
    db = make_db(url, max_size=1)
    await db.fetch_value("SELECT 1")
    await db.fetch_value("SELECT 1", timeout=0.25)

    assert len([row async for row in db.iterate(f"SELECT SLEEP(0.1) FROM {seq(4)}")]) == 4


@gen_test
async def test_the_server_is_told_a_limit_when_it_changes(db: Database) -> None:
    async def limit(timeout: float | None) -> float:
        value = await db.fetch_value(f"SELECT {LIMIT}", timeout=timeout)
        return float(value)

    assert [await limit(timeout) for timeout in (None, 0.5, 7, None)] == [10, 0.5, 7, 10]
    assert db.stats().open == 1


@gen_test
async def test_the_server_is_not_told_a_limit_that_it_has(db: Database) -> None:
    async def told() -> int:
        row = await db.fetch_one("SHOW SESSION STATUS LIKE 'Com_set_option'")
        assert row is not None
        return int(row.Value)

    assert await told() == await told()


@gen_test
async def test_a_slow_query_is_logged_with_its_request_but_not_its_parameters(
    url: str, make_db: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    db = make_db(url, slow_query=0.05)
    request_id.set("r-1")

    with caplog.at_level(logging.WARNING):
        await db.fetch_value("SELECT SLEEP(%s)", 0)
        assert caplog.messages == []
        await db.fetch_value("SELECT SLEEP(%s), %s", 0.06, "secret")

    (message,) = caplog.messages
    text, _, sql = message.partition(": ")
    assert sql == "SELECT SLEEP(%s), %s"
    assert text.startswith("slow query, ")
    assert text.endswith(" ms, request r-1")
    assert int(text.split()[2]) >= 60


@gen_test
async def test_slow_statements_for_many_rows_and_slow_iterations_are_logged(
    url: str, make_db: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    db = make_db(url, slow_query=0.05)

    await db.executemany("DO SLEEP(%s)", [(0.06,), (0,)])
    async for _ in db.iterate("SELECT SLEEP(%s)", 0.06):
        pass

    assert [message.rpartition(": ")[2] for message in caplog.messages] == [
        "DO SLEEP(%s)",
        "SELECT SLEEP(%s)",
    ]


@gen_test
async def test_the_time_of_a_slow_reader_makes_no_slow_query(
    url: str, make_db: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    db = make_db(url, slow_query=0.05)

    async for _ in db.iterate("SELECT 1"):
        await asyncio.sleep(0.06)

    assert caplog.messages == []


# Transactions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
@gen_test
async def test_a_transaction_has_the_isolation_that_was_asked_for(
    db: Database, isolation: str
) -> None:
    await db.execute("CREATE TABLE t (n INT)")
    await db.execute("INSERT INTO t VALUES (1)")

    async with db.transaction(isolation=isolation) as tx:
        await tx.fetch_value("SELECT COUNT(*) FROM t")
        with suppress(LockTimeout):  # serializable locks what it read
            async with db.acquire() as other:
                await other.execute("SET innodb_lock_wait_timeout = 0")  # MySQL makes 1 of it
                await other.execute("INSERT INTO t VALUES (2)")
        seen = await tx.fetch_value("SELECT COUNT(*) FROM t")

    stored = await db.fetch_value("SELECT COUNT(*) FROM t")
    expected = {"read committed": (2, 2), "repeatable read": (1, 2), "serializable": (1, 1)}
    assert (seen, stored) == expected[isolation]
    after = await db.fetch_all("SHOW VARIABLES LIKE 't%%_isolation'")
    assert {row.Value for row in after} == {"REPEATABLE-READ"}


@gen_test
async def test_a_read_only_transaction_refuses_changes(db: Database) -> None:
    await db.execute("CREATE TABLE t (n INT)")

    async with db.transaction(read_only=True) as tx:
        with pytest.raises(DatabaseError, match="READ ONLY"):
            await tx.execute("INSERT INTO t VALUES (1)")

    await db.execute("INSERT INTO t VALUES (2)")
    assert await numbers(db) == [2]


@gen_test
async def test_an_isolation_that_is_none_is_refused(db: Database) -> None:
    with pytest.raises(ConfigurationError, match="isolation='chaos'"):
        async with db.transaction(isolation="chaos"):
            pass
    async with db.transaction() as tx:
        with pytest.raises(ProgrammingError, match="outermost"):
            async with tx.transaction(isolation="serializable"):
                pass


@gen_test
async def test_a_transaction_is_run_again_after_a_deadlock(db: Database) -> None:
    await db.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    await db.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
    both_began = asyncio.Barrier(2)
    runs = 0

    async def cross(first: int, second: int) -> int:
        met = False

        async def unit(tx: Connection) -> int:
            nonlocal met, runs
            runs += 1
            await tx.execute("UPDATE t SET n = n + 1 WHERE id = %s", first)
            if not met:
                met = True
                await both_began.wait()
            await tx.execute("UPDATE t SET n = n + 1 WHERE id = %s", second)
            return first

        return await db.run_transaction(unit)

    assert await asyncio.gather(cross(1, 2), cross(2, 1)) == [1, 2]
    assert runs == 3
    assert [row.n for row in await db.fetch_all("SELECT n FROM t")] == [2, 2]


@pytest.mark.parametrize("error", [Deadlock, LockTimeout, DuplicateKey])
@gen_test
async def test_a_transaction_is_run_again_so_often_and_for_no_other_error(
    db: Database, error: type[DatabaseError]
) -> None:
    runs = 0

    async def unit(_: Connection) -> None:
        nonlocal runs
        runs += 1
        raise error("again and again")

    with pytest.raises(error):
        await db.run_transaction(unit, retries=1)

    assert runs == (1 if error is DuplicateKey else 2)
    assert (db.stats().open, db.stats().in_use) == (1, 0)


@pytest.mark.parametrize("retries", [0, 1])
@gen_test
async def test_what_is_run_in_a_transaction_has_the_isolation_that_was_asked_for(
    db: Database, retries: int
) -> None:
    await db.execute("CREATE TABLE t (n INT)")

    async with db.transaction() as tx:
        await tx.execute("INSERT INTO t VALUES (1)")
        seen = await db.run_transaction(numbers, retries=retries, isolation="read uncommitted")

    assert seen == [1]


@gen_test
async def test_a_transaction_is_run_again_after_a_pause_that_holds_no_connection(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado_ext.mysql.database.RETRY_PAUSE", 10_000)  # seconds, at most
    began = asyncio.Event()

    async def unit(_: Connection) -> None:
        assert not began.is_set()
        began.set()
        raise Deadlock("again")

    running = asyncio.create_task(db.run_transaction(unit))
    await began.wait()
    async with asyncio.timeout(3):
        while db.stats().in_use:
            await asyncio.sleep(0.01)

    assert await db.fetch_value("SELECT 1") == 1
    assert not running.done()
    running.cancel()


@gen_test
async def test_a_commit_whose_answer_was_lost_is_unknown(
    url: str, db: Database, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    await db.execute("CREATE TABLE t (n INT)")
    async with Network(mariadb_server.port) as network:
        database = make_db(network.url(url), timeout=0.3)

        async def commit() -> None:
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO t VALUES (1)")
                network.deaf = True

        with pytest.raises(CommitUnknown):
            await commit()
        await database.close()

    async with asyncio.timeout(5):
        while await numbers(db) != [1]:  # here it was done
            await asyncio.sleep(0.01)


@gen_test
async def test_a_connection_that_breaks_before_the_commit_is_no_unknown_commit(
    db: Database,
) -> None:
    await db.execute("CREATE TABLE t (n INT)")

    async def break_it() -> None:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            own = await tx.fetch_value("SELECT CONNECTION_ID()")
            await db.execute(f"KILL CONNECTION {own}")
            with pytest.raises(ConnectionLost):
                await tx.fetch_value("SELECT 1")

    with pytest.raises(ConnectionLost) as raised:
        await break_it()

    assert not isinstance(raised.value, CommitUnknown)
    assert await numbers(db) == []


@gen_test
async def test_a_connection_that_breaks_in_a_savepoint_is_no_unknown_commit(db: Database) -> None:
    await db.execute("CREATE TABLE t (n INT)")

    async def break_it() -> None:
        async with db.transaction() as tx, tx.transaction():
            await tx.execute("INSERT INTO t VALUES (1)")
            own = await tx.fetch_value("SELECT CONNECTION_ID()")
            await db.execute(f"KILL CONNECTION {own}")

    with pytest.raises(ConnectionLost) as raised:
        await break_it()

    assert not isinstance(raised.value, CommitUnknown)
    assert await numbers(db) == []


# Servers that changed ----------------------------------------------------------------------------


@gen_test
async def test_a_read_only_server_is_named_and_the_connection_dropped(
    url: str, db: Database, mariadb_server: MariaDBServer, make_db: MakeDatabase
) -> None:
    name = url.rpartition("/")[2]
    await db.execute("CREATE TABLE t (n INT)")
    mariadb_server.query("CREATE USER IF NOT EXISTS plain IDENTIFIED BY 'p'")
    mariadb_server.query(f"GRANT INSERT, SELECT ON `{name}`.* TO plain")
    scheme = url.partition(":")[0]
    plain = make_db(f"{scheme}://plain:p@127.0.0.1:{mariadb_server.port}/{name}")
    mariadb_server.query("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(ReadOnlyServer):
            await plain.execute("INSERT INTO t VALUES (1)")
    finally:
        mariadb_server.query("SET GLOBAL read_only = 0")

    assert plain.stats().open == 0
    assert (await plain.execute("INSERT INTO t VALUES (1)")).rowcount == 1
