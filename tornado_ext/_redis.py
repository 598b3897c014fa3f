"""Redis servers: clients with bounded waits, one for each event loop."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado_ext._extras import require
from tornado_ext._patience import patience
from tornado_ext.errors import ConfigurationError

if TYPE_CHECKING:
    from redis.asyncio import Redis

TOTAL_TIMEOUT = 0.5  # seconds, for a command with all that it needs, connecting included
CONNECTIONS = 32  # at once; further commands wait for one


class RedisServer:
    """A Redis server given by its URL, or by a ``redis.asyncio`` client of the caller's own."""

    def __init__(self, target: "str | Redis", argument: str) -> None:
        """Check ``target``, which ``argument`` names in messages; connect only at first use.

        :raises MissingExtra: if redis is not installed.
        :raises ConfigurationError: if the URL can't be right.
        """
        redis = require("redis.asyncio", "redis")
        require("hiredis", "redis")
        self._target = target
        self._clients: dict[asyncio.AbstractEventLoop, Redis] = {}
        if isinstance(target, str):
            try:
                redis.ConnectionPool.from_url(target).make_connection()
                options = redis.connection.parse_url(target)
                _check_database(target, options)
            except (ValueError, TypeError) as exc:
                raise ConfigurationError(f"{argument} is not a Redis URL: {exc}") from exc
            self.name = _address(options)
        elif inspect.iscoroutinefunction(getattr(target, "execute_command", None)):
            self.name = repr(target)
        else:
            raise ConfigurationError(
                f"{argument} must be a Redis URL or a redis.asyncio client, not {target!r}"
            )

    @property
    def client(self) -> "Redis":
        """The client of the running event loop: a client must not be used in another."""
        if not isinstance(self._target, str):
            return self._target
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            for ended in [other for other in self._clients if other.is_closed()]:
                del self._clients[ended]
            client = self._clients[loop] = _connect(self._target)
        return client

    @asynccontextmanager
    async def answering(self) -> AsyncIterator["Redis"]:
        """Lend the client for commands that take `TOTAL_TIMEOUT` seconds at most.

        :raises TimeoutError: when they take longer.
        """
        async with patience(TOTAL_TIMEOUT):
            yield self.client

    async def forget_idle(self) -> None:
        """Close connections that nobody uses: after one was lost, the others may be too."""
        if isinstance(self._target, str):
            await self.client.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        """Close the running loop's client; a client of the caller's own is left open."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()


def _connect(url: str) -> "Redis":
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=None,
        decode_responses=True,
        # `RedisServer.answering` bounds the wait, and a busy loop does not cut it short.
        socket_connect_timeout=None,
        socket_timeout=None,
        # With its own retries redis-py 8.1 waits four seconds for a server that refuses.
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


def _check_database(url: str, options: dict[str, Any]) -> None:
    path = urlsplit(url).path.strip("/")
    if "path" not in options and path and not path.isdecimal():
        raise ValueError(f"{path!r} is no number of a database")  # redis-py takes it for 0


def _address(options: dict[str, Any]) -> str:
    """Return the server's address without its password, for messages."""
    if "path" in options:
        return f"unix://{options['path']}"
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db', 0)}"
