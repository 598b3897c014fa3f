"""Handlers with the mixin."""

import asyncio
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
from tests.rooms.raw import close_code, raw
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


@pytest.mark.parametrize("rate", [None, 10])
@pytest.mark.gen_test
async def test_who_is_logged_out_says_no_more(
    start: Callable[..., Process], rate: float | None
) -> None:
    process = start(LocalBus(), room_message_rate=rate)
    eve = await raw(process, "/?user=7")
    socket = await process.opened.get()
    taken: list[str | bytes] = []
    socket._taken = taken.append
    await eve.write(b"\x81\x81\0\0\0\0" + b"1")
    await eve.write(b"\x81\x81\0\0\0\0" + b"2")  # with a rate, it waits
    while len(taken) < (1 if rate else 2):
        await asyncio.sleep(0.03)
    await process.bus.disconnect_user("7")
    assert await close_code(eve) == 4401
    await eve.write(b"\x81\x81\0\0\0\0" + b"3")
    await asyncio.sleep(0.15)
    assert taken == (["1"] if rate else ["1", "2"])
    eve.close()


class Nobody(RoomMixin, WebSocketHandler):
    def get_current_user(self) -> None:
        raise KeyError("nobody")


@pytest.mark.gen_test
async def test_a_socket_whose_user_can_not_be_told_is_closed(
    start: Callable[..., Process], caplog: pytest.LogCaptureFixture
) -> None:
    process = start(LocalBus())
    process.server.request_callback.add_handlers(".*", [("/nobody", Nobody)])  # type: ignore[attr-defined]
    stream = await raw(process, "/nobody")
    assert await stream.read_until_close() == b""
    assert "KeyError: 'nobody'" in caplog.text
