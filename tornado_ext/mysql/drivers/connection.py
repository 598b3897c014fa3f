"""What every driver is: one connection, of which each answer is read whole or which is closed."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple, Self

from tornado_ext._extras import require
from tornado_ext.mysql._url import Address
from tornado_ext.mysql.errors import (
    ConnectionLost,
    DatabaseError,
    ProgrammingError,
    QueryTimeout,
    from_server,
)

QUIT_TIMEOUT = 1.0  # seconds
IN_TRANSACTION, AUTOCOMMIT = 1, 2  # flags of the server's status
PACKET_TOO_LARGE = 1153  # the one error after which a server hangs up without saying so
# `SET NAMES` chooses the server's own default collation, which is also that of a literal with an
# introducer, so that the two never are an illegal mix.
_PREPARE = b"SET NAMES utf8mb4, autocommit = 1"
_NOTHING = b"DO 0"  # leaves the warnings of the statement before it, as a statement without tables


class Result(NamedTuple):
    """What came of a statement."""

    rowcount: int  # rows returned, or changed: an UPDATE to the value that was there changes none
    lastrowid: int  # the first AUTO_INCREMENT value of an INSERT, 0 if none or with RETURNING
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


class DriverConnection(ABC):
    """Send statements to a server, one at a time, through a client library of PyMySQL's family.

    A statement that is cancelled or not answered in time closes the connection: nobody can get the
    answer to somebody else's statement.
    """

    library: ClassVar[str]
    extra: ClassVar[str]

    def __init__(self, client: Any) -> None:
        self.client = client
        self.closed = False
        self.busy = False
        self._status = AUTOCOMMIT

    @classmethod
    def load(cls) -> Any:
        """Import the client library; raises `MissingExtra`."""
        return require(cls.library, cls.extra)

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

    async def query(self, sql: bytes, deadline: float) -> Result:
        """Send a statement and read the answer; ``deadline`` is in the time of the loop.

        Raises `DatabaseError`. Only if the server said so the connection can go on.
        """
        if self.closed:
            raise ConnectionLost("the connection was lost before this statement")
        if self.busy:
            raise ProgrammingError("another task is in the middle of a statement on the connection")
        self.busy = True
        whole = False  # whether the answer was read to its end
        try:
            async with asyncio.timeout_at(deadline):
                result = await self._ask(sql)
            whole = True
        except TimeoutError:
            raise QueryTimeout("the server did not answer the statement in time") from None
        except DatabaseError as exc:
            whole = _leaves_in_order(exc)
            raise
        finally:
            self.busy = False
            if not whole:
                self.terminate()
        return result

    async def answers(self, deadline: float) -> bool:
        """Tell whether the server is still there."""
        with suppress(DatabaseError):
            await self.query(_NOTHING, deadline)
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

    async def _ask(self, sql: bytes) -> Result:
        try:
            return await self._query(sql)
        except DatabaseError as exc:
            if _leaves_in_order(exc):
                await self._query(_NOTHING)  # for the status, which an error comes without
            raise

    async def _query(self, sql: bytes) -> Result:
        client = self.client
        try:
            await self._wait(client.query(sql))
            # The libraries' cursors would ask for each warning and raise it as Python's.
            first = last = client._result
            while last.has_next:  # a procedure's status follows its rows
                await self._wait(client.next_result())
                last = client._result
            if last.description is None:  # rows come without the status
                self._status = last.server_status
        except Exception as exc:
            raise meaning(exc) from exc
        columns = tuple(column[0] for column in first.description or ())
        return Result(first.affected_rows, first.insert_id or 0, columns, first.rows or ())

    @classmethod
    @abstractmethod
    async def _connect(cls, address: Address) -> Any:
        """Return a client that is logged in, with nothing left open if that fails."""

    @abstractmethod
    async def _wait(self, call: Awaitable[Any]) -> Any:
        """Await a call of the library, so that cancelling it leaves nothing behind."""

    @abstractmethod
    def _leave(self) -> Awaitable[Any]:
        """Say good-bye, which spares the server's log a line."""


def _leaves_in_order(exc: DatabaseError) -> bool:
    return not isinstance(exc, ConnectionLost) and exc.errno != PACKET_TOO_LARGE


def meaning(exc: Exception) -> DatabaseError:
    """Say what an exception of a library means.

    Only what the server sent leaves a connection in order. All else, be it the network's, the
    library's or ours, leaves it in doubt.
    """
    match exc.args:
        case (int(errno), str(message)) if errno >= 1000 and errno // 1000 != 2:  # 2xxx: client's
            return from_server(errno, getattr(exc, "sqlstate", None), message)
    return ConnectionLost(f"{type(exc).__name__}: {exc}")
