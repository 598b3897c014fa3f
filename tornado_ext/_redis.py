"""Redis servers: commands with bounded waits, on one connection for each event loop."""

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from hashlib import sha1
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado_ext._extras import require
from tornado_ext._patience import patience
from tornado_ext._shared import SharedConnection
from tornado_ext.errors import ConfigurationError

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool, Redis, RedisCluster
    from redis.asyncio.connection import AbstractConnection

TOTAL_TIMEOUT = 0.5  # seconds, for a command with all that it needs, connecting included
CONNECT_TIMEOUT = 0.25  # seconds, TLS and authentication included

# Whatever the URL says. `SharedConnection` bounds the waits, so that a busy loop cuts none short.
CONNECTION = {
    "protocol": 2,
    "decode_responses": True,
    "encoding": "utf-8",
    "encoding_errors": "strict",
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "socket_read_size": 65536,
    "health_check_interval": 0,
}


class RedisServer:
    """A Redis server given by its URL, or by a ``redis.asyncio`` client of the caller's own.

    Commands to a URL share one connection for each event loop. A client of the caller's own,
    such as Sentinel's or Cluster's, is used as it is.
    """

    def __init__(
        self,
        target: "str | Redis | RedisCluster",
        argument: str,
        on_connect: Callable[[str], None] | None = None,
    ) -> None:
        """Check ``target``, which ``argument`` names in messages; connect only at first use.

        ``on_connect`` is told the run id of the server of a URL, which is another one after each of
        its starts, at each new connection and before any reply on it.

        ``socket_timeout`` and ``socket_connect_timeout`` in the URL's query are in seconds, for a
        command with all that it needs and for connecting; 0.5 and 0.25 by default.

        :raises MissingExtra: if redis is not installed.
        :raises ConfigurationError: if the URL can't be right.
        """
        redis = require("redis.asyncio", "redis")
        require("hiredis", "redis")
        self._errors = require("redis.exceptions", "redis")
        self._target = target
        self._on_connect = on_connect
        self._loops: dict[asyncio.AbstractEventLoop, SharedConnection] = {}
        self.timeout, self._connect_timeout = TOTAL_TIMEOUT, CONNECT_TIMEOUT
        self._pool: ConnectionPool  # never used as one: it knows how to make a connection
        if isinstance(target, str):
            try:
                options = redis.connection.parse_url(target)
                _check_database(target, options)
                self.timeout, self._connect_timeout = _timeouts(options)
                self._pool = redis.ConnectionPool(**options | CONNECTION)
                self._connect(True)
            except (ValueError, TypeError) as exc:
                raise ConfigurationError(f"{argument} is not a Redis URL: {exc}") from exc
            self.name = _address(options)
        elif inspect.iscoroutinefunction(getattr(target, "execute_command", None)):
            self.name = repr(target)
        else:
            raise ConfigurationError(
                f"{argument} must be a Redis URL or a redis.asyncio client, not {target!r}"
            )

    async def command(self, *args: str | bytes | int | float) -> Any:
        """Return the reply to a command: as RESP2 has it, with str in place of bytes.

        :raises TimeoutError: if there was none in time. The command may have been carried out.
        :raises ConnectionError: if Redis is away. A `ConnectionLost` may have been carried out.
        :raises redis.exceptions.ResponseError: if Redis answered with an error.
        :raises UnicodeDecodeError: if the reply is no UTF-8.
        """
        return await self.send(*args)

    def send(self, *args: str | bytes | int | float) -> Awaitable[Any]:
        """Send a command, and return what to await for its reply: `command` in one call less.

        It, or this, raises what `command` raises.
        """
        return self.ask(*args) if isinstance(self._target, str) else self._ask_client(args)

    def ask(self, *args: str | bytes | int | float) -> "asyncio.Future[Any]":
        """Send a command to the server of a URL, and return the future of its reply.

        It, or this, raises what `command` raises.
        """
        return self._shared().ask(*args)

    async def script(self, text: str, keys: Sequence[str], *args: str | bytes | float) -> Any:
        """Run a Lua script, which Redis may or may not know; return and raise as `command` does."""
        try:
            return await self.send("EVALSHA", _sha(text), len(keys), *keys, *args)
        except self._errors.NoScriptError:
            return await self.send("EVAL", text, len(keys), *keys, *args)

    def listener(self, on_push: Callable[[Any], bool]) -> SharedConnection:
        """Return a connection of the caller's own to the server of a URL; replies are bytes."""
        return self._connection(decode=False, on_push=on_push)

    async def close(self) -> None:
        """Close the running loop's connection, once the replies that are due have come or failed.

        A client of the caller's own is left open.
        """
        if (shared := self._loops.pop(asyncio.get_running_loop(), None)) is not None:
            await shared.close()

    def _shared(self) -> SharedConnection:
        loop = asyncio.get_running_loop()
        shared = self._loops.get(loop)
        if shared is None:
            for ended in [other for other in self._loops if other.is_closed()]:
                del self._loops[ended]
            shared = self._loops[loop] = self._connection(decode=True)
        return shared

    def _connection(
        self, *, decode: bool, on_push: Callable[[Any], bool] | None = None
    ) -> SharedConnection:
        connect = partial(self._connect, decode)
        return SharedConnection(connect, self.timeout, self._connect_timeout, on_push)

    def _connect(self, decode: bool) -> "AbstractConnection":
        options = self._pool.connection_kwargs | {"decode_responses": decode}
        if self._on_connect is not None:
            options["redis_connect_func"] = self._greet
        return self._pool.connection_class(**options)

    async def _greet(self, connection: "AbstractConnection") -> None:
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        lines = str(await connection.read_response()).splitlines()
        run_id = next(line for line in lines if line.startswith("run_id:"))
        if self._on_connect is not None:
            self._on_connect(run_id.partition(":")[2])

    async def _ask_client(self, args: tuple[str | bytes | int | float, ...]) -> Any:
        try:
            async with patience(self.timeout):
                return _plain(await self._target.execute_command(*args))  # type: ignore[union-attr]
        except self._errors.ResponseError:
            raise
        except self._errors.TimeoutError as exc:
            raise TimeoutError(str(exc)) from exc
        except (self._errors.RedisError, self._errors.RedisClusterException) as exc:
            raise ConnectionError(str(exc)) from exc
        except AttributeError as exc:  # of redis-py 8.1, while a Cluster is rearranged
            raise ConnectionError(f"a connection was lost: {exc}") from exc


@lru_cache
def _sha(script: str) -> str:
    return sha1(script.encode(), usedforsecurity=False).hexdigest()


def _plain(reply: Any) -> Any:
    """Return what a client made of a reply as `RedisServer.command` has it."""
    if isinstance(reply, bytes):
        return reply.decode()
    if isinstance(reply, dict):
        return [_plain(item) for pair in reply.items() for item in pair]
    if isinstance(reply, list):
        return [_plain(item) for item in reply]
    return reply


def _timeouts(options: dict[str, Any]) -> tuple[float, float]:
    total = options.get("socket_timeout", TOTAL_TIMEOUT)
    connect = options.get("socket_connect_timeout", CONNECT_TIMEOUT)
    if not (0 < total < math.inf and 0 < connect < math.inf):
        raise ValueError("a timeout must be above 0")
    return total, connect


def _check_database(url: str, options: dict[str, Any]) -> None:
    path = urlsplit(url).path.strip("/")
    if "path" not in options and path and not path.isdecimal():
        raise ValueError(f"{path!r} is no number of a database")  # redis-py takes it for 0


def _address(options: dict[str, Any]) -> str:
    """Return the server's address without its password, for messages."""
    if "path" in options:
        return f"unix://{options['path']}"
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db', 0)}"
