"""What can be asked of a database, and of one connection."""

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    aclosing,
    contextmanager,
)
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado_ext.middleware.request_id import request_id
from tornado_ext.mysql._row import Row, make_rows
from tornado_ext.mysql._url import Options, check_seconds
from tornado_ext.mysql.drivers import Answer, DriverConnection, Limit
from tornado_ext.mysql.errors import DatabaseError
from tornado_ext.mysql.literals import render, render_many

if TYPE_CHECKING:
    from tornado_ext.mysql.connection import Connection

log = logging.getLogger(__name__)

Seconds = float | None  # None: as the `Database` has it


class Result(NamedTuple):
    """What came of a statement."""

    rowcount: int  # rows returned, or changed: an UPDATE to the value that was there changes none
    lastrowid: int  # the first AUTO_INCREMENT value of an INSERT, 0 if none or with RETURNING


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
        answer = await self._ask(sql, parameters, named, timeout)
        return Result(answer.affected_rows, answer.insert_id or 0)

    async def fetch_all(
        self, sql: str, /, *parameters: object, timeout: Seconds = None, **named: object
    ) -> list[Row]:
        """Return all rows."""
        answer = await self._ask(sql, parameters, named, timeout)
        return make_rows(answer.description, answer.rows)

    async def fetch_one(
        self, sql: str, /, *parameters: object, timeout: Seconds = None, **named: object
    ) -> Row | None:
        """Return the first row, None if there is none."""
        answer = await self._ask(sql, parameters, named, timeout)
        return make_rows(answer.description, answer.rows[:1])[0] if answer.rows else None

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
            with await self._driver(limit) as driver:
                async with aclosing(driver.stream(statement, limit)) as batches:
                    start = monotonic()
                    try:
                        batch = await anext(batches, None)
                    finally:
                        self._check_time(sql, start)
                    while batch is not None:
                        for row in make_rows(*batch):
                            yield row
                        batch = await anext(batches, None)

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
            async with self._transaction(limit) as tx:
                with await tx._driver(limit) as driver:
                    for statement in render_many(sql, rows):
                        start = monotonic()
                        try:
                            changed += (await driver.query(statement, limit)).affected_rows
                        finally:
                            self._check_time(sql, start)
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
    ) -> Answer:
        try:
            statement = render(sql, parameters, named)
            limit = self._limit(timeout)
            with await self._driver(limit) as driver:
                start = monotonic()
                try:
                    return await driver.query(statement, limit)
                finally:
                    self._check_time(sql, start)
        except DatabaseError as exc:
            exc.sql = sql
            raise

    def _check_time(self, sql: str, start: float) -> None:
        seconds = monotonic() - start
        if seconds >= self._options.slow_query:
            milliseconds, request = round(seconds * 1000), request_id.get()
            log.warning("slow query, %d ms, request %s: %s", milliseconds, request, sql)

    def _limit(self, timeout: Seconds = None) -> Limit:
        if timeout is None:
            timeout = self._options.timeout
        else:
            check_seconds("timeout", timeout)
        return Limit(timeout, monotonic() + timeout)

    @abstractmethod
    def _driver(self, limit: Limit) -> Awaitable[AbstractContextManager[DriverConnection]]:
        """Lend a connection for one statement."""

    @abstractmethod
    def _transaction(
        self, limit: Limit, isolation: str | None = None, read_only: bool = False
    ) -> AbstractAsyncContextManager["Connection"]:
        """Begin a transaction or a savepoint, and end it with the block."""


@contextmanager
def _naming(sql: str) -> Iterator[None]:
    """Tell which statement an error is about, without its parameters."""
    try:
        yield
    except DatabaseError as exc:
        exc.sql = sql
        raise
