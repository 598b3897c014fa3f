"""Rooms across processes, through the pub/sub of a Redis."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from tornado.log import gen_log

from tornado_ext._extras import require
from tornado_ext._redis import RedisServer
from tornado_ext.errors import ConfigurationError
from tornado_ext.rooms.bus import OUTGOING_BYTES, OUTGOING_SECONDS, BusUnavailable, LocalBus
from tornado_ext.rooms.pubsub import PubSub, in_slices

AT_ONCE = 1000  # changes of who is in which room on their way; a connection takes 4,096 commands

# KEYS: a room. ARGV: seconds, then the entries to list for so long; without any, returns all.
# Redis's own clock, because those of the machines differ.
PRESENCE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if #ARGV == 1 then return redis.call('ZRANGE', KEYS[1], 0, -1) end
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
return redis.call('EXPIRE', KEYS[1], 86400)
"""


class RedisBus(LocalBus):
    """Carry messages between the sockets of every process that uses the same Redis.

    ``url`` is ``redis://``, ``rediss://`` or ``unix://``. Redis shares channels between its
    databases: apps on one server need a ``prefix`` each. The names of a process that was killed
    leave `members` within ``heartbeat`` seconds. Connects at first use, once per event loop.
    Raises `MissingExtra` without redis, and `ConfigurationError` for a wrong argument.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "rooms:",
        heartbeat: float = 5.0,
        outgoing_bytes: int = OUTGOING_BYTES,
        outgoing_seconds: float = OUTGOING_SECONDS,
    ) -> None:
        super().__init__(outgoing_bytes=outgoing_bytes, outgoing_seconds=outgoing_seconds)
        for name, value in (("url", url), ("prefix", prefix)):
            if not isinstance(value, str):
                raise ConfigurationError(f"RedisBus: {name} must be a string, not {value!r}")
        self._server = RedisServer(url, "RedisBus: url")
        self._failures = OSError, require("redis.exceptions", "redis").ResponseError
        self._prefix = prefix
        self._heartbeat = self._above_0("heartbeat", heartbeat)

    async def members(self, room: str) -> list[str]:
        """See `RoomMixin.members`."""
        with self._asking():
            entries = await self._server.script(PRESENCE, [self._prefix + room], 0)
        return sorted({entry.partition(":")[2] for entry in entries})

    async def health(self) -> dict[str, object]:
        """See `LocalBus.health`; ``why`` tells what is wrong with Redis."""
        known = await super().health()
        try:
            with self._asking() as redis:
                await redis.check()
                await self._server.command("PING")
        except BusUnavailable as exc:
            known |= {"ok": False, "why": str(exc)}
        return known

    async def close(self) -> None:
        """Close all sockets, as `LocalBus.close` does, then the connections."""
        if self._loop is asyncio.get_running_loop():
            await super().close()
            await self._redis.close()
            await self._server.close()

    def _begin(self) -> None:
        super()._begin()
        self._telling = asyncio.Semaphore(AT_ONCE)
        self._redis = PubSub(
            self._server,
            channels=lambda: [self._prefix + room for room in ("", *self._rooms)],
            on_message=lambda channel, text: self._deliver(channel[len(self._prefix) :], text),
            on_beat=self._renew,
            interval=self._heartbeat / 3,
        )

    async def _carry(self, room: str, packed: bytes) -> None:
        with self._asking() as redis:
            await redis.publish(self._prefix + room, packed)

    @contextmanager
    def _asking(self) -> Iterator[PubSub]:
        self._here()
        try:
            yield self._redis
        except self._failures as exc:
            why = str(exc) or "no answer"
            raise BusUnavailable(f"Redis at {self._server.name}: {why}") from exc

    async def _tell(self, room: str, *names: str | None) -> None:
        """Bring Redis in line with who is in ``room`` here; while it is away, that can wait."""
        channel = self._prefix + room
        async with self._telling:
            with suppress(BusUnavailable), self._asking() as redis:
                for name in names:  # first, at once: before what is asked next
                    if name is not None and name in self._rooms.get(room, {}).values():
                        await self._list(redis, room, [name])
                    elif name is not None:
                        await self._server.command("ZREM", channel, f"{redis.process}:{name}")
            with suppress(BusUnavailable), self._asking() as redis:
                await (redis.listen if room in self._rooms else redis.ignore)(channel)

    async def _renew(self) -> None:
        """List again who is in the rooms here."""
        try:
            await in_slices(self._renew_room, self._rooms)
        except self._failures as exc:  # it may still carry messages
            gen_log.warning("Redis at %s lists no members: %s", self._server.name, exc)

    async def _renew_room(self, room: str) -> None:
        if names := self._names(room):
            await self._list(self._redis, room, names)

    async def _list(self, redis: PubSub, room: str, names: Iterable[str]) -> None:
        entries = (f"{redis.process}:{name}" for name in names)
        await self._server.script(PRESENCE, [self._prefix + room], self._heartbeat, *entries)
