"""The database in a handler."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager

from tornado.iostream import IOStream
from tornado.web import Application

from tornado_ext._lifecycle import LifecycleMixin
from tornado_ext.errors import ConfigurationError
from tornado_ext.mysql.connection import Connection
from tornado_ext.mysql.database import Database
from tornado_ext.mysql.drivers import DriverConnection, Limit
from tornado_ext.mysql.errors import ProgrammingError
from tornado_ext.mysql.queries import Queries


class DatabaseMixin(LifecycleMixin):
    """Give a handler the database of ``Application(routes, database=Database(url))``."""

    _ext_transaction: "RequestTransaction | None" = None

    @classmethod
    def _ext_check(cls, application: Application) -> None:
        super()._ext_check(application)
        _database(application)

    @property
    def db(self) -> Database:
        """The ``database`` setting; raises `ConfigurationError` if it is none."""
        return _database(self.application)

    @property
    def tx(self) -> Queries:
        """The request's transaction, begun by its first statement.

        Committed before the first byte of the response leaves; rolled back if its status is 400 or
        more. If the commit fails, the client gets an error page.
        """
        if self._ext_transaction is None:
            if self._ext.sent or self._ext.ended:
                raise _over()
            self._ext_transaction = RequestTransaction(self.db)
            self._ext.ours = True
        return self._ext_transaction

    def detach(self) -> IOStream:
        """Take the stream out of HTTP; raises `ProgrammingError` while `tx` is open."""
        if self._ext_transaction is not None and not self._ext_transaction.over:
            raise ProgrammingError("detach() while self.tx is open: flush() first, which commits")
        return super().detach()

    def _ext_end_transaction(self) -> Awaitable[None] | None:
        if self._ext_transaction is None:
            return None
        return self._ext_transaction.end(commit=self.get_status() < 400)

    def _ext_end_ours(self) -> None:
        super()._ext_end_ours()
        transaction = self._ext_transaction
        if transaction is None or transaction.over:
            return
        # The client left while it sent the body: there is no response.
        if (ending := transaction.end(commit=False)) is not None:
            asyncio.ensure_future(ending).add_done_callback(asyncio.Future.result)


class RequestTransaction(Queries):
    """A transaction that its first statement begins, and that the lifecycle ends."""

    def __init__(self, database: Database) -> None:
        super().__init__(database._options)
        self.over: bool = False
        self._database = database
        self._block: AbstractAsyncContextManager[Connection] | None = None
        self._connection: Connection | None = None

    def end(self, *, commit: bool) -> Awaitable[None] | None:
        """Take no more statements from now on; return what commits or rolls back, if any came."""
        self.over = True
        block, self._block = self._block, None
        if block is None or self._connection is None:
            return None
        self._connection._end_savepoints()
        return _leave(block, None if commit else _ErrorResponse())

    async def _begun(self, limit: Limit) -> Connection:
        self._check()
        if self._connection is None:
            if self._block is not None:
                raise ProgrammingError("another task is beginning the request's transaction")
            self._block = block = self._database._transaction(limit)
            try:
                self._connection = await block.__aenter__()
                self._block = block
                self._check()  # a task may outlive its request
            except BaseException:
                if (ending := self.end(commit=False)) is not None:
                    await ending
                raise
        return self._connection

    def _check(self) -> None:
        if self.over:
            raise _over()

    async def _driver(self, limit: Limit) -> AbstractContextManager[DriverConnection]:
        return await (await self._begun(limit))._driver(limit)

    @asynccontextmanager
    async def _transaction(
        self, limit: Limit, isolation: str | None = None, read_only: bool = False
    ) -> AsyncIterator[Connection]:
        connection = await self._begun(limit)
        async with connection._transaction(limit, isolation, read_only):
            yield connection


class _ErrorResponse(Exception):
    """Rolls back."""


async def _leave(
    block: AbstractAsyncContextManager[Connection], exc: _ErrorResponse | None
) -> None:
    await block.__aexit__(type(exc) if exc else None, exc, None)


def _over() -> ProgrammingError:
    return ProgrammingError("the response has begun, and self.tx ended before: use self.db")


def _database(application: Application) -> Database:
    database = application.settings.get("database")
    if not isinstance(database, Database):
        raise ConfigurationError(
            "the Application setting database is not a tornado_ext.mysql.Database"
        )
    return database
