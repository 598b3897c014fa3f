"""What developers want to see: where sessions are, and how the servers are."""

import os
from dataclasses import dataclass

from tornado.web import authenticated

from demo_app.handlers.base import BaseHandler
from demo_app.ring import drawing
from demo_app.storage.mysql import MySQLStorage
from tornado_ext.sessions.sharded import ShardedRedisStore


@dataclass(frozen=True, slots=True)
class Shard:
    """One of the servers that keep sessions."""

    name: str
    state: str
    why: str
    part: str  # that it plays for this session: owner, replica, or none


class InternalsHandler(BaseHandler):
    """Show how everything is at this moment; the page asks again every two seconds."""

    @authenticated
    async def get(self) -> None:
        """Ask the shards, the pool and the bus; one that is away makes nobody wait for long."""
        store, key = self.session_store, self.session.key
        shards, ring = [], ""
        if isinstance(store, ShardedRedisStore):
            shards = await self.shards(store, key)
            ring = drawing(store, {shard.name: shard.state for shard in shards}, key)
        self.render(
            "internals.html",
            key=key,
            kind=type(store).__name__,
            shards=shards,
            ring=ring,
            pool=self.storage.db.stats() if isinstance(self.storage, MySQLStorage) else None,
            bus=await self.bus.health(),
            pid=os.getpid(),
        )

    async def shards(self, store: ShardedRedisStore, key: str) -> list[Shard]:
        """Return the shards by name."""
        parts = dict(zip(store.owners(key), ("owner", "replica"), strict=False))
        return [
            Shard(name, health.state, health.why, parts.get(name, ""))
            for name, health in sorted((await store.health()).items())
        ]
