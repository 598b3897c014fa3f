"""WebSocket rooms: who has joined one gets what is broadcast to it, on whatever process he is.

The setting ``room_bus`` carries the messages: `LocalBus` in one process, `RedisBus` between all
that use the same Redis. Rooms keep no history.
"""

import asyncio
import math
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tornado.escape import json_encode, utf8
from tornado.iostream import IOStream
from tornado.log import gen_log
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from tornado_ext._extras import require
from tornado_ext._lifecycle import LifecycleMixin
from tornado_ext._pubsub import PubSub
from tornado_ext._redis import RedisServer
from tornado_ext.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:

    class _Base(LifecycleMixin, WebSocketHandler): ...
else:
    _Base = LifecycleMixin

Message = str | Mapping[str, object] | Sequence[object]

OUTGOING_LIMIT = 2**20  # bytes that may wait for one client
CLOSE_TIMEOUT = 1.0  # seconds for the clients to answer a close frame

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


class BusUnavailable(Unavailable):
    """Redis did not take a message, or could not say who is in a room.

    The sockets of this process got it; others may not have. The bus connects again by itself.
    """


class RoomMixin(_Base):
    """Join rooms, and broadcast to everyone in them. For `tornado.websocket.WebSocketHandler`.

    A socket that closes leaves its rooms by itself. One that does not read what it is sent is
    dropped before more than 1 MiB waits for it.
    """

    _ext_rooms: frozenset[str] = frozenset()
    _ext_room_stream: IOStream

    @classmethod
    def _ext_check(cls, application: Application) -> None:
        super()._ext_check(application)
        _room_bus(application)

    async def join(self, room: str, name: str | None = None) -> None:
        """Enter ``room``, and be listed in its `members` under ``name``, if one is given.

        What is broadcast after this has returned arrives. Joining again changes the name at most.
        While Redis is away, the room is joined in this process; in the others when it is back.
        Raises `tornado.websocket.WebSocketClosedError` if the socket is not open.
        """
        bus = _room_bus(self.application)
        if self.ws_connection is None or self.ws_connection.is_closing():
            raise WebSocketClosedError
        self._ext_rooms |= {room}
        await bus.join(room, self, name)

    async def leave(self, room: str) -> None:
        """Leave ``room``; does nothing if this socket is not in it."""
        self._ext_rooms -= {room}
        await _room_bus(self.application).leave(room, self)

    async def broadcast(self, room: str, message: Message) -> None:
        """Send a text, or a dict or list as JSON, to every socket in ``room``, this one included.

        Each gets it once, and all get the messages of a room in one order. Raises `BusUnavailable`
        when it is only sure that this process's sockets got it, and ValueError for more than 1 MiB.
        """
        await _room_bus(self.application).publish(room, message)

    async def members(self, room: str) -> list[str]:
        """Return the names in ``room`` on all processes, sorted. Raises `BusUnavailable`."""
        return await _room_bus(self.application).members(room)

    def detach(self) -> IOStream:
        """Take the stream out of HTTP, as Tornado does, and bound what may wait in it."""
        self._ext_room_stream = stream = super().detach()
        stream.max_write_buffer_size = OUTGOING_LIMIT
        # Tornado 6.6 does not call on_connection_close() when open() fails.
        stream.set_close_callback(self._ext_leave_rooms)
        return stream

    def on_connection_close(self) -> None:
        """Leave all rooms, then call ``on_close``, as Tornado does."""
        self._ext_leave_rooms()
        super().on_connection_close()

    def _ext_leave_rooms(self) -> None:
        rooms, self._ext_rooms = self._ext_rooms, frozenset()
        for room in rooms:
            _room_bus(self.application).leave_soon(room, self)

    def _ext_room_send(self, text: bytes) -> None:
        try:
            sent = self.write_message(text)
        except WebSocketClosedError:
            return  # it is about to leave
        except Exception as exc:
            gen_log.warning("Dropped the WebSocket of %s: %s", self.request.remote_ip, exc)
            self._ext_room_stream.close()
        else:
            sent.add_done_callback(lambda sent: sent.cancelled() or sent.exception())

    def _ext_room_close(self) -> None:
        try:
            self.close(1012, "service restart")  # IANA's registry of WebSocket close codes
        except Exception:  # a full buffer takes no close frame either
            self._ext_room_stream.close()


class LocalBus:
    """Carry messages between the sockets of this process."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def join(self, room: str, socket: RoomMixin, name: str | None = None) -> None:
        """See `RoomMixin.join`."""
        sockets = self._rooms.setdefault(room, {})
        before, sockets[socket] = sockets.get(socket), name
        await self._tell(room, name, before)

    def leave(self, room: str, socket: RoomMixin) -> Coroutine[Any, Any, None]:
        """See `RoomMixin.leave`. Here it is done at once; what is awaited is that others know."""
        sockets = self._rooms.get(room, {})
        name = sockets.pop(socket, None)
        if not sockets:
            self._rooms.pop(room, None)
        return self._tell(room, name)

    def leave_soon(self, room: str, socket: RoomMixin) -> None:
        """Leave ``room`` without waiting, ahead of what is asked of the bus after this."""
        task = asyncio.create_task(self.leave(room, socket))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def publish(self, room: str, message: Message) -> None:
        """See `RoomMixin.broadcast`."""
        self._deliver(room, _encode(message))

    async def members(self, room: str) -> list[str]:
        """See `RoomMixin.members`."""
        return sorted(self._names(room))

    async def close(self) -> None:
        """Close the sockets in all rooms with 1012 (service restart), in a second at most."""
        for socket in {socket for room in self._rooms.values() for socket in room}:
            socket._ext_room_close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                while self._rooms:
                    await asyncio.sleep(0.01)

    @property
    def _rooms(self) -> dict[str, dict[RoomMixin, str | None]]:
        if self._loop is not asyncio.get_running_loop():
            self._begin()
        return self._joined

    def _begin(self) -> None:
        """Start empty: sockets, as connections, belong to one event loop."""
        self._loop = asyncio.get_running_loop()
        self._joined: dict[str, dict[RoomMixin, str | None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def _tell(self, room: str, *names: str | None) -> None:
        """Override to tell others that ``names`` have come or gone."""

    def _names(self, room: str) -> set[str]:
        return {name for name in self._rooms.get(room, {}).values() if name is not None}

    def _deliver(self, room: str, text: bytes) -> None:
        for socket in list(self._rooms.get(room, ())):
            socket._ext_room_send(text)


class RedisBus(LocalBus):
    """Carry messages between the sockets of every process that uses the same Redis.

    ``url`` is ``redis://``, ``rediss://`` or ``unix://``. Redis shares channels between its
    databases: apps on one server need a ``prefix`` each. The names of a process that was killed
    leave `members` within ``heartbeat`` seconds. Connects at first use, once per event loop.
    Raises `MissingExtra` without redis, and `ConfigurationError` for a wrong argument.
    """

    def __init__(self, url: str, *, prefix: str = "rooms:", heartbeat: float = 5.0) -> None:
        if not isinstance(url, str):
            raise ConfigurationError(f"RedisBus: url must be a string, not {url!r}")
        if not 0 < heartbeat < math.inf:
            raise ConfigurationError(f"RedisBus: heartbeat must be above 0, not {heartbeat!r}")
        self._server = RedisServer(url, "RedisBus: url")
        self._failures = OSError, require("redis.exceptions", "redis").ResponseError
        self._prefix = prefix
        self._heartbeat = heartbeat

    async def publish(self, room: str, message: Message) -> None:
        """See `RoomMixin.broadcast`."""
        with self._asking() as redis:
            await redis.publish(self._prefix + room, _encode(message))

    async def members(self, room: str) -> list[str]:
        """See `RoomMixin.members`."""
        with self._asking():
            entries = await self._server.script(PRESENCE, [self._prefix + room], 0)
        return sorted({entry.partition(":")[2] for entry in entries})

    async def close(self) -> None:
        """Close the sockets in all rooms, as `LocalBus.close` does, then the connections."""
        if self._loop is asyncio.get_running_loop():
            await super().close()
            await self._redis.close()
            await self._server.close()

    def _begin(self) -> None:
        super()._begin()
        self._redis = PubSub(
            self._server,
            channels=lambda: [self._prefix + room for room in self._rooms],
            on_message=lambda channel, text: self._deliver(channel[len(self._prefix) :], text),
            on_beat=self._renew,
            interval=self._heartbeat / 3,
        )

    @contextmanager
    def _asking(self) -> Iterator[PubSub]:
        if self._loop is not asyncio.get_running_loop():
            self._begin()
        try:
            yield self._redis
        except self._failures as exc:
            why = str(exc) or "no answer"
            raise BusUnavailable(f"Redis at {self._server.name}: {why}") from exc

    async def _tell(self, room: str, *names: str | None) -> None:
        """Bring Redis in line with who is in ``room`` here; while it is away, that can wait."""
        channel = self._prefix + room
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
            for room in list(self._rooms):
                if names := self._names(room):
                    await self._list(self._redis, room, names)
        except self._failures as exc:  # it may still carry messages
            gen_log.warning("Redis at %s lists no members: %s", self._server.name, exc)

    async def _list(self, redis: PubSub, room: str, names: Iterable[str]) -> None:
        entries = (f"{redis.process}:{name}" for name in names)
        await self._server.script(PRESENCE, [self._prefix + room], self._heartbeat, *entries)


def _encode(message: Message) -> bytes:
    """Return the text of a WebSocket message."""
    text = utf8(message if isinstance(message, str) else json_encode(message))
    if len(text) > OUTGOING_LIMIT:
        raise ValueError(f"a message of {len(text)} bytes is more than a client's {OUTGOING_LIMIT}")
    return text


def _room_bus(application: Application) -> LocalBus:
    """Return the setting ``room_bus``, or raise `ConfigurationError`."""
    bus = application.settings.get("room_bus")
    if not isinstance(bus, LocalBus):
        raise ConfigurationError(f"the setting 'room_bus' must be a LocalBus or RedisBus: {bus!r}")
    return bus
