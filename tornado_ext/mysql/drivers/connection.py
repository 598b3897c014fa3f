"""What every driver is: one connection, of which each answer is read whole or which is closed."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import suppress
from math import ceil, inf
from time import monotonic
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Protocol, Self

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


Columns = Sequence[tuple[Any, ...]]  # each a name, and more
Values = Sequence[tuple[object, ...]]


class Limit(NamedTuple):
    """How long a call may take."""

    seconds: float  # that the server may work on a statement
    deadline: float  # when the caller has had enough, on the `time.monotonic` clock


class Answer(Protocol):
    """What came of a statement, as the libraries have it."""

    affected_rows: int
    insert_id: int | None
    description: Columns | None  # None if there are no rows
    rows: Values | None
    has_next: object


class DriverConnection(ABC):
    """Send statements to a server, one at a time, through a client library of PyMySQL's family.

    A statement that is cancelled or not answered in time closes the connection: nobody can get the
    answer to somebody else's statement.
    """

    client_module: ClassVar[str]  #: Imported when a `Database` is made.
    extra: ClassVar[str]  #: Of this package; what installs the client library.
    has_tls: ClassVar[bool] = True  #: Whether it can be given ``ssl``.

    def __init__(self, client: Any) -> None:
        self.client = client
        self.closed = False
        self.busy = False
        self.late = False  # closed, because an answer did not come in time
        self.in_transaction = False  # after the last statement
        self.at_rest = True  # the next statement would be committed at once
        self._limited = 0.0  # seconds, what the server was told last
        self._deadline = inf  # of what is waited for
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = inf

    def __enter__(self) -> None:
        """Have the connection to oneself, to send a statement and read all of the answer."""
        if self.closed:
            raise ConnectionLost("the connection was lost before this statement")
        if self.busy:
            raise ProgrammingError("another task is in the middle of a statement on the connection")
        self.busy = True

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close the connection unless the answer was read to its end."""
        self.busy = False
        if exc is None or (isinstance(exc, DatabaseError) and _leaves_in_order(exc)):
            return
        self.terminate()
        if self.late and isinstance(exc, Exception):
            raise QueryTimeout("the server did not answer the statement in time") from None
        if isinstance(exc, Exception) and not isinstance(exc, DatabaseError):
            raise meaning(exc) from exc

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

    async def query(self, sql: bytes, limit: Limit) -> Answer:
        """Send a statement and read the answer.

        Raises `DatabaseError`. Only if the server said so the connection can go on.
        """
        with self:
            self._deadline = limit.deadline
            if limit.deadline < self._alarm_at:
                self._set_alarm()
            if limit.seconds != self._limited:
                await self._limit(limit.seconds)
            try:
                return await self._query(sql)
            except DatabaseError as exc:
                if _leaves_in_order(exc):
                    await self._query(_NOTHING)  # for the status, which an error comes without
                raise

    async def stream(
        self, sql: bytes, limit: Limit
    ) -> AsyncGenerator[tuple[Columns, Values], None]:
        """Send a statement and yield its rows as they come, some at a time.

        The connection is closed if they are not read to the end.
        """
        with self:
            self._deadline = limit.deadline
            self._set_alarm()
            await self._limit(0)  # the reader may take his time
            await self._wait(self.client.query(sql, unbuffered=True))
            answer = self.client._result
            while rows := await self._rows(answer):
                self._deadline = inf
                yield answer.description, rows
                self._deadline = monotonic() + limit.seconds
                self._set_alarm()
            await self._end(answer)

    async def answers(self, deadline: float) -> bool:
        """Tell whether the server is still there."""
        with suppress(DatabaseError):
            await self.query(_NOTHING, Limit(self._limited, deadline))
        return not self.closed

    async def quit(self) -> None:
        """Take leave of the server if that is possible, and close."""
        try:
            if not (self.closed or self.busy):
                with suppress(Exception):
                    async with asyncio.timeout(QUIT_TIMEOUT):
                        await self._wait(self._leave())
        finally:
            self.terminate()

    def terminate(self) -> None:
        """Close at once. The server rolls back what was not committed."""
        self.closed = True
        self._stop_alarm()
        self.client.close()

    async def _limit(self, seconds: float) -> None:
        """Let the server end by itself what nobody waits for any more."""
        await self._query(_LIMIT % (seconds, ceil(seconds * 1000)))
        self._limited = seconds

    async def _query(self, sql: bytes) -> Answer:
        try:
            # The libraries' cursors would ask for each warning and raise it as Python's.
            await self._wait(self.client.query(sql))
            answer: Answer = self.client._result
            if answer.has_next or answer.description is None:
                await self._end(answer)
        except Exception as exc:
            raise meaning(exc) from exc
        self.client._result = None  # or the rows would be held until the next statement
        return answer

    async def _end(self, answer: Any) -> None:
        while answer.has_next:  # a procedure's status follows its rows
            await self._wait(self.client.next_result())
            answer = self.client._result
        if answer.description is None:  # rows come without the status
            status = answer.server_status
            self.in_transaction = bool(status & IN_TRANSACTION)
            self.at_rest = status & (IN_TRANSACTION | AUTOCOMMIT) == AUTOCOMMIT

    def _set_alarm(self) -> None:
        """See that the connection is closed if an answer is still waited for at the deadline.

        A timer for each statement would cost more than all else: one serves as long as it does
        not ring too late.
        """
        if self._deadline < self._alarm_at:
            self._stop_alarm()
            self._alarm_at = self._deadline
            delay = self._deadline - monotonic()
            self._alarm = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._stop_alarm()
        if self.busy and monotonic() >= self._deadline:
            self.late = True
            self.terminate()
        elif self.busy:
            self._set_alarm()

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = None, inf

    @classmethod
    @abstractmethod
    async def _connect(cls, address: Address) -> Any:
        """Return a client that is logged in, with nothing left open if that fails."""

    def _wait(self, call: Awaitable[Any]) -> Awaitable[Any]:
        """Make a call of the library one whose cancellation leaves nothing behind."""
        return call

    @abstractmethod
    async def _rows(self, answer: Any) -> Values:
        """Return the next rows of an unbuffered answer, none at its end."""

    @abstractmethod
    def _leave(self) -> Awaitable[Any]:
        """Say good-bye, which spares the server's log a line."""


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
