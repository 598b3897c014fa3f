"""WebSocket rooms: who has joined one gets what is broadcast to it, on whatever process he is.

The setting ``room_bus`` carries the messages: `LocalBus` in one process, `RedisBus` between all
that use the same Redis. Rooms keep no history.
"""

from tornado_ext.rooms.bus import BusUnavailable, LocalBus, Message
from tornado_ext.rooms.mixin import RoomMixin
from tornado_ext.rooms.redis import RedisBus

__all__ = ["BusUnavailable", "LocalBus", "Message", "RedisBus", "RoomMixin"]
