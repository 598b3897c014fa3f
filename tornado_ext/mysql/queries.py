"""What can be asked of a database, and of one connection in a transaction."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from time import monotonic
from typing import Any

from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware.request_id import request_id
from tornado_ext.mysql._row import Row
from tornado_ext.mysql._url import Options, check_seconds
from tornado_ext.mysql.drivers import DriverConnection, Limit, Result
from tornado_ext.mysql.errors import CommitUnknown, DatabaseError, Deadlock, ProgrammingError
from tornado_ext.mysql.literals import render, render_many

log = logging.getLogger(__name__)

ISOLATIONS = ("read uncommitted", "read committed", "repeatable read", "serializable")

Seconds = float | None  # None: as the `Database` has it


class Queries(ABC):
    """What can be asked of a `Database`, and of a `Connection` alike.

    A parameter takes the place of a ``%s``, or one by keyword that of its ``%(name)s``; these
    stand bare, without quotes; ``%%`` is a percent sign. ``IN %s`` takes a list. ``timeout`` is in
    seconds, for the whole call; it raises `QueryTimeout`, or `PoolTimeout` or `ConnectFailed` if
    no connection was to be had.
    """

    def __init__(self, options: Options) -> None:
        self._options = options

    async def execute(
        self, sql: str, /, *parameters: object, timeout: Seconds = None, **named: object
    ) -> Result:
        """Run a statement; return its ``rowcount`` and ``lastrowid``."""
        return await self._ask(sql, parameters, named, timeout)

    async def fetch_all(
        self, sql: str, /, *parameters: object, timeout: Seconds = None, **named: object
    ) -> list[Row]:
        """Return all rows."""
        return _rows(await self._ask(sql, parameters, named, timeout))

    async def fetch_one(
        self, sql: str, /, *parameters: object, timeout: Seconds = None, **named: object
    ) -> Row | None:
        """Return the first row, None if there is none."""
        rows = _rows(await self._ask(sql, parameters, named, timeout))
        return rows[0] if rows else None

    async def fetch_value(
        self, sql: str, /, *parameters: object, timeout: Seconds = None, **named: object
    ) -> Any:
        """Return the first column of the first row, None if there is none."""
        rows = (await self._ask(sql, parameters, named, timeout)).rows
        return rows[0][0] if rows else None

    async def iterate(
        self, sql: str, /, *parameters: object, timeout: Seconds = None, **named: object
    ) -> AsyncIterator[Row]:
        """Yield the rows as the server sends them, which waits until they are taken.

        ``timeout`` is for each wait, not for all of it. The connection is busy until the end, and
        closed if the end is not reached: ``break`` ends a transaction, too.
        """
        with _naming(sql):
            statement = render(sql, parameters, named)
            limit = self._limit(timeout)
            async with (
                self._driver(limit) as driver,
                aclosing(driver.stream(statement, limit)) as results,
            ):
                async for result in results:
                    for row in _rows(result):
                        yield row

    async def executemany(
        self, sql: str, rows: Iterable[object], *, timeout: Seconds = None
    ) -> int:
        """Run a statement for each of the rows, or for none if one fails; return the rows changed.

        A row is a tuple, a list or a mapping. ``INSERT ... VALUES (%s, ...)`` is sent for many
        rows at once.
        """
        limit = self._limit(timeout)
        changed = 0
        with _naming(sql):
            async with self._transaction(limit) as tx, tx._driver(limit) as driver:
                for statement in render_many(sql, rows):
                    changed += (await driver.query(statement, limit)).rowcount
        return changed

    def transaction(
        self, *, isolation: str | None = None, read_only: bool = False, timeout: Seconds = None
    ) -> AbstractAsyncContextManager["Connection"]:
        """Commit what is done in the block, all of it or, if the block raises, nothing.

        ``async with db.transaction() as tx: await tx.execute(...)``; ``tx.transaction()`` is a
        savepoint. ``isolation`` is such as ``"read committed"``, and the server's if None; a
        savepoint has none of its own. ``timeout`` is for the begin. Raises `CommitUnknown` if the
        connection breaks during the commit.
        """
        return self._transaction(self._limit(timeout), isolation, read_only)

    async def _ask(
        self,
        sql: str,
        parameters: Sequence[object],
        named: dict[str, object],
        timeout: Seconds,
    ) -> Result:
        try:
            statement = render(sql, parameters, named)
            limit = self._limit(timeout)
            async with self._driver(limit) as driver:
                start = monotonic()
                try:
                    return await driver.query(statement, limit)
                finally:
                    seconds = monotonic() - start
                    if seconds >= self._options.slow_query:
                        _log_slow(sql, seconds)
        except DatabaseError as exc:
            exc.sql = sql
            raise

    def _limit(self, timeout: Seconds = None) -> Limit:
        if timeout is None:
            timeout = self._options.timeout
        else:
            check_seconds("timeout", timeout)
        return Limit(timeout, asyncio.get_running_loop().time() + timeout)

    @abstractmethod
    def _driver(self, limit: Limit) -> AbstractAsyncContextManager[DriverConnection]:
        """Lend a connection for one statement."""

    @abstractmethod
    def _transaction(
        self, limit: Limit, isolation: str | None = None, read_only: bool = False
    ) -> AbstractAsyncContextManager["Connection"]:
        """Begin a transaction or a savepoint, and end it with the block."""


class Connection(Queries):
    """Run statements on one connection, lent by `Database.acquire` or `Database.transaction`.

    For one task at a time, and only in the block.
    """

    def __init__(self, driver: DriverConnection, options: Options) -> None:
        super().__init__(options)
        self._own = driver
        self._left = False
        self._depth = 0  # of transactions
        self._undone = False  # all of them, by the server

    @property
    def driver_connection(self) -> Any:
        """The client library's own connection."""
        return self._own.client

    @asynccontextmanager
    async def _transaction(
        self, limit: Limit, isolation: str | None = None, read_only: bool = False
    ) -> AsyncIterator["Connection"]:
        *begin, commit, rollback = _statements(self._depth, isolation, read_only)
        for statement in begin:
            await self._send(statement, limit)
        self._depth += 1
        try:
            yield self
            await self._commit(commit)
        except Exception:
            await self._roll_back(rollback)
            raise
        except BaseException:  # cancelled: the server rolls back when the connection ends
            self._own.terminate()
            raise
        finally:
            self._depth -= 1

    async def _commit(self, statement: bytes) -> None:
        was_open = not self._own.closed
        try:
            await self._send(statement, self._limit())
        except DatabaseError as exc:
            if self._depth == 1 and was_open and self._own.closed:
                raise CommitUnknown(f"no answer to COMMIT: {exc}") from exc
            raise

    async def _roll_back(self, statement: bytes) -> None:
        if self._undone and self._depth > 1:
            return  # no savepoint is left; the outermost block sends its ROLLBACK
        self._undone = False
        if self._own.closed:
            return
        try:
            await self._send(statement, self._limit())
        except DatabaseError as exc:
            log.warning("%s failed, closing the connection: %s", statement.decode(), exc)
            self._own.terminate()

    async def _send(self, statement: bytes, limit: Limit) -> None:
        async with self._driver(limit) as driver:
            await driver.query(statement, limit)

    @asynccontextmanager
    async def _driver(self, _: Limit) -> AsyncIterator[DriverConnection]:
        if self._left:
            raise ProgrammingError("a connection was used after its block")
        if self._undone:
            # It would be executed outside of any transaction.
            raise Deadlock("an error ended the transaction: leave its block and run it again")
        try:
            yield self._own
        except DatabaseError:
            # Some errors undo the statement, some the transaction: it depends on settings, too.
            self._undone = self._depth > 0 and not self._own.in_transaction
            raise


@contextmanager
def _naming(sql: str) -> Iterator[None]:
    """Tell which statement an error is about, without its parameters."""
    try:
        yield
    except DatabaseError as exc:
        exc.sql = sql
        raise


def _log_slow(sql: str, seconds: float) -> None:
    milliseconds = round(seconds * 1000)
    log.warning("slow query, %d ms, request %s: %s", milliseconds, request_id.get(), sql)


def _rows(result: Result) -> list[Row]:
    columns = {name: position for position, name in enumerate(result.columns)}
    return [Row(columns, values) for values in result.rows]


def _statements(depth: int, isolation: str | None, read_only: bool) -> Iterator[bytes]:
    """Yield what begins, commits and rolls back a transaction within ``depth`` others."""
    if depth:
        if isolation is not None or read_only:
            raise ProgrammingError("isolation and read_only are the outermost transaction's")
        name = b"level_%d" % depth
        yield from (
            b"SAVEPOINT " + name,
            b"RELEASE SAVEPOINT " + name,
            b"ROLLBACK TO SAVEPOINT " + name,
        )
        return
    if isolation is not None:
        if isolation not in ISOLATIONS:
            raise ConfigurationError(f"isolation={isolation!r} is none of {ISOLATIONS}")
        yield b"SET TRANSACTION ISOLATION LEVEL " + isolation.encode()
    yield b"START TRANSACTION READ ONLY" if read_only else b"START TRANSACTION"
    yield from (b"COMMIT", b"ROLLBACK")
