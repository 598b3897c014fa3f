"""The pool: who gets a connection, and what becomes of it when something is cut short."""

import asyncio
import gc
import os
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from math import inf

import pytest
from tornado.ioloop import IOLoop

from tests.mysql.network import Network
from tornado_ext.errors import Unavailable
from tornado_ext.mysql import (
    ConnectFailed,
    ConnectionLost,
    Database,
    PoolTimeout,
    ProgrammingError,
    QueryTimeout,
)
from tornado_ext.mysql._url import parse
from tornado_ext.mysql.drivers import DRIVERS
from tornado_ext.mysql.pool import TRUSTED_IDLE, Pool
from tornado_ext.testing import MariaDBServer

gen_test = pytest.mark.gen_test

MakeDatabase = Callable[..., Database]


@asynccontextmanager
async def busy(database: Database) -> AsyncIterator[None]:
    """Have a connection lent for the block."""
    async with database.transaction():
        yield


async def connections_of(database: Database) -> int:
    """Count the connections to the database, the one that counts included, on the server."""
    return int(
        await database.fetch_value(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()"
        )
    )


async def turns(number: int) -> None:
    """Let the loop turn some times."""
    for _ in range(number):
        await asyncio.sleep(0)


# Sizes -------------------------------------------------------------------------------------------


@gen_test
async def test_connects_on_first_use(mysql_url: str, make_db: MakeDatabase) -> None:
    database = make_db(mysql_url)
    assert database.stats().open == 0

    await database.fetch_value("SELECT 1")

    assert (database.stats().open, database.stats().in_use) == (1, 0)


@gen_test
async def test_min_size_connections_are_opened_at_the_first_use(
    mysql_url: str, make_db: MakeDatabase
) -> None:
    database = make_db(mysql_url, min_size=3)

    await database.fetch_value("SELECT 1")
    async with asyncio.timeout(10):
        while database.stats().in_use:
            await asyncio.sleep(0.01)

    assert database.stats().open == 3
    assert await connections_of(database) == 3


@gen_test
async def test_there_are_never_more_than_max_size_connections(
    mysql_url: str, make_db: MakeDatabase
) -> None:
    database = make_db(mysql_url, max_size=3)

    ids = await asyncio.gather(
        *(database.fetch_value("SELECT CONNECTION_ID() + SLEEP(0.005)") for _ in range(20))
    )

    assert len(set(ids)) == 3
    assert await connections_of(database) == 3


@gen_test
async def test_one_task_after_another_uses_one_connection(
    mysql_url: str, make_db: MakeDatabase
) -> None:
    database = make_db(mysql_url)

    ids = {await database.fetch_value("SELECT CONNECTION_ID()") for _ in range(5)}

    assert len(ids) == 1


# Waiting -----------------------------------------------------------------------------------------


@gen_test
async def test_who_waits_too_long_is_told_the_state_of_the_pool(
    mysql_url: str, make_db: MakeDatabase
) -> None:
    database = make_db(mysql_url, max_size=1, acquire_timeout=0.02)

    async with busy(database):
        with pytest.raises(PoolTimeout, match=r"0\.02 s: 1 of 1 connections in use, 1 open"):
            await database.fetch_value("SELECT 1")

    assert await database.fetch_value("SELECT 1") == 1


@gen_test
async def test_the_timeout_of_a_query_covers_its_waiting(
    mysql_url: str, make_db: MakeDatabase
) -> None:
    database = make_db(mysql_url, max_size=1, acquire_timeout=100)

    async with busy(database):
        with pytest.raises(PoolTimeout):
            await database.fetch_value("SELECT 1", timeout=0.02)


@gen_test
async def test_first_come_first_served(mysql_url: str, make_db: MakeDatabase) -> None:
    database = make_db(mysql_url, max_size=1)
    served: list[int] = []

    async def ask(number: int) -> None:
        await database.fetch_value("SELECT 1")
        served.append(number)

    async with busy(database):
        tasks = [asyncio.create_task(ask(number)) for number in range(5)]
        await turns(2)
        assert database.stats().waiting == 5
    await ask(5)  # asks when the connection has just come back
    await asyncio.gather(*tasks)

    assert served == [0, 1, 2, 3, 4, 5]


@gen_test
async def test_a_cancelled_waiter_gives_its_turn_to_the_next(
    mysql_url: str, make_db: MakeDatabase
) -> None:
    database = make_db(mysql_url, max_size=1)

    async with busy(database):
        first, second = (asyncio.create_task(database.fetch_value("SELECT 1")) for _ in "12")
        await turns(2)
        first.cancel()
        await turns(2)
        assert database.stats().waiting == 1

    assert await second == 1


@gen_test
async def test_a_slot_that_comes_as_its_waiter_is_cancelled_is_not_lost(mysql_url: str) -> None:
    pool = Pool(*parse(mysql_url, {"max_size": 1}, DRIVERS))
    slot = await pool.acquire(inf)
    waiter = asyncio.create_task(pool.acquire(inf))
    await turns(2)

    pool.release(slot)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter

    assert pool.stats().in_use == 0
    await pool.close()


# Cut short ---------------------------------------------------------------------------------------


@gen_test
async def test_a_connection_in_the_middle_of_a_statement_is_lent_to_nobody(mysql_url: str) -> None:
    pool = Pool(*parse(mysql_url, {"max_size": 1}, DRIVERS))
    slot = await pool.acquire(inf)
    first = slot.connection

    with first:
        pool.release(slot)
        assert (await pool.acquire(inf)).connection is not first

    pool.release(slot)
    await pool.close()


@pytest.mark.gen_test(timeout=30)
async def test_no_slot_is_lost_wherever_a_call_is_cancelled(db: Database) -> None:
    async def work(number: int) -> None:
        assert await db.fetch_value("SELECT %s", number) == number
        async with db.transaction() as tx, tx.transaction():
            assert await tx.fetch_value("SELECT %s", -number) == -number
        async with db.acquire() as connection:
            assert await connection.fetch_value("SELECT %s", number) == number

    finished = False
    for number in range(400):
        task = asyncio.create_task(work(number))
        await turns(number)
        finished = finished or task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert (db.stats().in_use, db.stats().waiting) == (0, 0)
        if finished:
            break

    assert finished  # or a turn was not enough
    assert await db.fetch_value("SELECT 1") == 1


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@gen_test
async def test_no_socket_is_lost_wherever_a_connect_is_cancelled(
    url: str, make_db: MakeDatabase
) -> None:
    before = open_files()

    for number in range(60):
        database = make_db(url)
        task = asyncio.create_task(database.fetch_value("SELECT 1"))
        await turns(number)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await database.close()
    await turns(2)

    assert open_files() == before


@gen_test
async def test_the_connection_of_a_late_query_is_dropped(
    mysql_url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    database = make_db(mysql_url, max_size=1)
    first = await database.fetch_value("SELECT CONNECTION_ID()")

    mariadb_server.freeze()
    with pytest.raises(QueryTimeout):
        await database.fetch_value("SELECT 1", timeout=0.02)
    mariadb_server.thaw()

    assert database.stats().open == 0
    assert await database.fetch_value("SELECT CONNECTION_ID()") != first


@gen_test
async def test_a_failed_connect_gives_its_slot_back(make_db: MakeDatabase, scheme: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        port = nobody.getsockname()[1]
        database = make_db(f"{scheme}://u:p@127.0.0.1:{port}/d", max_size=1)

        for _ in range(3):
            with pytest.raises(ConnectFailed, match=rf"u@127.0.0.1:{port}/d: .*Errno 111"):
                await database.fetch_value("SELECT 1")

    assert (database.stats().open, database.stats().in_use) == (0, 0)


# The server goes away ----------------------------------------------------------------------------


@gen_test
async def test_a_killed_server_is_unavailable_until_it_is_back(
    db: Database, mariadb_server: MariaDBServer
) -> None:
    async with busy(db):
        await db.fetch_value("SELECT 1")
    assert db.stats().open == 2

    mariadb_server.kill()
    for _ in range(4):
        with pytest.raises(Unavailable):
            await db.fetch_value("SELECT 1")
    mariadb_server.restart()

    async with busy(db):
        assert await db.fetch_value("SELECT 1") == 1


@gen_test
async def test_connections_that_died_while_idle_are_replaced_unnoticed(
    db: Database, mariadb_server: MariaDBServer
) -> None:
    async with busy(db):
        await db.fetch_value("SELECT 1")

    mariadb_server.restart()
    await asyncio.sleep(TRUSTED_IDLE)

    async with busy(db):
        assert await db.fetch_value("SELECT 1") == 1


@gen_test
async def test_a_connection_that_the_network_forgot_is_replaced_within_the_call(
    url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    forgotten = asyncio.Event()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            if not (forgotten.is_set() and writer in old):
                writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, server = await asyncio.open_connection("127.0.0.1", mariadb_server.port)
        if not forgotten.is_set():
            old.append(server)
        await asyncio.gather(forward(reader, server), forward(upstream, writer))

    old: list[asyncio.StreamWriter] = []
    async with await asyncio.start_server(relay, "127.0.0.1", 0) as network:
        port = network.sockets[0].getsockname()[1]
        database = make_db(url.replace(f":{mariadb_server.port}/", f":{port}/"), connect_timeout=1)
        await database.fetch_value("SELECT 1")
        await asyncio.sleep(TRUSTED_IDLE)
        forgotten.set()

        assert await database.fetch_value("SELECT 1") == 1
        assert len(old) == 1
        await database.close()


@gen_test
async def test_a_frozen_server_costs_a_query_its_timeout_and_no_more(
    db: Database, mariadb_server: MariaDBServer
) -> None:
    try:
        async with db.acquire() as connection:
            mariadb_server.freeze()
            with pytest.raises(QueryTimeout):
                await connection.fetch_value("SELECT 1", timeout=0.1)
        with pytest.raises(ConnectFailed):  # on a new connection
            await db.fetch_value("SELECT 1", timeout=0.1)
    finally:
        mariadb_server.thaw()

    assert await db.fetch_value("SELECT 1") == 1


@gen_test
async def test_an_idle_connection_to_a_frozen_server_is_given_up(
    url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    database = make_db(url, connect_timeout=0.4)
    await database.fetch_value("SELECT 1")
    await asyncio.sleep(TRUSTED_IDLE)

    mariadb_server.freeze()
    try:
        with pytest.raises(ConnectFailed, match=r"did not answer within 0\.4 s"):
            await database.fetch_value("SELECT 1")
    finally:
        mariadb_server.thaw()

    assert (database.stats().open, database.stats().in_use) == (0, 0)


# Age ---------------------------------------------------------------------------------------------


@gen_test
async def test_idle_connections_are_closed_down_to_min_size(
    mysql_url: str, make_db: MakeDatabase
) -> None:
    database = make_db(mysql_url, min_size=2, max_idle=0.1)
    async with busy(database), busy(database), busy(database):
        assert database.stats().open >= 3  # one more if the first is still being opened

    async with asyncio.timeout(4):
        while database.stats().open > 2 or database.stats().in_use:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)

    assert database.stats().open == 2


@gen_test
async def test_an_old_connection_is_replaced_however_busy(url: str, make_db: MakeDatabase) -> None:
    database = make_db(url, max_size=1, max_age=0.2)

    ids = set()
    async with asyncio.timeout(4):
        while len(ids) < 3:
            ids.add(await database.fetch_value("SELECT CONNECTION_ID()"))
            await asyncio.sleep(0.01)

    assert database.stats().open == 1


@gen_test
async def test_connections_of_one_age_are_not_replaced_at_once(
    mysql_url: str, make_db: MakeDatabase
) -> None:
    pool = Pool(*parse(mysql_url, {"max_age": 100}, DRIVERS))
    slots = [await pool.acquire(inf) for _ in range(5)]

    ages = {round(slot.expires_at - asyncio.get_running_loop().time()) for slot in slots}

    assert len(ages) > 1
    assert min(ages) >= 79
    assert max(ages) <= 100
    for slot in slots:
        pool.release(slot)
    await pool.close()


# The end -----------------------------------------------------------------------------------------


@gen_test
async def test_close_ends_free_connections_now_and_lent_ones_when_they_come_back(
    db: Database, url: str, make_db: MakeDatabase
) -> None:
    async with busy(db):
        await db.fetch_value("SELECT 1")
        await db.close()
        assert db.stats().open == 1

    assert db.stats().open == 0
    observer = make_db(url)
    async with asyncio.timeout(10):
        while await connections_of(observer) != 1:
            await asyncio.sleep(0.01)


@gen_test
async def test_close_waits_for_lent_connections_as_long_as_it_may(
    db: Database,
) -> None:
    asked = asyncio.create_task(db.fetch_value("SELECT 1 + SLEEP(0.1)"))
    while not db.stats().open:
        await asyncio.sleep(0)

    await db.close(timeout=4)

    assert asked.done()
    assert await asked == 1
    assert (db.stats().open, db.stats().in_use) == (0, 0)


@gen_test
async def test_close_ends_what_takes_longer_than_its_timeout(db: Database) -> None:
    asked = asyncio.create_task(db.fetch_value("SELECT SLEEP(30)"))
    while not db.stats().open:
        await asyncio.sleep(0)

    await db.close(timeout=0.05)

    with pytest.raises(ConnectionLost):
        await asked
    assert (db.stats().open, db.stats().in_use) == (0, 0)


@gen_test
async def test_close_waits_for_connections_that_are_being_opened(
    url: str, make_db: MakeDatabase
) -> None:
    database = make_db(url, min_size=10)

    async with database.acquire():
        await database.close()
        assert (database.stats().open, database.stats().in_use) == (1, 1)


@gen_test
async def test_close_does_not_wait_for_a_server_that_says_nothing(
    mysql_url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    async with Network(mariadb_server.port) as network:
        database = make_db(network.url(mysql_url), min_size=3, connect_timeout=60)
        network.deaf = True
        asked = asyncio.create_task(database.fetch_value("SELECT 1"))
        await turns(5)
        assert database.stats().in_use == 3
        asked.cancel()
        async with asyncio.timeout(3):
            await database.close()
        assert database.stats().in_use == 0


@gen_test
async def test_a_closed_database_says_so(mysql_url: str, make_db: MakeDatabase) -> None:
    database = make_db(mysql_url, max_size=1)
    async with busy(database):
        waiting = asyncio.create_task(database.fetch_value("SELECT 1"))
        await turns(2)
        await database.close()
        with pytest.raises(ProgrammingError, match="closed"):
            await waiting

    with pytest.raises(ProgrammingError, match="closed"):
        await database.fetch_value("SELECT 1")


def test_a_database_works_in_one_loop_after_another_and_keeps_none(url: str) -> None:
    database = Database(url, min_size=3)
    loops = weakref.WeakSet[asyncio.AbstractEventLoop]()

    async def use() -> object:
        loops.add(asyncio.get_running_loop())
        value = await database.fetch_value("SELECT 1")
        await database.close()
        return value

    for _ in range(3):
        loop = IOLoop(make_current=False)
        assert loop.run_sync(use) == 1
        loop.close(all_fds=True)
    del loop
    gc.collect()

    assert len(loops) == 1  # the last, until there is another
