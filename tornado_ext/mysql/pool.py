"""A pool of connections: a slot for each, lent to one borrower at a time."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from math import inf

from tornado_ext.mysql._url import Address, Options
from tornado_ext.mysql.drivers import DRIVERS, DriverConnection
from tornado_ext.mysql.errors import (
    ConnectFailed,
    ConnectionLost,
    DatabaseError,
    PoolTimeout,
    ProgrammingError,
)

log = logging.getLogger(__name__)

TRUSTED_IDLE = 0.5  # seconds; a connection that was idle for longer is asked whether it lives


@dataclass(frozen=True, slots=True)
class PoolStats:
    """How many connections there are, and what they do."""

    max_size: int
    open: int
    in_use: int  # slots that are lent, be it for connecting
    waiting: int  # tasks that wait for a slot

    def __str__(self) -> str:
        return (
            f"{self.in_use} of {self.max_size} connections in use, {self.open} open,"
            f" {self.waiting} tasks waiting"
        )


class Slot:
    """A place for one connection. Who holds the slot may use the connection, and nobody else."""

    __slots__ = ("_address", "_connection", "_used_at")

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: DriverConnection | None = None
        self._used_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that may be lent again."""
        return self._connection is not None and self._connection.usable

    async def connect(self, timeout: float, deadline: float) -> DriverConnection:
        """Return a connection that lives, a new one if need be.

        Raises `ConnectFailed` after ``timeout`` seconds, or at the ``deadline``, at the latest.
        """
        now = asyncio.get_running_loop().time()
        limit = min(now + timeout, deadline)
        connection = self._connection
        if connection is not None and now - self._used_at < TRUSTED_IDLE:
            return connection
        try:
            async with asyncio.timeout_at(limit):
                # A connection that says nothing is given half of the time: another one may.
                if connection is None or not await connection.answers(now + timeout / 2):
                    connection = await DRIVERS[self._address.scheme].open(self._address)
        except TimeoutError:
            raise ConnectFailed(
                f"{self._address} did not answer within {limit - now:.2g} s"
            ) from None
        except ConnectionLost as exc:
            raise ConnectFailed(f"{self._address}: {exc}") from exc
        self._connection = connection
        return connection

    def settle(self) -> None:
        """Drop the connection unless its next borrower would get his own answers."""
        self._used_at = asyncio.get_running_loop().time()
        connection = self._connection
        if connection is None or (connection.usable and connection.at_rest):
            return
        if connection.usable:
            log.warning("a statement left a transaction open or autocommit off: connection closed")
        self.terminate()

    def terminate(self) -> None:
        """Close the connection at once."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def quit(self) -> None:
        """Close the connection in good order."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.quit()


class Pool:
    """Lend slots, first come, first served. Connects when a slot is first used. For one loop.

    What can't be counted wrong needs no counter: the slots are made once, and each of them is at
    any time either in the queue or with one borrower.
    """

    def __init__(self, address: Address, options: Options) -> None:
        self._options = options
        self._slots = [Slot(address) for _ in range(options.max_size)]
        # While a task waits, none is free: a slot that comes back goes to the first that waits,
        # and not to whoever comes along.
        self._free = deque(self._slots)
        self._waiters: deque[asyncio.Future[Slot]] = deque()
        self._warming: list[asyncio.Task[None]] | None = None
        self._closed = False

    async def acquire(self, deadline: float) -> tuple[Slot, DriverConnection]:
        """Return a slot, which must be given to `release`, and the connection in it.

        Raises `PoolTimeout` or what `Slot.connect` raises, at the ``deadline`` at the latest.
        """
        slot = await self._take(deadline)
        try:
            if self._warming is None:
                self._warm_up()
            return slot, await slot.connect(self._options.connect_timeout, deadline)
        except BaseException:
            self.release(slot)
            raise

    def release(self, slot: Slot) -> None:
        """Take a slot back. Never waits, so that nothing can cancel it."""
        slot.settle()
        if self._closed:
            slot.terminate()
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(slot)
                return
        if slot.is_open:
            self._free.append(slot)  # the next to be lent
        else:
            self._free.appendleft(slot)

    async def close(self) -> None:
        """Close the free connections now, and the lent ones when they come back."""
        self._closed = True
        warming = self._warming or []
        for task in warming:
            task.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(_closed())
        self._waiters.clear()
        await asyncio.gather(*warming, return_exceptions=True)
        await asyncio.gather(*(slot.quit() for slot in self._free))

    def stats(self) -> PoolStats:
        """Count what there is at this moment."""
        return PoolStats(
            max_size=len(self._slots),
            open=sum(slot.is_open for slot in self._slots),
            in_use=len(self._slots) - len(self._free),
            waiting=sum(not waiter.done() for waiter in self._waiters),
        )

    async def _take(self, deadline: float) -> Slot:
        if self._closed:
            raise _closed()
        if self._free:
            return self._free.pop()
        now = asyncio.get_running_loop().time()
        limit = min(now + self._options.acquire_timeout, deadline)
        try:
            async with asyncio.timeout_at(limit):
                return await self._turn()
        except TimeoutError:
            raise PoolTimeout(
                f"no connection came free within {limit - now:.2g} s: {self.stats()}"
            ) from None

    async def _turn(self) -> Slot:
        waiter: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            # A slot that came in the very moment of the cancellation goes on to the next.
            if not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())
            raise

    def _warm_up(self) -> None:
        """Open connections up to ``min_size``, one of them being the first borrower's."""
        slots = [self._free.popleft() for _ in range(self._options.min_size - 1)]
        self._warming = [asyncio.create_task(self._open(slot)) for slot in slots]

    async def _open(self, slot: Slot) -> None:
        try:
            with suppress(DatabaseError):  # the borrowers see the same and raise it
                await slot.connect(self._options.connect_timeout, inf)
        finally:
            self.release(slot)


def _closed() -> ProgrammingError:
    return ProgrammingError("the database is closed")
