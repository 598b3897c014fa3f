"""What a client of the rooms can't do to the others."""

import asyncio
import socket
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.rooms.chat import Guest, Process
from tests.rooms.raw import close_code, raw
from tornado_ext._settings import check_settings
from tornado_ext.errors import ConfigurationError
from tornado_ext.rooms import LocalBus, RedisBus, RoomMixin
from tornado_ext.rooms.client import Pace

KIB = 1024
Start = Callable[..., Process]


class Echo(RoomMixin, WebSocketHandler):
    async def open(self) -> None:
        await self.join("lobby")

    def get_compression_options(self) -> dict[str, Any]:
        return {}

    async def on_message(self, message: str | bytes) -> None:
        await self.broadcast("lobby", message)


async def talk(guest: Guest, times: int, size: int) -> None:
    """Have a guest say something large, and hear it."""
    for number in range(times):
        await guest.socket.broadcast("lobby", f"{number} " + "x" * size)
        assert str(await guest.hears()).startswith(f"{number} ")


@pytest.mark.gen_test
async def test_a_client_that_reads_too_slowly_is_closed_with_1013_and_nobody_else(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(LocalBus(outgoing_bytes=300 * KIB))
    deaf = await raw(process)
    await (await process.opened.get()).join("lobby")
    ann = await process.guest()
    await talk(ann, 40, 256 * KIB)
    assert await close_code(deaf) == 1013
    deaf.close()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "Closed the WebSocket of 127.0.0.1: more than 307200 bytes wait for it"


@pytest.mark.gen_test
async def test_no_more_waits_for_a_deaf_client_than_the_limit(start: Start) -> None:
    process = start(LocalBus(outgoing_bytes=300 * KIB))
    deaf = await raw(process)
    handler = await process.opened.get()
    await handler.join("lobby")
    for _ in range(40):
        await process.bus.publish("lobby", "x" * 256 * KIB)
        assert len(handler._ext_outgoing._stream._write_buffer) <= 301 * KIB
    deaf.close()


@pytest.mark.gen_test
async def test_a_client_that_reads_nothing_for_long_is_closed_with_1013(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(LocalBus(outgoing_bytes=2**30, outgoing_seconds=0.1))
    deaf = await raw(process)
    handler = await process.opened.get()
    await handler.join("lobby")
    for _ in range(40):
        await process.bus.publish("lobby", "x" * 256 * KIB)
    while not caplog.records:
        await asyncio.sleep(0.01)
    assert await close_code(deaf) == 1013
    deaf.close()
    assert "read nothing of the last 0.1 s" in caplog.text


@pytest.mark.gen_test
async def test_a_client_that_stops_reading_after_a_while_is_closed_with_1013(start: Start) -> None:
    process = start(LocalBus(outgoing_bytes=2**30, outgoing_seconds=0.3))
    tired = await raw(process)
    handler = await process.opened.get()
    await handler.join("lobby")
    for _ in range(80):
        await process.bus.publish("lobby", "x" * 256 * KIB)
    await tired.read_bytes(40 * 256 * KIB)  # what waited first, and not what waited last
    while handler.ws_connection is not None:
        await asyncio.sleep(0.01)
    tired.close()


@pytest.mark.gen_test
async def test_a_slow_client_that_keeps_reading_stays(start: Start) -> None:
    process = start(LocalBus(outgoing_bytes=2**30, outgoing_seconds=0.2))
    slow = await raw(process)
    await (await process.opened.get()).join("lobby")
    ann = await process.guest()
    await talk(ann, 20, 256 * KIB)
    for _ in range(20):
        await slow.read_bytes(256 * KIB)
        await asyncio.sleep(0.03)
    await ann.socket.broadcast("lobby", "end")
    assert await ann.hears() == "end"
    assert len(process.bus._sockets) == 2
    slow.close()


@pytest.mark.gen_test
async def test_closing_the_bus_closes_a_client_whose_buffer_has_no_room(start: Start) -> None:
    process = start(LocalBus())
    ann = await process.guest("lobby")
    ann.socket._ext_outgoing._stream.max_write_buffer_size = 1
    await process.bus.close()
    assert await ann.hears() is None
    assert ann.client.close_code == 1012


@pytest.mark.gen_test
async def test_messages_beyond_the_rate_wait_and_none_is_lost(start: Start) -> None:
    process = start(LocalBus(), room_message_rate=50, room_message_burst=5)
    taken: list[float] = []
    loop = asyncio.get_running_loop()
    ann = await process.guest()
    heard: list[str | bytes] = []

    def on_message(message: str | bytes) -> None:
        taken.append(loop.time())
        heard.append(message)

    ann.socket._taken = on_message  # type: ignore[attr-defined]
    began = loop.time()
    for number in range(15):
        await ann.client.write_message(f"{number}")
    while len(heard) < 15:
        await asyncio.sleep(0.01)
    assert heard == [f"{number}" for number in range(15)]
    assert taken[-1] - began >= 10 / 50 - 0.01


def test_a_pace_allows_a_burst_and_then_its_rate() -> None:
    pace = Pace(10, 3)
    assert [round(pace.wait(100.0), 3) for _ in range(5)] == [0, 0, 0, 0.1, 0.2]
    assert pace.wait(200.0) == 0


@pytest.mark.gen_test
async def test_a_flood_slows_nobody_else(start: Start) -> None:
    process = start(LocalBus(), room_message_rate=10)
    flood, ann = await process.guest(), await process.guest()
    for number in range(10_000):
        flood.client.write_message(f"{number}")
    await ann.socket.broadcast("lobby", "hello")
    assert await ann.hears() == "hello"
    flood.client.close()


@pytest.mark.gen_test
async def test_a_message_above_the_size_that_tornado_is_told_closes_with_1009(start: Start) -> None:
    process = start(LocalBus(), websocket_max_message_size=4 * KIB)
    stream = await raw(process)
    hundred_mb = (100 * 2**20).to_bytes(8)
    await stream.write(b"\x81\xff" + hundred_mb + b"mask" + b"x" * 100)
    assert await close_code(stream) == 1009
    stream.close()


@pytest.mark.gen_test
async def test_a_compression_bomb_closes_with_1009(start: Start) -> None:
    process = start(LocalBus(), websocket_max_message_size=64 * KIB)
    process.server.request_callback.add_handlers(".*", [("/echo", Echo)])  # type: ignore[attr-defined]
    stream = await raw(process, "/echo", "Sec-WebSocket-Extensions: permessage-deflate")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflate.compress(b"\0" * 20 * 2**20) + deflate.flush(zlib.Z_SYNC_FLUSH)
    payload = bomb[:-4]
    assert len(payload) < 64 * KIB
    await stream.write(b"\xc1\xfe" + len(payload).to_bytes(2) + b"\0\0\0\0" + payload)
    assert await close_code(stream) == 1009
    stream.close()


@pytest.mark.gen_test
async def test_a_frame_of_a_room_is_read_where_messages_are_compressed(start: Start) -> None:
    process = start(LocalBus())
    process.server.request_callback.add_handlers(".*", [("/echo", Echo)])  # type: ignore[attr-defined]
    client = await websocket_connect(process.url + "/echo", compression_options={})
    await client.write_message("x" * 1000)
    assert await client.read_message() == "x" * 1000
    client.close()


@pytest.mark.gen_test(timeout=10)
async def test_a_client_that_answers_no_ping_is_closed(start: Start) -> None:
    process = start(LocalBus(), websocket_ping_interval=0.2, websocket_ping_timeout=0.1)
    stream = await raw(process)
    handler = await process.opened.get()
    await handler.join("lobby", "mute")
    assert await close_code(stream) == 1000
    stream.close()
    await handler.closed.wait()
    assert await process.bus.members("lobby") == []


@pytest.mark.parametrize("bus", [LocalBus, lambda **limits: RedisBus("redis://h", **limits)])
@pytest.mark.parametrize("name", ["outgoing_bytes", "outgoing_seconds"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "1"])
def test_a_wrong_limit_is_refused(bus: Any, name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"Bus: {name} must be a number above 0"):
        bus(**{name: value})


@pytest.mark.parametrize("name", ["rate", "burst"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), "fast"])
def test_a_wrong_rate_is_refused_at_the_start(name: str, value: Any) -> None:
    settings: dict[str, Any] = {"room_message_rate": 1, f"room_message_{name}": value}
    with pytest.raises(ConfigurationError, match=f"'room_message_{name}' must be a number above 0"):
        check_settings(Application([("/", Echo)], room_bus=LocalBus(), **settings))


@pytest.mark.gen_test
async def test_a_client_whose_buffer_is_full_can_still_ping(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(LocalBus(outgoing_bytes=300 * KIB))
    deaf = await raw(process)
    handler = await process.opened.get()
    await handler.join("lobby")
    waiting = handler._ext_outgoing._stream._write_buffer
    while len(waiting) < 300 * KIB - 100:
        await process.bus.publish("lobby", "x" * min(64 * KIB, 300 * KIB - len(waiting) - 20))
    pinged = asyncio.Event()
    handler.on_ping = lambda _: pinged.set()  # type: ignore[method-assign]
    await deaf.write(b"\x89\xfd\0\0\0\0" + b"p" * 125)
    await pinged.wait()
    assert not handler.closed.is_set()
    assert caplog.text == ""
    deaf.close()


class Unclosable(RoomMixin, WebSocketHandler):
    async def open(self) -> None:
        await self.join("lobby")

    def close(self) -> None:  # type: ignore[override]
        """As nobody else calls it."""


@pytest.mark.gen_test
async def test_a_handler_whose_close_fails_keeps_no_other_socket_open(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(LocalBus())
    process.server.request_callback.add_handlers(".*", [("/own", Unclosable)])  # type: ignore[attr-defined]
    unclosable = [await raw(process, "/own") for _ in range(3)]
    ann = await process.guest()
    await process.bus.close()
    assert await ann.hears() is None
    assert ann.client.close_code == 1012
    for stream in unclosable:
        assert await stream.read_until_close() == b""
    assert "Unclosable.close() failed" in caplog.text


@pytest.mark.gen_test
async def test_a_client_that_resets_its_connection_does_not_disturb_the_others(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(LocalBus())
    rude = await raw(process)
    await (await process.opened.get()).join("lobby")
    ann = await process.guest()
    rude.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    rude.close()
    await process.bus.publish("lobby", "hello")
    assert await ann.hears() == "hello"
    assert caplog.text == ""


@pytest.mark.gen_test
async def test_a_client_whose_kernel_takes_nothing_more_is_not_closed(start: Start) -> None:
    process = start(LocalBus())
    full = await raw(process)
    handler = await process.opened.get()
    await handler.join("lobby")
    stream = handler._ext_outgoing._stream
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += stream.socket.send(b"\x89\0" * 1000)
    await process.bus.publish("lobby", "hello")
    assert await full.read_bytes(sent + 7) == b"\x89\0" * (sent // 2) + b"\x81\x05hello"
    full.close()
