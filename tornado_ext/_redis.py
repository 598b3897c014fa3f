"""Redis servers: clients with bounded waits, one for each event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tornado_ext._extras import require
from tornado_ext.errors import ConfigurationError

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECT_TIMEOUT = 0.25  # seconds
TOTAL_TIMEOUT = 0.5  # seconds, for a command with all that it needs


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
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Redis] = WeakKeyDictionary()
        if isinstance(target, str):
            try:
                redis.ConnectionPool.from_url(target).make_connection()
            except (ValueError, TypeError) as exc:
                raise ConfigurationError(f"{argument} is not a Redis URL: {exc}") from exc
            self.name = _address(redis.connection.parse_url(target))
        elif callable(getattr(target, "execute_command", None)):
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
            client = self._clients[loop] = _connect(self._target)
        return client

    @asynccontextmanager
    async def answering(self) -> AsyncIterator["Redis"]:
        """Lend the client for commands that take `TOTAL_TIMEOUT` seconds at most.

        :raises TimeoutError: when they take longer.
        """
        async with asyncio.timeout(TOTAL_TIMEOUT):
            yield self.client

    async def close(self) -> None:
        """Close the running loop's client; a client of the caller's own is left open."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()


def _connect(url: str) -> "Redis":
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=CONNECT_TIMEOUT,
        socket_timeout=TOTAL_TIMEOUT,
        # With its own retries redis-py 8.1 waits four seconds for a server that refuses.
        retry=Retry(NoBackoff(), 0),
    )


def _address(options: dict[str, Any]) -> str:
    """Return the server's address without its password, for messages."""
    if "path" in options:
        return f"unix://{options['path']}"
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db', 0)}"
