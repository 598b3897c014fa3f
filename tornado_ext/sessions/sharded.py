"""Sessions on several independent Redis servers, each on the one that a ring gives it."""

import asyncio
from collections.abc import Mapping

from tornado_ext._redis import RedisServer
from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.sessions.ring import Ring
from tornado_ext.sessions.store import MAX_BYTES, MAX_KEYS


class ShardedRedisStore(RedisStore):
    """Spread sessions over named Redis servers: one that is lost takes only its own along."""

    def __init__(
        self,
        nodes: Mapping[str, str],
        *,
        weights: Mapping[str, int] | None = None,
        key_prefix: str = "",
        max_bytes: int = MAX_BYTES,
        max_keys: int = MAX_KEYS,
    ) -> None:
        """Make a store; it connects at first use.

        :arg nodes: the URL of each server by its name. Where a session belongs depends on the
            names alone: a server may move to another address.
        :arg weights: whole numbers by name, for servers that hold more than others; 1 unless told.
        :arg key_prefix: comes before every key, to share the servers with others.
        :arg max_bytes: of one session, its names and JSON texts; ``max_keys`` limits its keys.
        :raises MissingExtra: if redis or uhashring is not installed.
        :raises ConfigurationError: if nodes, weights, the prefix or a limit can't be right.
        """
        if not isinstance(nodes, Mapping):
            raise ConfigurationError(f"nodes must map names to Redis URLs, not {nodes!r}")
        self._ring = Ring(nodes, weights)
        self._configure(key_prefix, max_bytes, max_keys)
        self._servers: dict[str, RedisServer] = {}
        addresses: dict[str, str] = {}
        for name, url in nodes.items():
            server = self._servers[name] = RedisServer(url, f"nodes[{name!r}]")
            if (other := addresses.setdefault(server.name, name)) != name:
                raise ConfigurationError(
                    f"nodes {other!r} and {name!r} have the same address, {server.name}: "
                    "give more to one server by its weight"
                )

    def owner(self, key: str) -> str:
        """Return the name of the node that keeps the record of ``key``."""
        return self._ring.owner(key)

    async def close(self) -> None:
        """Close the connections of the running event loop to every server."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    def _server_of(self, key: str) -> RedisServer:
        return self._servers[self._ring.owner(key)]
