"""Sessions in one Redis, each a hash with a field per key, so that writers of different keys agree.

A record is the hash ``<prefix>session:<key>``: ``made`` (when, when it ends, and the user),
``seen`` and ``size``, ``:<name>`` for each value, and, once it was leased, ``fence``, ``leased``
(until when) and ``lent`` (for how long). A tombstone has ``revoked`` alone, or ``replaced`` and the
values, but neither ``made`` nor ``seen`` nor ``size``. The
sorted set ``<prefix>user:<hash>`` has the keys of a user's sessions. Each script has one key: Redis
runs it whole, and nothing in between (Redis documentation, "Scripting with Lua"), and the keys may
be on different nodes of a Cluster.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tornado_ext._extras import require
from tornado_ext._redis import RedisServer
from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions import scripts
from tornado_ext.sessions.codec import key_of
from tornado_ext.sessions.errors import (
    LeaseLost,
    SessionCorrupt,
    SessionGone,
    StoreTimeout,
    StoreUnavailable,
)
from tornado_ext.sessions.indexed import REVOKED_FOR, SETTLED, batches, infos_of
from tornado_ext.sessions.store import (
    MAX_BYTES,
    MAX_KEYS,
    Change,
    Limits,
    Record,
    SessionInfo,
    SessionStore,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster


class RedisStore(SessionStore):
    """Keep sessions in a Redis, given by its URL or by a ``redis.asyncio`` client."""

    def __init__(
        self,
        server: "str | Redis | RedisCluster",
        *,
        key_prefix: str = "",
        max_bytes: int = MAX_BYTES,
        max_keys: int = MAX_KEYS,
    ) -> None:
        """Make a store; it connects at first use.

        :arg server: ``redis://``, ``rediss://`` or ``unix://``; or a client, of Sentinel or Cluster
            too, which stays open when the store is closed.
        :arg key_prefix: comes before every key, to share a Redis with others.
        :arg max_bytes: of one session, its names and JSON texts; ``max_keys`` limits its keys.
        :raises MissingExtra: if redis is not installed.
        :raises ConfigurationError: if the URL, the prefix or a limit can't be right.
        """
        self._server = RedisServer(server, "RedisStore(server)")
        if not isinstance(key_prefix, str):
            raise ConfigurationError(f"key_prefix must be a string, not {key_prefix!r}")
        self._prefix = key_prefix
        self._limits = Limits(max_bytes, max_keys)

    async def load(self, key: str) -> Record | None:
        """Ask for the whole hash."""
        try:
            held = await self._server.send("HGETALL", f"{self._prefix}session:{key}")
        except Exception as exc:
            raise _named(exc, self._server.name) from exc
        return _record(held)

    async def create(self, key: str, record: Record, ttl: float) -> None:
        """Enter the key into its user's index, then write the whole hash."""
        size = self._limits.check(record.fields)
        made = f"{record.created_at!r} {record.ends_at!r}"
        if record.user_id is not None:
            made += f" {record.user_id}"
            lifetime = max(ttl, record.ends_at - record.seen_at)
            await self._enter(key_of(record.user_id), key, lifetime)
        head = _milliseconds(ttl), "made", made, "seen", record.seen_at, "size", size
        if not await self._script(scripts.CREATE, "session", key, *head, *_pairs(record.fields)):
            raise SessionGone("this session was ended before it was stored")

    async def save(self, key: str, change: Change) -> Collection[str] | None:
        """Send the changed fields alone."""
        limits = self._limits.max_bytes, self._limits.max_keys
        head = _milliseconds(change.ttl), change.seen_at, change.fence or "", *limits
        deleted = [f":{name}" for name in change.deleted]
        args = *head, len(deleted), *deleted, *_pairs(change.fields)
        gone = await self._script(scripts.SAVE, "session", key, *args)
        if gone == scripts.LEASE_LOST:
            raise LeaseLost("the exclusive block took longer than its lease")
        if gone == scripts.TOO_LARGE:
            raise self._limits.error()
        return None if gone == scripts.GONE else [name[1:] for name in gone]

    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        """Delete the hash, or put a tombstone in its place."""
        ended = _record(
            await self._script(scripts.DELETE, "session", key, _milliseconds(replaced_for))
        )
        if ended is not None and ended.user_id is not None:
            with suppress(StoreUnavailable):  # it leaves the index at a later login, then
                await self._command("ZREM", "user", key_of(ended.user_id), key)
        return ended

    async def lease(self, key: str, seconds: float) -> int | None:
        """Count the leases in the hash, by the clock of Redis."""
        return await self._script(scripts.LEASE, "session", key, _milliseconds(seconds)) or None

    async def release(self, key: str, fence: int) -> None:
        """End the lease in the hash."""
        await self._script(scripts.RELEASE, "session", key, fence)

    async def sessions_of(self, user_id: str | int) -> list[SessionInfo]:
        """Load what the user's index names."""
        keys = await self._command("ZRANGE", "user", key_of(str(user_id)), 0, -1)
        return await infos_of(keys, self.load)

    async def revoke_user(self, user_id: str | int) -> int:
        """Bury what the user's index names, until it is empty.

        A new id enters the index before its record is stored, and before the record that it
        replaces ends: so it is in the index when this looks again, or meets its tombstone.
        """
        ended, user = 0, key_of(str(user_id))
        while keys := await self._command("ZRANGE", "user", user, 0, -1):
            ended += await self._bury(user, keys, scripts.ANY)
        return ended

    async def close(self) -> None:
        """Close the connection of the running event loop."""
        await self._server.close()

    async def _enter(self, user: str, key: str, lifetime: float) -> None:
        """Put a key into a user's index; some that were in it, and whose records ended, leave."""
        settled = await self._script(
            scripts.ENTER, "user", user, key, _milliseconds(lifetime), _milliseconds(SETTLED)
        )
        with suppress(StoreUnavailable):  # then they leave at a later login
            await self._bury(user, settled, scripts.MISSING)

    async def _bury(self, user: str, keys: Sequence[str], which: str) -> int:
        """Leave tombstones, and take them out of the index; return how many records ended."""
        ended = 0
        failure: BaseException | None = None
        for batch in batches(keys):
            args = _milliseconds(REVOKED_FOR), which
            burying = (self._script(scripts.BURY, "session", key, *args) for key in batch)
            replies = await asyncio.gather(*burying, return_exceptions=True)
            buried = [key for key, reply in zip(batch, replies, strict=True) if reply in (0, 1)]
            if buried:
                await self._command("ZREM", "user", user, *buried)
            ended += replies.count(1)
            failure = next((r for r in replies if isinstance(r, BaseException)), failure)
        if failure is not None:
            raise failure
        return ended

    async def _command(self, verb: str, kind: str, key: str, *args: str | int) -> Any:
        try:
            return await self._server.send(verb, f"{self._prefix}{kind}:{key}", *args)
        except Exception as exc:
            raise _named(exc, self._server.name) from exc

    async def _script(self, script: str, kind: str, key: str, *args: str | float) -> Any:
        try:
            return await self._server.script(script, [f"{self._prefix}{kind}:{key}"], *args)
        except Exception as exc:
            raise _named(exc, self._server.name) from exc


def _named(exc: Exception, server: str) -> Exception:
    """Return the error of ours for what `RedisServer.command` raises."""
    if isinstance(exc, TimeoutError):
        return StoreTimeout(f"Redis at {server} did not answer in time")
    if isinstance(exc, UnicodeDecodeError) or "WRONGTYPE" in str(exc):
        return SessionCorrupt(f"Redis at {server} holds what is no session's record: {exc}")
    if isinstance(exc, (OSError, require("redis.exceptions", "redis").RedisError)):
        return StoreUnavailable(f"Redis at {server}: {exc}")
    return exc


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000)) if seconds else 0


def _pairs(fields: Mapping[str, str]) -> list[str]:
    return [part for name, text in fields.items() for part in (f":{name}", text)]


def _record(held: Sequence[str]) -> Record | None:
    """Return the record of a hash, whose names and values come in turn."""
    items = iter(held)
    texts = dict(zip(items, items, strict=True))
    if not texts or "revoked" in texts:
        return None
    fields = {name[1:]: text for name, text in texts.items() if name[:1] == ":"}
    if "replaced" in texts:
        return Record(fields, replaced=True)
    try:
        created_at, ends_at, *user_id = texts["made"].split(" ", 2)
        seen_at, user = float(texts["seen"]), user_id[0] if user_id else None
        return Record(fields, float(created_at), seen_at, user, ends_at=float(ends_at))
    except (KeyError, ValueError) as exc:
        raise SessionCorrupt(f"a hash is no session's record: {exc!r}") from exc
