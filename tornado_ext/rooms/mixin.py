"""A WebSocket that joins rooms."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from tornado.iostream import IOStream
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from tornado_ext._lifecycle import LifecycleMixin
from tornado_ext.errors import ConfigurationError, Unavailable
from tornado_ext.rooms.bus import LocalBus, Message
from tornado_ext.rooms.client import Outgoing, Pace

if TYPE_CHECKING:

    class _Base(LifecycleMixin, WebSocketHandler): ...
else:
    _Base = LifecycleMixin

OnMessage = Callable[[str | bytes], Awaitable[None] | None]


class RoomMixin(_Base):
    """Join rooms, and broadcast to everyone in them. For `tornado.websocket.WebSocketHandler`.

    A socket that closes leaves its rooms by itself. The setting ``room_message_rate`` is how many
    messages a second are taken from a client, and ``room_message_burst`` how many at once after a
    pause; those beyond wait in its own connection.
    """

    _ext_rooms: frozenset[str] = frozenset()
    _ext_user: tuple[str | None, str | None] = (None, None)  # the id, and his session's key
    _ext_logged_out = False  # by `disconnect_user`
    _ext_token = b""  # names this socket among those of all processes, once it has to be
    _ext_pace: Pace | None = None
    _ext_outgoing: Outgoing

    @classmethod
    def _ext_check(cls, application: Application) -> None:
        super()._ext_check(application)
        _room_bus(application)
        _pace(application)

    @classmethod
    def _ext_surround_overrides(cls) -> None:
        super()._ext_surround_overrides()
        if hasattr(cls, "on_message"):
            cls._ext_surround("on_message", RoomMixin._ext_run_on_message)

    async def join(self, room: str, name: str | None = None) -> None:
        """Enter ``room``, and be listed in its `members` under ``name``, if one is given.

        What is broadcast after this has returned arrives. Joining again changes the name at most.
        While Redis is away, the room is joined in this process; in the others when it is back.
        Raises `tornado.websocket.WebSocketClosedError` if the socket is not open.
        """
        bus = _room_bus(self.application)
        if self.ws_connection is None or self.ws_connection.is_closing():
            raise WebSocketClosedError
        joining = bus.join(room, self, name)
        self._ext_rooms |= {room}
        await joining

    async def leave(self, room: str) -> None:
        """Leave ``room``; does nothing if this socket is not in it."""
        if room in self._ext_rooms:
            self._ext_rooms -= {room}
            await _room_bus(self.application).leave(room, self)

    async def broadcast(
        self, room: str, message: Message, *, except_: "RoomMixin | None" = None
    ) -> None:
        """Send a text, bytes, or a dict or list as JSON, to every socket in ``room``.

        This one is included, unless it is ``except_``. Each gets it once, and all get the messages
        of a room in one order. Raises `BusUnavailable` when it is only sure that this process's
        sockets got it, and ValueError for more than the bus lets wait for a client.
        """
        await _room_bus(self.application).publish(room, message, except_=except_)

    async def members(self, room: str) -> list[str]:
        """Return the names in ``room`` on all processes, sorted. Raises `BusUnavailable`."""
        return await _room_bus(self.application).members(room)

    def detach(self) -> IOStream:
        """Take the stream out of HTTP, as Tornado does, and bound what may wait in it."""
        stream = super().detach()
        bus = _room_bus(self.application)
        self._ext_outgoing = Outgoing(self, stream, bus.outgoing_bytes, bus.outgoing_seconds)
        self._ext_pace = _pace(self.application)
        try:
            self._ext_user = self._ext_identity()
        except BaseException:
            stream.close()  # nobody else has it
            raise
        # Tornado 6.6 does not call on_connection_close() when open() fails.
        stream.set_close_callback(self._ext_leave_rooms)
        bus._sockets.add(self)
        return stream

    def on_connection_close(self) -> None:
        """Leave all rooms, then call ``on_close``, as Tornado does."""
        self._ext_leave_rooms()
        super().on_connection_close()

    def _ext_identity(self) -> tuple[str | None, str | None]:
        session = getattr(self, "_ext_session", None)
        if session is not None:
            return session.user_id, session.key
        with suppress(Unavailable):  # its session's store; the handler fails itself, if it needs it
            if isinstance(user := self.current_user, (str, int)):
                return str(user), None
        return None, None

    def _ext_leave_rooms(self) -> None:
        bus = _room_bus(self.application)
        bus._sockets.discard(self)
        rooms, self._ext_rooms = self._ext_rooms, frozenset()
        for room in rooms:
            bus.leave_soon(room, self)

    def _ext_run_on_message(
        self, on_message: OnMessage, message: str | bytes
    ) -> Awaitable[None] | None:
        if self._ext_pace is not None:
            wait = self._ext_pace.wait(asyncio.get_running_loop().time())
            if wait > 0:  # Tornado reads no more of this connection meanwhile
                return self._ext_take_later(wait, on_message, message)
        # Tornado 6.6 takes messages until the client has answered the close frame.
        return None if self._ext_logged_out else on_message(message)

    async def _ext_take_later(
        self, wait: float, on_message: OnMessage, message: str | bytes
    ) -> None:
        await asyncio.sleep(wait)
        if not self._ext_logged_out and (handling := on_message(message)) is not None:
            await handling


def _room_bus(application: Application) -> LocalBus:
    """Return the setting ``room_bus``, or raise `ConfigurationError`."""
    bus = application.settings.get("room_bus")
    if not isinstance(bus, LocalBus):
        raise ConfigurationError(f"the setting 'room_bus' must be a LocalBus or RedisBus: {bus!r}")
    return bus


def _pace(application: Application) -> Pace | None:
    """Return what the settings say of a client's messages, or raise `ConfigurationError`."""
    rate = application.settings.get("room_message_rate")
    if rate is None:
        return None
    burst = application.settings.get("room_message_burst", 1)
    for name, value in (("rate", rate), ("burst", burst)):
        if not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ConfigurationError(
                f"the setting 'room_message_{name}' must be a number above 0, not {value!r}"
            )
    return Pace(rate, max(burst, 1))
