"""Handlers with the mixin."""

from collections.abc import Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.web import Application
from tornado.websocket import (
    WebSocketHandler,
    websocket_connect,
)

from tests.rooms.chat import ChatSocket, Process
from tornado_ext._settings import check_settings
from tornado_ext.errors import ConfigurationError
from tornado_ext.rooms import LocalBus, RoomMixin
from tornado_ext.sessions import SessionMixin
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import RedisServer


class WithSession(SessionMixin, RoomMixin, WebSocketHandler):
    async def open(self) -> None:
        await self.join("lobby")


@pytest.mark.gen_test
async def test_a_socket_that_needs_no_session_opens_without_its_store(
    start: Callable[..., Process], redis_servers: Callable[..., list[RedisServer]]
) -> None:
    (server,) = redis_servers(1)
    process = start(LocalBus(), session_store=RedisStore(server.url))
    process.server.request_callback.add_handlers(".*", [("/with", WithSession)])  # type: ignore[attr-defined]
    server.kill()
    request = HTTPRequest(process.url + "/with", headers={"Cookie": "session=" + "x" * 43})
    client = await websocket_connect(request)
    await process.bus.publish("lobby", "hello")
    assert await client.read_message() == "hello"
    client.close()


@pytest.mark.parametrize("bus", [None, "redis://127.0.0.1"])
@pytest.mark.gen_test
async def test_room_bus_must_be_a_bus(bus: Any) -> None:
    process = Process(LocalBus())
    guest = await process.guest(None)
    guest.socket.settings["room_bus"] = bus
    with pytest.raises(ConfigurationError, match="the setting 'room_bus' must be"):
        await guest.socket.join("lobby")
    guest.socket.settings["room_bus"] = process.bus
    await process.close()


def test_room_bus_is_checked_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="the setting 'room_bus' must be"):
        check_settings(Application([("/", ChatSocket)]))
