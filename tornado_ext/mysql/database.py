"""The database as an application sees it."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ssl import SSLContext
from typing import TypeVar

from tornado_ext.errors import ConfigurationError
from tornado_ext.mysql._url import parse
from tornado_ext.mysql.connection import Connection
from tornado_ext.mysql.drivers import DRIVERS, Limit
from tornado_ext.mysql.errors import Deadlock, LockTimeout
from tornado_ext.mysql.pool import Pool, PoolStats, Slot
from tornado_ext.mysql.queries import Queries, Seconds

RETRY_PAUSE = 0.05  # seconds at most before the first retry, twice that before the next

T = TypeVar("T")


class Database(Queries):
    """Run statements on a MySQL or MariaDB server, each on a connection of a pool.

    ``url`` is ``mysql://user:password@host:3306/database`` for asyncmy, and ``mysql+tornado://``
    for Tornado-MySQL. Options, as arguments or in the URL's query:

    - ``min_size`` (1) and ``max_size`` (10) connections;
    - ``timeout`` (30): seconds that a call may take;
    - ``connect_timeout`` (0.8): seconds of it until a connection is there;
    - ``acquire_timeout`` (5): seconds of it until a connection of the pool is free;
    - ``max_idle`` (300) and ``max_age`` (3600): seconds after which a connection is closed or
      replaced; of ``max_age``, as much as a fifth less, by chance;
    - ``slow_query`` (1): seconds from which on a statement is logged;
    - ``ssl``: connect with TLS, and check the server's certificate against this
      `ssl.SSLContext`, this file of CA certificates, or ``"system"``'s.

    Connects on first use. Statements outside `transaction` are committed at once. Raises
    `ConfigurationError` or `MissingExtra`; all else raises `DatabaseError`.
    """

    def __init__(self, url: str, *, ssl: SSLContext | str | None = None, **options: float) -> None:
        given = options if ssl is None else {**options, "ssl": ssl}
        self._address, checked = parse(url, given, DRIVERS)
        super().__init__(checked)
        driver = DRIVERS[self._address.scheme]
        if self._address.tls is not None and not driver.has_tls:
            raise ConfigurationError("ssl needs mysql://, which is asyncmy")
        driver.load()
        self._pools: dict[asyncio.AbstractEventLoop, Pool] = {}

    def __repr__(self) -> str:
        return f"<Database {self._address}>"

    async def run_transaction(
        self,
        unit: Callable[[Connection], Awaitable[T]],
        *,
        retries: int = 3,
        isolation: str | None = None,
    ) -> T:
        """Return what ``await unit(tx)`` does, in a transaction of its own.

        After `Deadlock` or `LockTimeout` it is run again, as often as ``retries``, so that it must
        do nothing but what the transaction undoes.
        """
        for attempt in range(retries):
            with suppress(Deadlock, LockTimeout):
                async with self.transaction(isolation=isolation) as tx:
                    return await unit(tx)
            await asyncio.sleep(random.uniform(0, RETRY_PAUSE * 2**attempt))  # noqa: S311
        async with self.transaction(isolation=isolation) as tx:
            return await unit(tx)

    @asynccontextmanager
    async def acquire(self, *, timeout: Seconds = None) -> AsyncIterator[Connection]:
        """Lend one connection for the block, with variables and settings of its own.

        It is closed after the block, so that nothing of them reaches the next borrower.
        """
        async with self._lend(self._limit(timeout)) as (slot, connection):
            try:
                yield connection
            finally:
                await slot.quit()

    def stats(self) -> PoolStats:
        """Count the connections of the running event loop."""
        return self._pool.stats()

    async def close(self, timeout: float | None = None) -> None:
        """Close the connections of the running event loop: the lent ones when they come back.

        With a ``timeout``, wait for these, so many seconds; then close them all the same.
        """
        await self._pool.close(timeout)

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
    async def _lend(self, limit: Limit) -> AsyncIterator[tuple[Slot, Connection]]:
        pool = self._pool
        slot = await pool.acquire(limit.deadline)
        connection = Connection(slot.connection, self._options)
        try:
            yield slot, connection
        finally:
            connection._left = True
            pool.release(slot)

    def _driver(self, limit: Limit) -> Awaitable[Slot]:
        return self._pool.acquire(limit.deadline)

    @asynccontextmanager
    async def _transaction(
        self, limit: Limit, isolation: str | None = None, read_only: bool = False
    ) -> AsyncIterator[Connection]:
        async with (
            self._lend(limit) as (_, connection),
            connection._transaction(limit, isolation, read_only),
        ):
            yield connection
