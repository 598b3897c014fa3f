"""The database as an application sees it."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from tornado.web import Application

from tornado_ext._lifecycle import LifecycleMixin
from tornado_ext.errors import ConfigurationError
from tornado_ext.mysql._row import Row
from tornado_ext.mysql._url import Options, check_seconds, parse
from tornado_ext.mysql.drivers import DRIVERS, DriverConnection, Result
from tornado_ext.mysql.errors import DatabaseError, Deadlock, ProgrammingError
from tornado_ext.mysql.literals import render
from tornado_ext.mysql.pool import Pool, PoolStats, Slot

log = logging.getLogger(__name__)

Seconds = float | None  # None: as the `Database` has it


class Queries(ABC):
    """What can be asked of a `Database`, and of a `Connection` alike.

    A parameter takes the place of a ``%s``, which stands bare, without quotes; ``%%`` is a percent
    sign. ``timeout`` is in seconds, for the whole call; it raises `QueryTimeout`, or `PoolTimeout`
    or `ConnectFailed` if no connection was to be had.
    """

    def __init__(self, options: Options) -> None:
        self._options = options

    async def execute(self, sql: str, *parameters: object, timeout: Seconds = None) -> Result:
        """Run a statement; return its ``rowcount`` and ``lastrowid``."""
        return await self._ask(sql, parameters, timeout)

    async def fetch_all(self, sql: str, *parameters: object, timeout: Seconds = None) -> list[Row]:
        """Return all rows."""
        return _rows(await self._ask(sql, parameters, timeout))

    async def fetch_one(self, sql: str, *parameters: object, timeout: Seconds = None) -> Row | None:
        """Return the first row, None if there is none."""
        rows = _rows(await self._ask(sql, parameters, timeout))
        return rows[0] if rows else None

    async def fetch_value(self, sql: str, *parameters: object, timeout: Seconds = None) -> Any:
        """Return the first column of the first row, None if there is none."""
        rows = (await self._ask(sql, parameters, timeout)).rows
        return rows[0][0] if rows else None

    async def _ask(self, sql: str, parameters: tuple[object, ...], timeout: Seconds) -> Result:
        try:
            return await self._run(render(sql, parameters), self._deadline(timeout))
        except DatabaseError as exc:
            exc.sql = sql
            raise

    def _deadline(self, timeout: Seconds = None) -> float:
        if timeout is None:
            timeout = self._options.timeout
        else:
            check_seconds("timeout", timeout)
        return asyncio.get_running_loop().time() + timeout

    @abstractmethod
    async def _run(self, statement: bytes, deadline: float) -> Result:
        """Send one statement."""


class Database(Queries):
    """Run statements on a MySQL or MariaDB server, each on a connection of a pool.

    ``url`` is ``mysql://user:password@host:3306/database`` for asyncmy, and ``mysql+tornado://``
    for Tornado-MySQL. Options, as arguments or in the URL's query:

    - ``min_size`` (1) and ``max_size`` (10) connections;
    - ``timeout`` (30): seconds that a call may take;
    - ``connect_timeout`` (0.8): seconds of it until a connection is there;
    - ``acquire_timeout`` (5): seconds of it until a connection of the pool is free.

    Connects on first use. Statements outside `transaction` are committed at once. Raises
    `ConfigurationError` or `MissingExtra`; all else raises `DatabaseError`.
    """

    def __init__(self, url: str, **options: float) -> None:
        self._address, checked = parse(url, options, DRIVERS)
        super().__init__(checked)
        DRIVERS[self._address.scheme].load()
        self._pools: dict[asyncio.AbstractEventLoop, Pool] = {}

    def __repr__(self) -> str:
        return f"<Database {self._address}>"

    @asynccontextmanager
    async def transaction(self, *, timeout: Seconds = None) -> AsyncIterator["Connection"]:
        """Commit what is done in the block, all of it or, if the block raises, nothing.

        ``async with db.transaction() as tx: await tx.execute(...)``. ``timeout`` is for the begin.
        """
        deadline = self._deadline(timeout)
        async with self._lend(deadline) as (_, connection), connection._transaction(deadline):
            yield connection

    @asynccontextmanager
    async def acquire(self, *, timeout: Seconds = None) -> AsyncIterator["Connection"]:
        """Lend one connection for the block, with variables and settings of its own.

        It is closed after the block, so that nothing of them reaches the next borrower.
        """
        async with self._lend(self._deadline(timeout)) as (slot, connection):
            try:
                yield connection
            finally:
                await slot.quit()

    def stats(self) -> PoolStats:
        """Count the connections of the running event loop."""
        return self._pool.stats()

    async def close(self) -> None:
        """Close the connections of the running event loop: the lent ones when they come back."""
        await self._pool.close()

    @property
    def _pool(self) -> Pool:
        """The running loop's pool: sockets can't change their loop, but a `Database` may."""
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            for dead in [loop for loop in self._pools if loop.is_closed()]:
                del self._pools[dead]
            pool = self._pools[loop] = Pool(self._address, self._options)
        return pool

    @asynccontextmanager
    async def _lend(self, deadline: float) -> AsyncIterator[tuple[Slot, "Connection"]]:
        pool = self._pool
        slot, driver = await pool.acquire(deadline)
        connection = Connection(driver, self._options)
        try:
            yield slot, connection
        finally:
            connection._left = True
            pool.release(slot)

    async def _run(self, statement: bytes, deadline: float) -> Result:
        pool = self._pool
        slot, driver = await pool.acquire(deadline)
        try:
            result = await driver.query(statement, deadline)
            if not driver.at_rest:
                raise ProgrammingError(
                    "the statement left a transaction open or autocommit off, which was undone:"
                    " use transaction() or acquire()"
                )
            return result
        finally:
            pool.release(slot)


class Connection(Queries):
    """Run statements on one connection, lent by `Database.acquire` or `Database.transaction`.

    For one task at a time, and only in the block.
    """

    def __init__(self, driver: DriverConnection, options: Options) -> None:
        super().__init__(options)
        self._driver = driver
        self._left = False
        self._depth = 0  # of transactions
        self._undone = False  # all of them, by the server

    @property
    def driver_connection(self) -> Any:
        """The client library's own connection."""
        return self._driver.client

    def transaction(self, *, timeout: Seconds = None) -> AbstractAsyncContextManager["Connection"]:
        """Commit what is done in the block, or nothing if it raises; within one, a savepoint."""
        return self._transaction(self._deadline(timeout))

    @asynccontextmanager
    async def _transaction(self, deadline: float) -> AsyncIterator["Connection"]:
        begin, commit, rollback = _statements(self._depth)
        await self._run(begin, deadline)
        self._depth += 1
        try:
            yield self
            await self._run(commit, self._deadline())
        except Exception:
            await self._roll_back(rollback)
            raise
        except BaseException:  # cancelled: the server rolls back when the connection ends
            self._driver.terminate()
            raise
        finally:
            self._depth -= 1

    async def _roll_back(self, statement: bytes) -> None:
        if self._undone and self._depth > 1:
            return  # no savepoint is left; the outermost block sends its ROLLBACK
        self._undone = False
        if self._driver.closed:
            return
        try:
            await self._run(statement, self._deadline())
        except DatabaseError as exc:
            log.warning("%s failed, closing the connection: %s", statement.decode(), exc)
            self._driver.terminate()

    async def _run(self, statement: bytes, deadline: float) -> Result:
        if self._left:
            raise ProgrammingError("a connection was used after its block")
        if self._undone:
            # It would be executed outside of any transaction.
            raise Deadlock("an error ended the transaction: leave its block and run it again")
        try:
            return await self._driver.query(statement, deadline)
        except DatabaseError:
            # Some errors undo the statement, some the transaction: it depends on settings, too.
            self._undone = self._depth > 0 and not self._driver.in_transaction
            raise


class DatabaseMixin(LifecycleMixin):
    """Give a handler the database of ``Application(routes, database=Database(url))``."""

    @classmethod
    def _ext_check(cls, application: Application) -> None:
        super()._ext_check(application)
        _database(application)

    @property
    def db(self) -> Database:
        """The ``database`` setting; raises `ConfigurationError` if it is none."""
        return _database(self.application)


def _database(application: Application) -> Database:
    database = application.settings.get("database")
    if not isinstance(database, Database):
        raise ConfigurationError(
            "the Application setting database is not a tornado_ext.mysql.Database"
        )
    return database


def _rows(result: Result) -> list[Row]:
    columns = {name: position for position, name in enumerate(result.columns)}
    return [Row(columns, values) for values in result.rows]


def _statements(depth: int) -> tuple[bytes, bytes, bytes]:
    """Return what begins, commits and rolls back a transaction within ``depth`` others."""
    if depth == 0:
        return b"START TRANSACTION", b"COMMIT", b"ROLLBACK"
    name = b"level_%d" % depth
    return b"SAVEPOINT " + name, b"RELEASE SAVEPOINT " + name, b"ROLLBACK TO SAVEPOINT " + name
