"""Sessions on several independent Redis servers, each on the one that a ring gives it."""

import asyncio
from collections.abc import Collection, Mapping

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.sessions.ring import Ring
from tornado_ext.sessions.store import Record, SessionStore


class ShardedRedisStore(SessionStore):
    """Spread sessions over named Redis servers: one that is lost takes only its own along."""

    def __init__(
        self,
        nodes: Mapping[str, str],
        *,
        weights: Mapping[str, int] | None = None,
        key_prefix: str = "",
    ) -> None:
        """Make a store; it connects at first use.

        :arg nodes: the URL of each server by its name. Where a session belongs depends on the
            names alone: a server may move to another address.
        :arg weights: whole numbers by name, for servers that hold more than others; 1 unless told.
        :arg key_prefix: comes before every key, to share the servers with others.
        :raises MissingExtra: if redis or uhashring is not installed.
        :raises ConfigurationError: if nodes or weights can't be right.
        """
        if not isinstance(nodes, Mapping):
            raise ConfigurationError(f"nodes must map names to Redis URLs, not {nodes!r}")
        self._ring = Ring(nodes, weights)
        self._shards: dict[str, RedisStore] = {}
        addresses: dict[str, str] = {}
        for name, url in nodes.items():
            try:
                shard = self._shards[name] = RedisStore(url, key_prefix=key_prefix)
            except ConfigurationError as exc:
                raise ConfigurationError(f"nodes[{name!r}]: {exc}") from exc
            if (other := addresses.setdefault(shard.address, name)) != name:
                raise ConfigurationError(
                    f"nodes {other!r} and {name!r} have the same address, {shard.address}: "
                    "give more to one server by its weight"
                )

    def owner(self, key: str) -> str:
        """Return the name of the node that keeps the record of ``key``."""
        return self._ring.owner(key)

    async def load(self, key: str) -> Record | None:
        """Ask the owner."""
        return await self._shard(key).load(key)

    async def create(self, key: str, record: Record, ttl: float) -> None:
        """Write to the owner."""
        await self._shard(key).create(key, record, ttl)

    async def save(
        self,
        key: str,
        changed: Mapping[str, str],
        deleted: Collection[str],
        *,
        seen_at: float,
        ttl: float,
    ) -> bool:
        """Write to the owner."""
        return await self._shard(key).save(key, changed, deleted, seen_at=seen_at, ttl=ttl)

    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        """Delete at the owner."""
        return await self._shard(key).delete(key, replaced_for=replaced_for)

    async def close(self) -> None:
        """Close the connections of the running event loop to every server."""
        await asyncio.gather(*(shard.close() for shard in self._shards.values()))

    def _shard(self, key: str) -> RedisStore:
        return self._shards[self._ring.owner(key)]
