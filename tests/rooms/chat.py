"""An app with a room, and its guests."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import redis.asyncio
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketHandler,
    websocket_connect,
)

from tornado_ext.rooms import BusUnavailable, LocalBus, RoomMixin
from tornado_ext.testing import RedisServer

PATIENCE = 10  # seconds until a test that waits in vain fails
HEARTBEAT = 1.0  # seconds


class ChatSocket(RoomMixin, WebSocketHandler):
    _taken: Callable[[str | bytes], None]

    def open(self) -> None:
        self.closed = asyncio.Event()
        self.application.settings["opened"].put_nowait(self)

    def get_current_user(self) -> str | None:
        return self.get_argument("user", None)

    def on_message(self, message: str | bytes) -> None:
        self._taken(message)

    def on_close(self) -> None:  # without super(): nothing of the mixin depends on it
        self.closed.set()


class FailingSocket(RoomMixin, WebSocketHandler):
    async def open(self) -> None:
        await self.join("lobby", "failing")
        raise ValueError("no")


class Guest(NamedTuple):
    """A client, and the handler that it has on the server."""

    client: WebSocketClientConnection
    socket: ChatSocket

    async def hears(self) -> str | bytes | None:
        return await asyncio.wait_for(self.client.read_message(), PATIENCE)

    async def goes(self) -> None:
        self.client.close()
        await asyncio.wait_for(self.socket.closed.wait(), PATIENCE)


class Process:
    """An app on a port of its own; two with a bus each stand for two processes."""

    def __init__(self, bus: LocalBus, **settings: Any) -> None:
        self.bus = bus
        self.clients: list[WebSocketClientConnection] = []
        self.opened: asyncio.Queue[ChatSocket] = asyncio.Queue()
        handlers: list[Any] = [("/", ChatSocket), ("/failing", FailingSocket)]
        settings |= {"room_bus": bus, "opened": self.opened}
        self.server = HTTPServer(Application(handlers, **settings))
        (listening,) = bind_sockets(0, "127.0.0.1")
        self.server.add_socket(listening)
        self.url = f"ws://127.0.0.1:{listening.getsockname()[1]}"

    async def guest(
        self, room: str | None = "lobby", name: str | None = None, user: str = ""
    ) -> Guest:
        path = f"/?user={user}" if user else "/"
        guest = Guest(await self.connect(path), await self.opened.get())
        if room is not None:
            await guest.socket.join(room, name)
        return guest

    async def connect(self, path: str = "/") -> WebSocketClientConnection:
        self.clients.append(await websocket_connect(self.url + path))
        return self.clients[-1]

    async def close(self) -> None:
        self.server.stop()
        for client in self.clients:
            client.close()
        await self.bus.close()
        await self.server.close_all_connections()


async def forbid(server: RedisServer, command: str) -> None:
    async with redis.asyncio.Redis.from_url(server.url) as admin:
        await admin.acl_setuser("default", enabled=True, commands=[f"-{command}"])


async def hears_until(guest: Guest, text: str) -> list[str | bytes | None]:
    """Return what a guest hears, up to ``text``."""
    heard = [await guest.hears()]
    while heard[-1] != text:
        assert heard[-1] is not None, "closed"
        heard.append(await guest.hears())
    return heard


async def until_back(*buses: LocalBus) -> None:
    """Return when each has Redis again."""
    for bus in buses:
        while True:
            try:
                await bus.publish("nowhere", "hello")
                break
            except BusUnavailable:
                await asyncio.sleep(0.05)
