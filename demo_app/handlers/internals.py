"""What developers want to see: where sessions are, and how the servers are."""

import os

from tornado.web import authenticated

from demo_app.handlers.base import BaseHandler
from demo_app.ring import drawing
from demo_app.storage.mysql import MySQLStorage
from tornado_ext.sessions.sharded import ShardedRedisStore


class InternalsHandler(BaseHandler):
    """Show how everything is at this moment; the page asks again every two seconds."""

    @authenticated
    async def get(self) -> None:
        """Ask the shards, the pool and the bus; one that is away makes nobody wait for long."""
        store, key = self.session_store, self.session.key
        if isinstance(store, ShardedRedisStore):
            shards = dict(sorted((await store.health()).items()))
            parts = dict(zip(store.owners(key), ("owner", "replica"), strict=False))
            ring = drawing(store, {name: health.state for name, health in shards.items()}, key)
        else:
            shards, parts, ring = {}, {}, ""
        self.render(
            "internals.html",
            key=key,
            kind=type(store).__name__,
            shards=shards,
            parts=parts,
            ring=ring,
            pool=self.storage.db.stats() if isinstance(self.storage, MySQLStorage) else None,
            bus=await self.bus.health(),
            pid=os.getpid(),
        )
