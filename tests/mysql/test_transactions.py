"""Transactions that several tasks, or the server, meddle with."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from tornado.ioloop import IOLoop

from tornado_ext.mysql import Connection, ConnectionLost, Database, ProgrammingError

gen_test = pytest.mark.gen_test

MakeDatabase = Callable[..., Database]


@pytest.fixture
def db(url: str, make_db: MakeDatabase, io_loop: IOLoop) -> Database:
    """A database of one connection, with a table of numbers."""
    database = make_db(url, max_size=1)
    io_loop.run_sync(lambda: database.execute("CREATE TABLE t (n INT PRIMARY KEY)"))
    return database


async def numbers(database: Database) -> list[int]:
    return [row.n for row in await database.fetch_all("SELECT n FROM t ORDER BY n")]


async def insert(connection: Connection, number: int) -> None:
    await connection.execute("INSERT INTO t VALUES (%s)", number)


@asynccontextmanager
async def other_task_in_savepoint(
    tx: Connection, left: asyncio.Event
) -> AsyncIterator["asyncio.Task[None]"]:
    """Let another task open a savepoint, and keep it until ``left``."""
    entered = asyncio.Event()

    async def work() -> None:
        async with tx.transaction():
            entered.set()
            await left.wait()

    task = asyncio.create_task(work())
    await entered.wait()
    yield task


@pytest.mark.parametrize("cancelled", [False, True])
@gen_test
async def test_a_savepoint_that_outlives_its_transaction_harms_no_other_borrower(
    db: Database, cancelled: bool
) -> None:
    left = asyncio.Event()
    task: asyncio.Task[None] | None = None

    async def outlive() -> None:
        nonlocal task
        async with db.transaction() as tx, other_task_in_savepoint(tx, left) as straggler:
            task = straggler

    with suppress(ProgrammingError):
        await outlive()
    assert task is not None
    innocent = asyncio.create_task(db.fetch_value("SELECT 1 + SLEEP(0.2)"))
    await asyncio.sleep(0.05)
    left.set()
    if cancelled:
        task.cancel()
    with pytest.raises((ProgrammingError, asyncio.CancelledError)):
        await task

    assert await innocent == 1


@gen_test
async def test_a_transaction_that_ends_before_its_savepoint_is_undone_and_says_so(
    db: Database,
) -> None:
    left = asyncio.Event()

    async def end_early() -> None:
        async with db.transaction() as tx:
            await insert(tx, 1)
            async with other_task_in_savepoint(tx, left):
                pass

    with pytest.raises(ProgrammingError, match="another task"):
        await end_early()
    left.set()

    assert await numbers(db) == []


@gen_test
async def test_nothing_is_executed_after_a_transaction_that_ends_before_its_savepoint(
    db: Database,
) -> None:
    left = asyncio.Event()

    async with db.acquire() as connection:
        with pytest.raises(ProgrammingError, match="another task"):
            async with connection.transaction() as tx, other_task_in_savepoint(tx, left):
                pass
        with pytest.raises(ConnectionLost):  # it would be in a savepoint of no transaction
            async with connection.transaction():
                await insert(connection, 1)
    left.set()

    assert await numbers(db) == []


@gen_test
async def test_nothing_is_executed_after_a_transaction_that_can_not_be_rolled_back(
    db: Database,
) -> None:
    task: asyncio.Task[object] | None = None

    async def fail(connection: Connection) -> None:
        nonlocal task
        async with connection.transaction() as tx:
            await insert(tx, 1)
            task = asyncio.create_task(tx.execute("DO SLEEP(0.05)"))
            await asyncio.sleep(0)
            raise KeyError

    async with db.acquire() as connection:
        with pytest.raises(KeyError):
            await fail(connection)
        assert task is not None
        with pytest.raises(ConnectionLost):
            await task
        with pytest.raises(ConnectionLost):
            await connection.execute("COMMIT")

    assert await numbers(db) == []


@gen_test
async def test_only_the_task_in_a_savepoint_uses_the_transaction(db: Database) -> None:
    left = asyncio.Event()

    async with db.transaction() as tx:
        async with other_task_in_savepoint(tx, left) as task:
            with pytest.raises(ProgrammingError, match="another task"):
                await insert(tx, 1)
            with pytest.raises(ProgrammingError, match="another task"):
                async with tx.transaction():
                    pass
            left.set()
            await task
        await insert(tx, 2)

    assert await numbers(db) == [2]


@gen_test
async def test_a_task_that_outlives_its_savepoint_changes_nothing(db: Database) -> None:
    left = asyncio.Event()

    async def late(tx: Connection) -> None:
        await left.wait()
        await insert(tx, 1)

    async with db.transaction() as tx:
        async with tx.transaction():
            task = asyncio.create_task(late(tx))
        left.set()
        with pytest.raises(ProgrammingError, match="savepoint"):
            await task

    assert await numbers(db) == []


@gen_test
async def test_a_task_made_in_a_savepoint_may_work_in_it(db: Database) -> None:
    async def undone(tx: Connection) -> None:
        async with tx.transaction():
            await asyncio.create_task(insert(tx, 1))
            async with tx.transaction():
                await asyncio.create_task(insert(tx, 2))
            raise KeyError

    async with db.transaction() as tx:
        with pytest.raises(KeyError):
            await asyncio.create_task(undone(tx))
        await insert(tx, 3)

    assert await numbers(db) == [3]


@gen_test
async def test_savepoints_of_two_connections_do_not_mix(url: str, db: Database) -> None:
    other = Database(url)

    async with db.transaction() as tx, other.transaction() as second:
        async with tx.transaction(), second.transaction():
            await insert(tx, 1)
            await insert(second, 2)
        await insert(tx, 3)
    await other.close()

    assert await numbers(db) == [1, 2, 3]


ENDS = ["COMMIT", "ROLLBACK", "CREATE TABLE other (n INT)", "CALL unmake()"]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("sql", ENDS)
@gen_test
async def test_a_statement_that_ends_the_transaction_is_told(
    db: Database, sql: str, nested: bool
) -> None:
    await db.execute("CREATE PROCEDURE unmake() BEGIN ROLLBACK; SELECT 1; END")

    async def work(tx: Connection) -> None:
        await tx.execute(sql)
        with pytest.raises(ProgrammingError, match="ended the transaction"):
            await insert(tx, 1)

    async def unit(tx: Connection) -> None:
        if nested:
            async with tx.transaction():
                await work(tx)
        else:
            await work(tx)

    with pytest.raises(ProgrammingError, match="ended the transaction"):
        await db.run_transaction(unit)
    assert await numbers(db) == []


@gen_test
async def test_a_connection_goes_on_after_a_statement_that_ended_its_transaction(
    db: Database,
) -> None:
    async with db.acquire() as connection:
        with pytest.raises(ProgrammingError, match="ended the transaction"):
            async with connection.transaction():
                await connection.execute("COMMIT")
        async with connection.transaction():
            await insert(connection, 1)

    assert await numbers(db) == [1]
