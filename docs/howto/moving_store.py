"""A store that moves each session from an old store to a new one when it is first asked for.

``session_store=MovingStore(old, new)`` in all processes for as long as a session may be idle; then
``new`` alone.
"""

import time

from tornado_ext.sessions import SessionGone, SessionStore

IDLE_TIMEOUT = 14 * 86400  # seconds; the setting session_idle_timeout


class MovingStore(SessionStore):
    """Keep new sessions in ``new``, and bring those of ``old`` there."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    async def load(self, key):
        return await self.new.load(key) or await self.move(key)

    async def move(self, key):
        """Move one record, tombstones excepted, and return it; another process may be faster."""
        record = await self.old.load(key)
        if record is None or record.replaced:
            return record
        ttl = min(record.ends_at - time.time(), IDLE_TIMEOUT)
        try:
            await self.new.create(key, record, ttl)
        except SessionGone:
            return await self.new.load(key)
        if await self.old.delete(key) is None:  # it was ended in the moment between
            await self.new.delete(key)
            return None
        return record

    async def create(self, key, record, ttl):
        await self.new.create(key, record, ttl)

    async def save(self, key, change):
        await self.move(key)
        return await self.new.save(key, change)

    async def delete(self, key, *, replaced_for=0):
        await self.move(key)
        return await self.new.delete(key, replaced_for=replaced_for)

    async def lease(self, key, seconds):
        await self.move(key)
        return await self.new.lease(key, seconds)

    async def release(self, key, fence):
        await self.new.release(key, fence)

    async def sessions_of(self, user_id):
        found = await self.new.sessions_of(user_id) + await self.old.sessions_of(user_id)
        by_key = {info.key: info for info in reversed(found)}
        return sorted(by_key.values(), key=lambda info: info.seen_at, reverse=True)

    async def revoke_user(self, user_id):
        return await self.old.revoke_user(user_id) + await self.new.revoke_user(user_id)

    async def close(self):
        await self.old.close()
        await self.new.close()
