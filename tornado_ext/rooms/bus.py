"""What carries messages between the sockets of a process; the base of what reaches further."""

import asyncio
import math
import secrets
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tornado.escape import json_decode, json_encode, utf8

from tornado_ext.errors import ConfigurationError, Unavailable
from tornado_ext.rooms.client import BINARY, TEXT, frame

if TYPE_CHECKING:
    from tornado_ext.rooms.mixin import RoomMixin

Message = str | bytes | Mapping[str, object] | Sequence[object]

OUTGOING_BYTES = 2**20  # that may wait for one client
OUTGOING_SECONDS = 20.0  # for which they may
LOGGED_OUT = 4401, "logged out"  # after HTTP's 401
RESTART = 1012, "service restart"  # IANA's registry of WebSocket close codes
BATCH = 200  # sockets that are closed before others have a turn
BATCH_PAUSE = 0.02  # seconds
CLOSE_TIMEOUT = 1.0  # seconds for the clients to answer a close frame


class BusUnavailable(Unavailable):
    """Redis did not take a message, or could not say who is in a room.

    The sockets of this process got it; others may not have. The bus connects again by itself.
    """


class LocalBus:
    """Carry messages between the sockets of this process.

    A client for whom more than ``outgoing_bytes`` wait, or which reads nothing for
    ``outgoing_seconds``, is closed with 1013. Raises `ConfigurationError` for a wrong argument.
    """

    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(
        self,
        *,
        outgoing_bytes: int = OUTGOING_BYTES,
        outgoing_seconds: float = OUTGOING_SECONDS,
    ) -> None:
        self.outgoing_bytes = math.ceil(self._above_0("outgoing_bytes", outgoing_bytes))
        self.outgoing_seconds = self._above_0("outgoing_seconds", outgoing_seconds)

    def join(
        self, room: str, socket: "RoomMixin", name: str | None = None
    ) -> Coroutine[Any, Any, None]:
        """See `RoomMixin.join`. Here it is done at once; what is awaited is that others know."""
        _check_room(room)
        _check_text("a name", name or "")
        self._flush()
        sockets = self._rooms.setdefault(room, {})
        before, sockets[socket] = sockets.get(socket), name
        return self._tell(room, name, before)

    def leave(self, room: str, socket: "RoomMixin") -> Coroutine[Any, Any, None]:
        """See `RoomMixin.leave`. Here it is done at once; what is awaited is that others know."""
        self._flush()
        sockets = self._rooms.get(room, {})
        name = sockets.pop(socket, None)
        if not sockets:
            self._rooms.pop(room, None)
        return self._tell(room, name)

    def leave_soon(self, room: str, socket: "RoomMixin") -> None:
        """Leave ``room`` without waiting, ahead of what is asked of the bus after this."""
        task = asyncio.create_task(self.leave(room, socket))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def publish(
        self, room: str, message: Message, *, except_: "RoomMixin | None" = None
    ) -> None:
        """See `RoomMixin.broadcast`."""
        _check_room(room)
        packed = self._packed(message, except_)
        try:
            await self._carry(room, packed)
        finally:
            await asyncio.sleep(0)  # the turn ends: now the sockets here have been written to

    async def members(self, room: str) -> list[str]:
        """See `RoomMixin.members`."""
        return sorted(self._names(room))

    async def disconnect_user(self, user_id: str | int, *, session: str | None = None) -> None:
        """Close the user's sockets on every process with 4401, within a second.

        With ``session``, the ``session.key`` of one of his sessions, those that it opened alone.
        Call it after the session was ended, or `SessionStore.revoke_user`; a socket that opens
        meanwhile finds out by ``await self.session.reload()`` in its ``open``. Raises
        `BusUnavailable` when it is only sure that the sockets of this process are closed.
        """
        await self._carry("", utf8(json_encode([str(user_id), session])))

    async def health(self) -> dict[str, object]:
        """Return ``ok``, ``why`` not, and how many ``sockets`` and ``rooms`` this process has."""
        return {"ok": True, "why": "", "sockets": len(self._sockets), "rooms": len(self._rooms)}

    async def close(self) -> None:
        """Close all sockets with 1012 (service restart), in batches; give them a second then.

        Those that have not answered by then leave their rooms all the same.
        """
        self._flush()
        for number, socket in enumerate(list(self._sockets), 1):
            socket._ext_outgoing.close(*RESTART)
            if number % BATCH == 0:
                await asyncio.sleep(BATCH_PAUSE)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                while self._sockets:
                    await asyncio.sleep(0.01)
        for socket in list(self._sockets):
            socket._ext_leave_rooms()
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _above_0(self, name: str, value: float) -> float:
        if not isinstance(value, (int, float)) or not 0 < value < math.inf:
            kind = type(self).__name__
            raise ConfigurationError(f"{kind}: {name} must be a number above 0, not {value!r}")
        return value

    @property
    def _rooms(self) -> "dict[str, dict[RoomMixin, str | None]]":
        self._here()
        return self._joined

    @property
    def _sockets(self) -> "set[RoomMixin]":
        self._here()
        return self._open

    def _here(self) -> None:
        if self._loop is not asyncio.get_running_loop():
            self._begin()

    def _begin(self) -> None:
        """Start empty: sockets, as connections, belong to one event loop."""
        self._loop = asyncio.get_running_loop()
        self._open: set[RoomMixin] = set()
        self._joined: dict[str, dict[RoomMixin, str | None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._turn: list[tuple[str, bytes, bytes]] = []  # room, token of whom to leave out, frame

    async def _carry(self, room: str, packed: bytes) -> None:
        """Override to take it to the other processes too."""
        self._deliver(room, packed)

    async def _tell(self, room: str, *names: str | None) -> None:
        """Override to tell others that ``names`` have come or gone."""

    def _names(self, room: str) -> set[str]:
        return {name for name in self._rooms.get(room, {}).values() if name is not None}

    def _packed(self, message: Message, except_: "RoomMixin | None") -> bytes:
        """Return a message as it travels: its opcode, the token of ``except_``, and the payload."""
        if except_ is not None and not except_._ext_token:
            except_._ext_token = secrets.token_hex(8).encode()
        opcode = BINARY if isinstance(message, bytes) else TEXT
        payload = utf8(message if isinstance(message, (str, bytes)) else json_encode(message))
        if len(payload) > self.outgoing_bytes:
            limit = f"a client's {self.outgoing_bytes}"
            raise ValueError(f"a message of {len(payload)} bytes is more than {limit}")
        return b"%d%s %s" % (opcode, except_._ext_token if except_ else b"", payload)

    def _deliver(self, room: str, packed: bytes) -> None:
        """Take what was carried: a message that leaves with this loop turn, or an order."""
        self._here()
        if not room:
            user_id, session = json_decode(packed)
            self._disconnect(user_id, session)
            return
        header, _, payload = packed.partition(b" ")
        if not self._turn:
            asyncio.get_running_loop().call_soon(self._flush)
        self._turn.append((room, header[1:], frame(int(header[:1]), payload)))

    def _flush(self) -> None:
        """Write what this loop turn has brought: once to each client."""
        self._here()
        if not self._turn:
            return
        turn, self._turn = self._turn, []
        outgoing: dict[RoomMixin, list[bytes]] = {}
        for (room, left_out), entries in groupby(turn, key=lambda entry: entry[:2]):
            data = b"".join([entry[2] for entry in entries])
            for socket in self._rooms.get(room, {}):
                if not left_out or socket._ext_token != left_out:
                    outgoing.setdefault(socket, []).append(data)
        for socket, parts in outgoing.items():
            socket._ext_outgoing.send(b"".join(parts))

    def _disconnect(self, user_id: str, session: str | None) -> None:
        self._flush()
        for socket in list(self._sockets):
            user, key = socket._ext_user
            if user == user_id and session in (None, key):
                socket._ext_logged_out = True
                socket._ext_outgoing.close(*LOGGED_OUT)


def _check_room(room: str) -> None:
    if not room:  # the bus's own orders travel in the room without a name
        raise ValueError("a room needs a name")
    _check_text("the name of a room", room)


def _check_text(what: str, text: str) -> None:
    """Raise ValueError for what has no UTF-8: JSON that a client made may bring such a string."""
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"{what} must be Unicode text, not {text!r}") from exc
