"""A pool of connections: a slot for each, lent to one borrower at a time."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from time import monotonic
from types import TracebackType

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

AGE_JITTER = 0.2  # connections that were opened together are not all replaced at once
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

    __slots__ = ("_address", "_connection", "_options", "_pool", "expires_at", "used_at")

    def __init__(self, pool: "Pool", address: Address, options: Options) -> None:
        self._pool = pool
        self._address = address
        self._options = options
        self._connection: DriverConnection | None = None
        self.expires_at = 0.0  # on the `time.monotonic` clock, as all times here
        self.used_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None and not self._connection.closed

    @property
    def is_trusted(self) -> bool:
        """Whether there is one, not too old, and not idle for so long that it may be dead."""
        now = monotonic()
        return self._connection is not None and self.used_at + TRUSTED_IDLE > now < self.expires_at

    @property
    def connection(self) -> DriverConnection:
        """The connection, which a slot has while it is lent."""
        return self._connection  # type: ignore[return-value]  # see `Pool.acquire`

    def __enter__(self) -> DriverConnection:
        """Lend the connection for one statement; give the slot back at the end."""
        return self._connection  # type: ignore[return-value]  # see `Pool.acquire`

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        at_rest = self._connection is None or self._connection.at_rest
        self._pool.release(self)
        if exc is None and not at_rest:
            raise ProgrammingError(
                "the statement left a transaction open or autocommit off, which was undone:"
                " use transaction() or acquire()"
            )

    async def connect(self, deadline: float) -> None:
        """See that there is a connection that lives, a new one if need be.

        Raises `ConnectFailed` after ``connect_timeout``, or at the ``deadline``, at the latest.
        """
        now = monotonic()
        connection = self._connection
        timeout = self._options.connect_timeout
        limit = min(timeout, deadline - now)
        try:
            async with asyncio.timeout(limit):
                if connection is not None and now >= self.expires_at:
                    await self.quit()
                    connection = None
                # A connection that says nothing is given half of the time: another one may.
                if connection is None or not await connection.answers(now + timeout / 2):
                    connection = await DRIVERS[self._address.scheme].open(self._address)
                    age = self._options.max_age * random.uniform(1 - AGE_JITTER, 1)  # noqa: S311
                    self.expires_at = now + age
        except TimeoutError:
            raise ConnectFailed(f"{self._address} did not answer within {limit:.2g} s") from None
        except ConnectionLost as exc:
            raise ConnectFailed(f"{self._address}: {exc}") from exc
        self._connection = connection

    def settle(self) -> bool:
        """Drop the connection unless its next borrower would get his own answers.

        Tell whether there still is one.
        """
        self.used_at = monotonic()
        connection = self._connection
        if connection is None:
            return False
        if connection.closed or connection.busy:
            self.terminate()
        elif not connection.at_rest:
            log.warning("a statement left a transaction open or autocommit off: connection closed")
            self.terminate()
        return self._connection is not None

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
        self._slots = [Slot(self, address, options) for _ in range(options.max_size)]
        # While a task waits, none is free: a slot that comes back goes to the first that waits,
        # and not to whoever comes along.
        self._free = deque(self._slots)
        self._waiters: deque[asyncio.Future[Slot]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()  # each has a slot, and releases it
        self._sweeper: asyncio.TimerHandle | None = None
        self._warm = False
        self._closed = False

    async def acquire(self, deadline: float) -> Slot:
        """Return a slot, which must be given to `release`, with a connection in it.

        Raises `PoolTimeout` or what `Slot.connect` raises, at the ``deadline`` at the latest.
        """
        slot = self._free.pop() if self._free and not self._closed else await self._wait(deadline)
        try:
            if not slot.is_trusted:
                if not self._warm:
                    self._warm_up()
                await slot.connect(deadline)
        except BaseException:
            self.release(slot)
            raise
        return slot

    def release(self, slot: Slot) -> None:
        """Take a slot back. Never waits, so that nothing can cancel it."""
        is_open = slot.settle()
        if self._closed:
            slot.terminate()
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(slot)
                return
        if is_open and not self._closed:
            self._free.append(slot)  # the next to be lent
            if self._sweeper is None:
                self._sweep_later()
        else:
            self._free.appendleft(slot)

    async def close(self, timeout: float | None = None) -> None:
        """Close the free connections now, and the lent ones when they come back.

        With a ``timeout``, wait for these, so many seconds; then close them all the same.
        """
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(_closed())
        self._waiters.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(slot.quit() for slot in self._free))
        if timeout is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    while len(self._free) < len(self._slots):
                        self._free.append(await self._turn())
            for slot in self._slots:
                slot.terminate()

    def stats(self) -> PoolStats:
        """Count what there is at this moment."""
        return PoolStats(
            max_size=len(self._slots),
            open=sum(slot.is_open for slot in self._slots),
            in_use=len(self._slots) - len(self._free),
            waiting=sum(not waiter.done() for waiter in self._waiters),
        )

    async def _wait(self, deadline: float) -> Slot:
        if self._closed:
            raise _closed()
        limit = min(self._options.acquire_timeout, deadline - monotonic())
        try:
            async with asyncio.timeout(limit):
                return await self._turn()
        except TimeoutError:
            raise PoolTimeout(
                f"no connection came free within {limit:.2g} s: {self.stats()}"
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
        self._warm = True
        for _ in range(self._options.min_size - 1):
            slot = self._free.popleft()
            self._work_on(slot, partial(slot.connect, inf))

    def _sweep_later(self) -> None:
        pause = self._options.max_idle / 2
        self._sweeper = asyncio.get_running_loop().call_later(pause, self._sweep)

    def _sweep(self) -> None:
        """Close connections that were idle for too long, but keep ``min_size``."""
        self._sweeper = None
        limit = monotonic() - self._options.max_idle
        open_slots = [slot for slot in self._free if slot.is_open]  # the longest idle first
        spare = max(0, self.stats().open - self._options.min_size)
        for slot in open_slots[:spare]:
            if slot.used_at <= limit:
                self._free.remove(slot)
                self._work_on(slot, slot.quit)
        if open_slots:
            self._sweep_later()

    def _work_on(self, slot: Slot, work: Callable[[], Awaitable[object]]) -> None:
        async def run() -> None:
            with suppress(DatabaseError):  # the borrowers see the same and raise it
                await work()

        def end(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self.release(slot)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(end)  # also of a task that is cancelled before it begins


def _closed() -> ProgrammingError:
    return ProgrammingError("the database is closed")
