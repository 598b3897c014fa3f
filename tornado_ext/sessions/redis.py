"""Sessions in one Redis, each a hash with a field per key, so that writers of different keys agree.

A record is the hash ``<prefix>session:<key>``: the fields ``created``, ``seen`` and ``user``, or
``replaced`` alone for a tombstone, and ``:<name>`` for each value. Every change is one script:
Redis runs it whole, and nothing in between (Redis documentation, "Scripting with Lua").
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tornado_ext._extras import require
from tornado_ext._redis import RedisServer
from tornado_ext.sessions.errors import SessionCorrupt, StoreTimeout, StoreUnavailable
from tornado_ext.sessions.store import Record, SessionStore

if TYPE_CHECKING:
    from redis.asyncio import Redis

# ARGV: ttl in milliseconds, then field, value, ...
CREATE = """
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""

# ARGV: ttl in milliseconds, time seen, number of fields to delete, these, then field, value, ...
SAVE = """
if redis.call('HEXISTS', KEYS[1], 'created') == 0 then return 0 end
local first = 4 + tonumber(ARGV[3])
for i = 4, first - 1 do redis.call('HDEL', KEYS[1], ARGV[i]) end
for i = first, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], 'seen', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""

# ARGV: how long a tombstone stays, in milliseconds; 0 leaves none.
DELETE = """
local held = redis.call('HGETALL', KEYS[1])
if redis.call('HEXISTS', KEYS[1], 'created') == 1 then
  redis.call('DEL', KEYS[1])
  if ARGV[1] ~= '0' then
    redis.call('HSET', KEYS[1], 'replaced', '1')
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
  end
end
return held
"""


class RedisStore(SessionStore):
    """Keep sessions in a Redis, given by its URL or by a ``redis.asyncio`` client."""

    def __init__(self, server: "str | Redis", *, key_prefix: str = "") -> None:
        """Make a store; it connects at first use.

        :arg server: ``redis://``, ``rediss://`` or ``unix://``; or a client, which stays open
            when the store is closed.
        :arg key_prefix: comes before every key, to share a Redis with others.
        :raises MissingExtra: if redis is not installed.
        :raises ConfigurationError: if the URL can't be right.
        """
        self._server = RedisServer(server, "RedisStore(server)")
        self._prefix = f"{key_prefix}session:"

    @property
    def address(self) -> str:
        """Where the server is, without its password."""
        return self._server.name

    async def load(self, key: str) -> Record | None:
        """Ask for the whole hash; once more, if the connection was lost while it was idle."""
        try:
            return await self._load(key)
        except StoreTimeout:
            raise
        except StoreUnavailable:
            return await self._load(key)

    async def _load(self, key: str) -> Record | None:
        async with self._answering() as redis:
            held = await redis.hgetall(self._prefix + key)
            texts = {_text(name): _text(value) for name, value in held.items()}
        return _record(texts)

    async def create(self, key: str, record: Record, ttl: float) -> None:
        """Write the whole hash."""
        args: list[str | float] = ["created", record.created_at, "seen", record.seen_at]
        if record.user_id is not None:
            args += ["user", record.user_id]
        await self._run(CREATE, key, _milliseconds(ttl), *args, *_pairs(record.fields))

    async def save(
        self,
        key: str,
        changed: Mapping[str, str],
        deleted: Collection[str],
        *,
        seen_at: float,
        ttl: float,
    ) -> bool:
        """Send the changed fields alone."""
        gone = [f":{name}" for name in deleted]
        ttl_and_more = _milliseconds(ttl), seen_at, len(gone)
        return bool(await self._run(SAVE, key, *ttl_and_more, *gone, *_pairs(changed)))

    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        """Delete the hash, or put a tombstone in its place."""
        held = await self._run(DELETE, key, _milliseconds(replaced_for))
        texts = [_text(item) for item in held]
        return _record(dict(zip(texts[::2], texts[1::2], strict=True)))

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._server.close()

    async def _run(self, script: str, key: str, *args: str | float) -> Any:
        async with self._answering() as redis:
            return await redis.register_script(script)(keys=[self._prefix + key], args=args)

    @asynccontextmanager
    async def _answering(self) -> "AsyncIterator[Redis]":
        exceptions = require("redis.exceptions", "redis")
        try:
            async with self._server.answering() as redis:
                yield redis
        except UnicodeDecodeError as exc:
            raise SessionCorrupt(f"a record is no text: {exc}") from exc
        except (TimeoutError, exceptions.TimeoutError) as exc:
            raise StoreTimeout(f"Redis at {self._server.name} did not answer in time") from exc
        except (exceptions.RedisError, OSError) as exc:
            await self._server.forget_idle()
            raise StoreUnavailable(f"Redis at {self._server.name}: {exc}") from exc


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000)) if seconds else 0


def _pairs(fields: Mapping[str, str]) -> list[str]:
    return [part for name, value in fields.items() for part in (f":{name}", value)]


def _text(value: object) -> str:
    # A client of the caller's own may or may not decode replies.
    return value.decode() if isinstance(value, bytes) else str(value)


def _record(held: dict[str, str]) -> Record | None:
    if "replaced" in held:
        return Record(replaced=True)
    if "created" not in held:
        return None
    try:
        created_at, seen_at = float(held["created"]), float(held["seen"])
    except (KeyError, ValueError) as exc:
        raise SessionCorrupt(f"a record has no times: {exc}") from exc
    return Record(
        fields={name[1:]: value for name, value in held.items() if name.startswith(":")},
        created_at=created_at,
        seen_at=seen_at,
        user_id=held.get("user"),
    )
