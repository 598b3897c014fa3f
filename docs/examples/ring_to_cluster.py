# Run it: python ring_to_cluster.py CLUSTER_URL BEGINS NAME=URL...   (needs tornado-ext[redis])
"""Sessions that move from a ring to a Redis Cluster while the app serves.

Until BEGINS, in seconds since the epoch, all are in the ring; from then on each moves when it is
asked for. docs/sharding-to-cluster.md says how to use it.
"""

import asyncio
import sys
import time
from contextlib import suppress

from redis.asyncio.cluster import RedisCluster
from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.serving import serve
from tornado_ext.sessions import SessionBusy, SessionGone, SessionMixin, SessionStore
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.sessions.sharded import ShardedRedisStore

IDLE_TIMEOUT = 14 * 86400  # seconds; the setting session_idle_timeout
QUIET = 3.0  # seconds in which requests wait, for what was begun before them to be over
LEASE = 10.0  # seconds for which one request moves a session, and others wait for it
PAUSE = 0.02  # seconds between two attempts


class MovingStore(SessionStore):
    """Keep sessions in ``old``; when a time has come, move each to ``new`` at its first use.

    From then on nobody writes to ``old``. A lease there lets one request at a time move a session.
    """

    def __init__(self, old, new, begins):
        self.old, self.new, self.begins = old, new, begins

    async def has_begun(self):
        left = self.begins + QUIET - time.time()
        if 0 < left <= QUIET:
            await asyncio.sleep(left)
        return left <= QUIET

    async def move(self, key):
        """Have ``new`` keep what ``old`` has; what is in ``new`` already stays."""
        deadline = time.monotonic() + 2 * LEASE
        while (record := await self.old.load(key)) is not None and not record.replaced:
            began = time.monotonic()
            if await self.old.lease(key, LEASE) is None:  # it is moved, or was lent before
                if began > deadline:
                    raise SessionBusy("this session is being moved")
                await asyncio.sleep(PAUSE)
                continue
            if time.monotonic() - began > LEASE / 2:
                continue  # the lease may be over before this is
            if (ttl := min(record.ends_at, record.seen_at + IDLE_TIMEOUT) - time.time()) > 0:
                with suppress(SessionGone):  # who moved it before was cut short
                    await self.new.create(key, record, ttl)
            await self.old.delete(key)

    async def load(self, key):
        if not await self.has_begun():
            return await self.old.load(key)
        if (record := await self.new.load(key)) is None:
            await self.move(key)
            record = await self.new.load(key) or await self.old.load(key)  # a tombstone
        return record

    async def create(self, key, record, ttl):
        store = self.new if await self.has_begun() else self.old
        await store.create(key, record, ttl)

    async def save(self, key, change):
        if not await self.has_begun():
            return await self.old.save(key, change)
        if (kept := await self.new.save(key, change)) is None:
            await self.move(key)
            kept = await self.new.save(key, change)
        return kept

    async def delete(self, key, *, replaced_for=0):
        if not await self.has_begun():
            return await self.old.delete(key, replaced_for=replaced_for)
        await self.move(key)  # first: what is in ``old`` ends, whatever becomes of this
        return await self.new.delete(key, replaced_for=replaced_for)

    async def lease(self, key, seconds):
        if not await self.has_begun():
            return await self.old.lease(key, seconds)
        await self.move(key)
        return await self.new.lease(key, seconds)

    async def release(self, key, fence):
        await self.old.release(key, fence)
        if await self.has_begun():
            await self.new.release(key, fence)

    async def sessions_of(self, user_id):
        if not await self.has_begun():
            return await self.old.sessions_of(user_id)
        await self.move_all(user_id)
        return await self.new.sessions_of(user_id)

    async def revoke_user(self, user_id):
        if not await self.has_begun():
            return await self.old.revoke_user(user_id)
        await self.move_all(user_id)
        return await self.new.revoke_user(user_id)

    async def move_all(self, user_id):
        for info in await self.old.sessions_of(user_id):
            await self.move(info.key)

    async def close(self):
        await self.old.close()
        await self.new.close()


class Notes(SessionMixin, MiddlewareMixin, RequestHandler):
    def get(self):
        self.write({"user": self.session.user_id, "notes": dict(self.session)})

    def post(self):
        self.session[self.get_argument("name")] = self.get_argument("text")


class Login(SessionMixin, MiddlewareMixin, RequestHandler):
    def post(self):
        self.session.login(self.get_argument("name"))


class Logout(SessionMixin, MiddlewareMixin, RequestHandler):
    def post(self):
        self.session.logout()


def make_app(store, **settings):
    routes = [("/", Notes), ("/login", Login), ("/logout", Logout)]
    return Application(routes, session_store=store, **settings)


async def start(cluster_url, begins, *nodes):
    ring = ShardedRedisStore(dict(node.split("=", 1) for node in nodes))
    cluster = RedisCluster.from_url(cluster_url)
    await cluster.initialize()  # before there are requests: redis-py 8.1 may fail many at once
    store = MovingStore(ring, RedisStore(cluster), float(begins))
    return make_app(store, redis_client=cluster)  # a client of one's own is one's own to close


if __name__ == "__main__":
    serve(lambda: start(*sys.argv[1:]), 8888)
