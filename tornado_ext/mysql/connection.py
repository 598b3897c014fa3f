"""One connection, lent to one borrower, and the transactions and savepoints on it."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

from tornado_ext.errors import ConfigurationError
from tornado_ext.mysql._url import Options
from tornado_ext.mysql.drivers import DriverConnection, Limit
from tornado_ext.mysql.errors import CommitUnknown, DatabaseError, Deadlock, ProgrammingError
from tornado_ext.mysql.queries import Queries

log = logging.getLogger(__name__)

ISOLATIONS = ("read uncommitted", "read committed", "repeatable read", "serializable")
OUTERMOST = 0  # the number of a transaction; its savepoints have others

_numbers = count(1)  # of savepoints: no two have the same name
# The savepoints around what runs, of any connection. A task has those in which it was made.
_around: "ContextVar[tuple[tuple[Connection, int], ...]]" = ContextVar("_around", default=())


class Connection(Queries):
    """Run statements on one connection, lent by `Database.acquire` or `Database.transaction`.

    For one task at a time, and only in the block.
    """

    def __init__(self, driver: DriverConnection, options: Options) -> None:
        super().__init__(options)
        self._own = driver
        self._left = False
        self._blocks: tuple[int, ...] = ()  # that are open, the innermost last
        self._undone: DatabaseError | None = None  # all of them, by the server

    @property
    def driver_connection(self) -> Any:
        """The client library's own connection."""
        return self._own.client

    @asynccontextmanager
    async def _transaction(
        self, limit: Limit, isolation: str | None = None, read_only: bool = False
    ) -> AsyncIterator["Connection"]:
        number = next(_numbers) if self._blocks else OUTERMOST
        around = _around.get()
        *begin, commit, rollback = _statements(number, isolation, read_only)
        for statement in begin:
            await self._send(statement, limit)
        self._blocks += (number,)
        if number != OUTERMOST:
            _around.set((*around, (self, number)))
        try:
            yield self
            await self._commit(number, commit)
        except Exception:
            await self._roll_back(number, rollback)
            raise
        except BaseException:  # cancelled: the server rolls back when the connection ends
            if self._holds(number):
                self._own.terminate()
            raise
        finally:
            self._blocks = tuple(block for block in self._blocks if block != number)
            if number != OUTERMOST:
                _around.set(around)

    def _holds(self, number: int) -> bool:
        """Whether the connection is still this block's, and not another borrower's."""
        return not self._left and number in self._blocks

    def _end_savepoints(self) -> None:
        """Let the outermost transaction end, whoever is in a savepoint of it."""
        self._blocks = self._blocks[:1]

    async def _commit(self, number: int, statement: bytes) -> None:
        if number not in self._blocks:
            return  # ended with the outermost transaction
        if not self._left and number != self._blocks[-1]:
            raise ProgrammingError("the block ends while another task is in a savepoint within it")
        was_open = not self._own.closed
        try:
            await self._send(statement, self._limit(), ends=True)
        except DatabaseError as exc:
            if number == OUTERMOST and was_open and self._own.closed:
                raise CommitUnknown(f"no answer to COMMIT: {exc}") from exc
            raise

    async def _roll_back(self, number: int, statement: bytes) -> None:
        if not self._holds(number):
            return
        if self._undone is not None and number != OUTERMOST:
            return  # no savepoint is left; the outermost block sends its ROLLBACK
        self._undone = None
        if self._own.closed:
            return
        if number != self._blocks[-1]:
            self._own.terminate()  # with what the other task does in it
            return
        try:
            await self._send(statement, self._limit(), ends=True)
        except DatabaseError as exc:
            log.warning("%s failed, closing the connection: %s", statement.decode(), exc)
            self._own.terminate()

    async def _send(self, statement: bytes, limit: Limit, *, ends: bool = False) -> None:
        with self._statement(ends=ends) as driver:
            await driver.query(statement, limit)

    async def _driver(self, _: Limit) -> AbstractContextManager[DriverConnection]:
        return self._statement()

    @contextmanager
    def _statement(self, *, ends: bool = False) -> Iterator[DriverConnection]:
        """Lend the connection for a statement, or for one that ``ends`` a block."""
        if self._left:
            raise ProgrammingError("a connection was used after its block")
        if self._undone is not None:
            # It would be executed outside of any transaction.
            raise type(self._undone)(*self._undone.args)
        if not ends:
            self._check_savepoint()
        in_block = bool(self._blocks) and not ends
        try:
            yield self._own
        except DatabaseError:
            # Some errors undo the statement, some the transaction: it depends on settings, too.
            if in_block and not self._own.in_transaction:
                self._undone = Deadlock(
                    "an error ended the transaction: leave its block and run it again"
                )
            raise
        if in_block and not self._own.in_transaction:
            self._undone = ProgrammingError(
                "a statement ended the transaction, by COMMIT or ROLLBACK, or as CREATE does"
            )

    def _check_savepoint(self) -> None:
        """Raise unless what runs is in the innermost savepoint, and not in one that has ended."""
        mine = tuple(number for owner, number in _around.get() if owner is self)
        if mine != self._blocks[1:]:
            raise ProgrammingError(
                "another task is in a savepoint of the transaction, or the savepoint of this task"
                " has ended"
            )


def _statements(number: int, isolation: str | None, read_only: bool) -> Iterator[bytes]:
    """Yield what begins, commits and rolls back a transaction, or the savepoint of a number."""
    if number != OUTERMOST:
        if isolation is not None or read_only:
            raise ProgrammingError("isolation and read_only are the outermost transaction's")
        name = b"savepoint_%d" % number
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
