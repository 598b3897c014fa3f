"""What every driver is: one connection, of which each answer is read whole or which is closed."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress
from math import ceil
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Self

from tornado_ext._extras import require
from tornado_ext.mysql._url import Address
from tornado_ext.mysql.errors import (
    ConnectionLost,
    DatabaseError,
    ProgrammingError,
    QueryTimeout,
    ReadOnlyServer,
    from_server,
)

QUIT_TIMEOUT = 1.0  # seconds
IN_TRANSACTION, AUTOCOMMIT = 1, 2  # flags of the server's status
CLIENT_ERRORS = {*range(2000, 3000)} - {2059}  # the library's own; 2059: it can't log in that way
PACKET_TOO_LARGE = 1153  # the one error after which a server hangs up without saying so
# `SET NAMES` chooses the server's own default collation, which is also that of a literal with an
# introducer, so that the two never are an illegal mix.
_PREPARE = b"SET NAMES utf8mb4, autocommit = 1"
# Comments that one kind of server executes, MariaDB and MySQL: in seconds, and in milliseconds.
_LIMIT = b"/*M!100101 SET max_statement_time = %.6f *//*!50708 SET max_execution_time = %d */"
_NOTHING = b"DO 0"  # leaves the warnings of the statement before it, as a statement without tables


class Limit(NamedTuple):
    """How long a call may take."""

    seconds: float  # that the server may work on a statement
    deadline: float  # when the caller has had enough, in the time of the loop


class Result(NamedTuple):
    """What came of a statement."""

    rowcount: int  # rows returned, or changed: an UPDATE to the value that was there changes none
    lastrowid: int  # the first AUTO_INCREMENT value of an INSERT, 0 if none or with RETURNING
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


class Exchange:
    """Have a connection to oneself; close it unless the answer is read to its end."""

    __slots__ = ("_connection",)

    def __init__(self, connection: "DriverConnection") -> None:
        self._connection = connection

    def __enter__(self) -> None:
        if self._connection.closed:
            raise ConnectionLost("the connection was lost before this statement")
        if self._connection.busy:
            raise ProgrammingError("another task is in the middle of a statement on the connection")
        self._connection.busy = True

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._connection.busy = False
        if exc is None or (isinstance(exc, DatabaseError) and _leaves_in_order(exc)):
            return
        self._connection.terminate()
        if isinstance(exc, TimeoutError):
            raise QueryTimeout("the server did not answer the statement in time") from None
        if isinstance(exc, Exception) and not isinstance(exc, DatabaseError):
            raise meaning(exc) from exc


class DriverConnection(ABC):
    """Send statements to a server, one at a time, through a client library of PyMySQL's family.

    A statement that is cancelled or not answered in time closes the connection: nobody can get the
    answer to somebody else's statement.
    """

    client_module: ClassVar[str]
    extra: ClassVar[str]
    has_tls: ClassVar[bool] = True

    def __init__(self, client: Any) -> None:
        self.client = client
        self.closed = False
        self.busy = False
        self._status = AUTOCOMMIT
        self._limited = 0.0  # seconds, what the server was told last

    @classmethod
    def load(cls) -> Any:
        """Import the client library; raises `MissingExtra`."""
        return require(cls.client_module, cls.extra)

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Connect and log in, in the state that every connection has: UTF-8 and autocommit.

        Bounded by the caller, who may cancel it. Raises as `query` does.
        """
        try:
            connection = cls(await cls._connect(address))
        except Exception as exc:
            raise meaning(exc) from exc
        try:
            await connection._query(_PREPARE)
        except BaseException:
            connection.terminate()
            raise
        return connection

    @property
    def usable(self) -> bool:
        """Whether the next statement would get its own answer."""
        return not self.closed and not self.busy

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was open after the last statement."""
        return bool(self._status & IN_TRANSACTION)

    @property
    def at_rest(self) -> bool:
        """Whether the next statement would be committed at once."""
        return self._status & (IN_TRANSACTION | AUTOCOMMIT) == AUTOCOMMIT

    async def query(self, sql: bytes, limit: Limit) -> Result:
        """Send a statement and read the answer.

        Raises `DatabaseError`. Only if the server said so the connection can go on.
        """
        with Exchange(self):
            async with asyncio.timeout_at(limit.deadline):
                if limit.seconds != self._limited:
                    await self._limit(limit.seconds)
                return await self._ask(sql)

    async def stream(self, sql: bytes, limit: Limit) -> AsyncGenerator[Result, None]:
        """Send a statement and yield its rows as they come, some at a time.

        The connection is closed if they are not read to the end.
        """
        with Exchange(self):
            async with asyncio.timeout_at(limit.deadline):
                await self._limit(0)  # the reader may take his time
                result = await self._begin(sql, unbuffered=True)
                rows = await self._rows(result)
            while rows:
                yield Result(len(rows), 0, _columns(result), rows)
                async with asyncio.timeout(limit.seconds):
                    rows = await self._rows(result)
            async with asyncio.timeout(limit.seconds):
                await self._end(result)

    async def answers(self, deadline: float) -> bool:
        """Tell whether the server is still there."""
        with suppress(DatabaseError):
            await self.query(_NOTHING, Limit(self._limited, deadline))
        return not self.closed

    async def quit(self) -> None:
        """Take leave of the server if that is possible, and close."""
        try:
            if self.usable:
                with suppress(Exception):
                    async with asyncio.timeout(QUIT_TIMEOUT):
                        await self._wait(self._leave())
        finally:
            self.terminate()

    def terminate(self) -> None:
        """Close at once. The server rolls back what was not committed."""
        self.closed = True
        self.client.close()

    async def _limit(self, seconds: float) -> None:
        """Let the server end by itself what nobody waits for any more."""
        await self._query(_LIMIT % (seconds, ceil(seconds * 1000)))
        self._limited = seconds

    async def _ask(self, sql: bytes) -> Result:
        try:
            return await self._query(sql)
        except DatabaseError as exc:
            if _leaves_in_order(exc):
                await self._query(_NOTHING)  # for the status, which an error comes without
            raise

    async def _query(self, sql: bytes) -> Result:
        try:
            result = await self._begin(sql)
            await self._end(result)
        except Exception as exc:
            raise meaning(exc) from exc
        return Result(
            result.affected_rows, result.insert_id or 0, _columns(result), result.rows or ()
        )

    async def _begin(self, sql: bytes, *, unbuffered: bool = False) -> Any:
        # The libraries' cursors would ask for each warning and raise it as Python's.
        await self._wait(self.client.query(sql, unbuffered))
        return self.client._result

    async def _end(self, result: Any) -> None:
        while result.has_next:  # a procedure's status follows its rows
            await self._wait(self.client.next_result())
            result = self.client._result
        if result.description is None:  # rows come without the status
            self._status = result.server_status

    @classmethod
    @abstractmethod
    async def _connect(cls, address: Address) -> Any:
        """Return a client that is logged in, with nothing left open if that fails."""

    @abstractmethod
    async def _wait(self, call: Awaitable[Any]) -> Any:
        """Await a call of the library, so that cancelling it leaves nothing behind."""

    @abstractmethod
    async def _rows(self, result: Any) -> tuple[tuple[object, ...], ...]:
        """Return the next rows of an unbuffered result, none at its end."""

    @abstractmethod
    def _leave(self) -> Awaitable[Any]:
        """Say good-bye, which spares the server's log a line."""


def _columns(result: Any) -> tuple[str, ...]:
    return tuple(column[0] for column in result.description or ())


def _leaves_in_order(exc: DatabaseError) -> bool:
    lost = isinstance(exc, (ConnectionLost, ReadOnlyServer))
    return not lost and exc.errno != PACKET_TOO_LARGE


def meaning(exc: Exception) -> DatabaseError:
    """Say what an exception of a library means.

    Only what the server sent leaves a connection in order. All else, be it the network's, the
    library's or ours, leaves it in doubt.
    """
    if isinstance(exc, DatabaseError):
        return exc
    match exc.args:
        case (int(errno), str(message)) if errno >= 1000 and errno not in CLIENT_ERRORS:
            return from_server(errno, getattr(exc, "sqlstate", None), message)
    return ConnectionLost(f"{type(exc).__name__}: {exc}")
