"""Sessions in the memory of one process."""

import heapq
import os
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace

from tornado.log import app_log
from tornado.process import task_id

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions.errors import LeaseLost, SessionGone
from tornado_ext.sessions.store import (
    MAX_BYTES,
    MAX_KEYS,
    Change,
    Limits,
    Record,
    SessionInfo,
    SessionStore,
)

MAX_SESSIONS = 100_000
BUCKET = 600  # seconds; what expires in the same ones is forgotten together
FORGOTTEN = 4  # expired records, at most, at each new one


@dataclass(slots=True)
class Kept:
    """A record, and what the store knows of it. Times are those of `time.monotonic`."""

    record: Record
    expires_at: float
    fence: int = 0
    leased_until: float = 0.0

    def leased(self, fence: int) -> bool:
        """Tell whether the lease with this fence is not over."""
        return fence == self.fence and time.monotonic() < self.leased_until


class MemoryStore(SessionStore):
    """Keep sessions in this process, for development, tests and small sites: they end with it.

    When it is full, those that were used longest ago make room.
    """

    def __init__(
        self,
        *,
        max_sessions: int = MAX_SESSIONS,
        max_bytes: int = MAX_BYTES,
        max_keys: int = MAX_KEYS,
    ) -> None:
        """Make an empty store of ``max_sessions``; the other two limit each session.

        :raises ConfigurationError: if a limit is no whole number above 0, and in one of several
            processes, whether they are made before or after the store.
        """
        if type(max_sessions) is not int or max_sessions < 1:
            raise ConfigurationError(
                f"max_sessions must be a whole number above 0, not {max_sessions!r}"
            )
        self._limits = Limits(max_bytes, max_keys)
        self._max_sessions = max_sessions
        self._process = os.getpid() if task_id() is None else None
        self._kept: OrderedDict[str, Kept] = OrderedDict()  # used longest ago first
        self._users: dict[str, set[str]] = {}  # keys of each one's sessions
        # Keys by when they expire, and a heap of these times: expiring takes no scan.
        self._buckets: dict[int, set[str]] = {}
        self._due: list[int] = []
        self._was_full = False
        self._require_one_process()

    def __len__(self) -> int:
        """Count the records, tombstones and what has expired but is not forgotten yet."""
        return len(self._kept)

    async def load(self, key: str) -> Record | None:
        """Return a copy of the record."""
        kept = self._live(key)
        return None if kept is None else replace(kept.record, fields=dict(kept.record.fields))

    async def create(self, key: str, record: Record, ttl: float) -> None:
        """Keep a copy of the record."""
        self._limits.check(record.fields)
        if self._live(key) is not None:
            raise SessionGone("this session was ended before it was stored")
        self._drop(key)
        self._forget()
        self._keep(key, Kept(replace(record, fields=dict(record.fields)), 0.0), ttl)
        if record.user_id is not None:
            self._users.setdefault(record.user_id, set()).add(key)

    async def save(self, key: str, change: Change) -> Collection[str] | None:
        """Change the record in place."""
        kept = self._live(key)
        if kept is None or kept.record.replaced:
            return None
        if change.fence is not None and not kept.leased(change.fence):
            raise LeaseLost("the exclusive block took longer than its lease")
        fields = kept.record.fields
        if change.fields:
            rest = {name: text for name, text in fields.items() if name not in change.deleted}
            self._limits.check({**rest, **change.fields})
            fields.update(change.fields)
        kept.record.seen_at = change.seen_at
        self._keep(key, kept, change.ttl)
        return [name for name in change.deleted if fields.pop(name, None) is not None]

    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        """Take the record out."""
        kept = self._live(key)
        if kept is None or kept.record.replaced:
            return await self.load(key)
        self._drop(key)
        if replaced_for:
            tombstone = Record(dict(kept.record.fields), replaced=True)
            self._keep(key, Kept(tombstone, 0.0), replaced_for)
        return kept.record

    async def lease(self, key: str, seconds: float) -> int | None:
        """Count the leases of the record."""
        kept = self._live(key)
        if kept is None or kept.record.replaced or kept.leased(kept.fence):
            return None
        kept.fence, kept.leased_until = kept.fence + 1, time.monotonic() + seconds
        return kept.fence

    async def release(self, key: str, fence: int) -> None:
        """End the lease."""
        kept = self._live(key)
        if kept is not None and kept.fence == fence:
            kept.leased_until = 0.0

    async def sessions_of(self, user_id: str | int) -> list[SessionInfo]:
        """Look into the records of the user."""
        live = {key: self._live(key) for key in self._users.get(str(user_id), ())}
        infos = [SessionInfo.of(key, kept.record) for key, kept in live.items() if kept]
        return sorted(infos, key=lambda info: info.seen_at, reverse=True)

    async def revoke_user(self, user_id: str | int) -> int:
        """Take the records of the user out."""
        keys = list(self._users.get(str(user_id), ()))
        live = [self._live(key) for key in keys]
        for key in keys:
            self._drop(key)
        return len(live) - live.count(None)

    async def close(self) -> None:
        """Forget every session."""
        for held in (self._kept, self._users, self._buckets, self._due):
            held.clear()

    def _live(self, key: str) -> Kept | None:
        self._require_one_process()
        kept = self._kept.get(key)
        if kept is None or kept.expires_at <= time.monotonic():
            return None
        self._kept.move_to_end(key)
        return kept

    def _keep(self, key: str, kept: Kept, ttl: float) -> None:
        self._leave_bucket(key, kept)
        kept.expires_at = time.monotonic() + ttl
        bucket = int(kept.expires_at // BUCKET)
        if bucket not in self._buckets:
            self._buckets[bucket] = set()
            heapq.heappush(self._due, bucket)
        self._buckets[bucket].add(key)
        self._kept[key] = kept

    def _leave_bucket(self, key: str, kept: Kept) -> None:
        self._buckets.get(int(kept.expires_at // BUCKET), set()).discard(key)

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self._leave_bucket(key, kept)
        user_id = kept.record.user_id
        if user_id is not None:
            self._users[user_id].discard(key)
            if not self._users[user_id]:
                del self._users[user_id]

    def _forget(self) -> None:
        """Make room for one more record, and let go of some that have expired."""
        for _ in range(FORGOTTEN):
            while self._due and not self._buckets[self._due[0]]:
                del self._buckets[heapq.heappop(self._due)]
            if not self._due or (self._due[0] + 1) * BUCKET > time.monotonic():
                break
            self._drop(self._buckets[self._due[0]].pop())
        if len(self._kept) >= self._max_sessions:
            if not self._was_full:
                app_log.warning("MemoryStore is full: sessions unused for longest make room")
                self._was_full = True
            self._drop(next(iter(self._kept)))

    def _require_one_process(self) -> None:
        if self._process != os.getpid():
            raise ConfigurationError(
                "MemoryStore can't be used in several processes: each would have sessions of its "
                "own. Use RedisStore"
            )
