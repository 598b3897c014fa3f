"""After cancellations, dead servers, bad networks: no slot is lost and no answer is another's."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from tests.mysql.network import Network
from tests.mysql.server import seq
from tornado_ext.errors import Unavailable
from tornado_ext.mysql import ConnectFailed, ConnectionLost, Database, DatabaseError, QueryTimeout
from tornado_ext.testing import MariaDBServer

gen_test = pytest.mark.gen_test(timeout=600)

MakeDatabase = Callable[..., Database]

QUERIES = int(os.environ.get("MYSQL_TEST_QUERIES", "1000"))  # for the long form, 10000
FREEZE = float(os.environ.get("MYSQL_TEST_FREEZE", "0.5"))  # seconds; for the long form, 5
TASKS, SIZE = 64, 8
RECOVERY = 1.0  # seconds after the server's return


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def nothing_lost(database: Database) -> AsyncIterator[None]:
    """See that the block costs neither a slot nor a file descriptor."""
    await database.fetch_value("SELECT 1")
    opened = database.stats().open
    files = open_files()
    yield
    assert (database.stats().in_use, database.stats().waiting) == (0, 0)
    for _ in range(3):
        await asyncio.sleep(0)
    assert open_files() - files == database.stats().open - opened


async def ask(database: Database, nonce: int, pause: float = 0) -> None:
    """Send a query that only its own answer can answer."""
    answer = await database.fetch_value("SELECT %s + SLEEP(%s)", nonce, pause)
    assert answer == nonce


async def load(database: Database, stop: asyncio.Event) -> list[BaseException]:
    """Query from many tasks until it is stopped; return what went wrong."""
    errors: list[BaseException] = []

    async def work() -> None:
        while not stop.is_set():
            try:
                await ask(database, random.getrandbits(40))
            except Exception as exc:
                errors.append(exc)
                await asyncio.sleep(0.005)

    await asyncio.gather(*(work() for _ in range(TASKS // 4)))
    return errors


async def recovered(database: Database) -> None:
    """Return when a query is answered again, which must be within `RECOVERY`."""
    async with asyncio.timeout(RECOVERY):
        while True:
            try:
                return await ask(database, 1)
            except Unavailable:
                await asyncio.sleep(0.01)


@gen_test
async def test_a_third_of_the_queries_cancelled_leaves_each_its_own_answer(
    url: str, make_db: MakeDatabase
) -> None:
    db = make_db(url, max_size=SIZE, acquire_timeout=60, timeout=60)
    chance = random.Random(1)
    answered = cancelled = 0

    async def work() -> None:
        nonlocal answered, cancelled
        for _ in range(QUERIES // TASKS + 1):
            query = asyncio.create_task(ask(db, chance.getrandbits(40), chance.choice([0, 0.001])))
            if chance.random() < 1 / 3:
                await asyncio.sleep(chance.uniform(0, 0.01))
                query.cancel()
            await asyncio.wait([query])
            if query.cancelled():
                cancelled += 1
            else:
                query.result()
                answered += 1

    async with nothing_lost(db):
        before = db.stats()
        await asyncio.gather(*(work() for _ in range(TASKS)))

    after = db.stats()
    assert answered + cancelled >= QUERIES
    assert cancelled > QUERIES / 10
    assert (after.max_size, after.in_use, after.waiting) == (SIZE, before.in_use, before.waiting)


@gen_test
async def test_a_killed_server_under_load_costs_errors_with_names_and_nothing_else(
    url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    db = make_db(url, max_size=SIZE, timeout=2, connect_timeout=0.5)
    stop = asyncio.Event()
    async with nothing_lost(db):
        loading = asyncio.create_task(load(db, stop))
        await asyncio.sleep(0.1)
        mariadb_server.kill()
        await asyncio.sleep(0.1)
        await asyncio.to_thread(mariadb_server.restart)
        await recovered(db)
        stop.set()
        errors = await loading

    assert errors
    assert [exc for exc in errors if not isinstance(exc, ConnectionLost | ConnectFailed)] == []


@gen_test
async def test_a_frozen_server_under_load_costs_timeouts_and_nothing_else(
    url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    db = make_db(url, max_size=SIZE, timeout=0.3, connect_timeout=0.2)
    stop = asyncio.Event()
    async with nothing_lost(db):
        loading = asyncio.create_task(load(db, stop))
        await asyncio.sleep(0.1)
        mariadb_server.freeze()
        await asyncio.sleep(FREEZE)
        mariadb_server.thaw()
        await recovered(db)
        stop.set()
        errors = await loading

    assert errors
    assert [exc for exc in errors if not isinstance(exc, Unavailable)] == []


@gen_test
async def test_killed_connections_under_load_are_named_and_replaced(
    url: str, make_db: MakeDatabase, db: Database
) -> None:
    await db.fetch_value("SELECT 1")
    target = make_db(url, max_size=SIZE)
    stop = asyncio.Event()
    async with nothing_lost(target):
        loading = asyncio.create_task(load(target, stop))
        for _ in range(20):
            await asyncio.sleep(0.01)
            for row in await db.fetch_all(
                "SELECT id FROM information_schema.processlist WHERE db = DATABASE()"
                " AND id <> CONNECTION_ID() ORDER BY RAND() LIMIT 2"
            ):
                with suppress(DatabaseError):  # it may be gone
                    await db.execute(f"KILL {row.id}")
        stop.set()
        errors = await loading
        await recovered(target)

    assert errors
    assert [exc for exc in errors if not isinstance(exc, ConnectionLost | ConnectFailed)] == []


@gen_test
async def test_a_server_without_room_for_a_connection_is_named(
    url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    db = make_db(url, max_size=12, acquire_timeout=60)
    limit = int(mariadb_server.query("SELECT @@max_connections"))
    mariadb_server.query("SET GLOBAL max_connections = 10")
    try:
        async with nothing_lost(db):
            results = await asyncio.gather(
                *(ask(db, number, 0.05) for number in range(30)), return_exceptions=True
            )
            errors = [result for result in results if result is not None]
            assert errors
            assert {type(exc) for exc in errors} == {ConnectFailed}
            assert "1040" in str(errors[0])
            await recovered(db)
    finally:
        await db.close()
        mariadb_server.query(f"SET GLOBAL max_connections = {limit}")


ROWS = f"SELECT seq, REPEAT('x', 1000) FROM {seq(1000)}"


@pytest.mark.parametrize("at", [2, 100, 50_000, 1_000_000])
@gen_test
async def test_a_server_that_hangs_up_in_the_middle_of_a_row_is_a_lost_connection(
    url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer, at: int
) -> None:
    async with Network(mariadb_server.port) as network:
        db = make_db(network.url(url), timeout=5)
        async with nothing_lost(db):
            network.cut_after = at
            with pytest.raises(ConnectionLost):
                await db.fetch_all(ROWS)
            network.cut_after = at + 4096
            with pytest.raises(Unavailable):  # be it in the login
                async for _ in db.iterate(ROWS):
                    pass
            network.cut_after = None
            await recovered(db)
            assert len(await db.fetch_all(ROWS)) == 1000
        await db.close()


@gen_test
async def test_a_server_that_turns_to_garbage_is_unavailable(
    url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    async with Network(mariadb_server.port) as network:
        db = make_db(network.url(url), timeout=0.5, connect_timeout=0.5)
        async with nothing_lost(db):
            network.spoil = True
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await db.fetch_all(ROWS)
            network.spoil = False
            await recovered(db)
        await db.close()


@gen_test
async def test_a_server_that_falls_silent_costs_the_timeout(
    url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    async with Network(mariadb_server.port) as network:
        db = make_db(network.url(url), timeout=0.3, connect_timeout=0.3)
        async with nothing_lost(db):
            network.deaf = True
            with pytest.raises(QueryTimeout):
                await db.fetch_all(ROWS)
            with pytest.raises(ConnectFailed):
                await db.fetch_all(ROWS)
            network.deaf = False
            await recovered(db)
        await db.close()


@gen_test
async def test_a_long_statement_that_a_frozen_server_does_not_take_leaves_no_file(
    url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    db = make_db(url, timeout=0.5)
    await db.fetch_value("SELECT 1")
    files = open_files()
    try:
        async with db.acquire() as connection:
            await connection.fetch_value("SELECT 1")  # with the limit, so that it is not sent again
            mariadb_server.freeze()
            with pytest.raises(QueryTimeout):
                await connection.fetch_value("SELECT LENGTH(%s)", "x" * 2**26)
        for _ in range(3):
            await asyncio.sleep(0)
        assert open_files() == files - 1
    finally:
        mariadb_server.thaw()
