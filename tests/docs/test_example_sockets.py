"""docs/examples/websocket_by_hand.py: what is done by hand is what Tornado does."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from tornado.websocket import websocket_connect

from tests.examples import example, started


@pytest.fixture(scope="module", params=["by hand", "with Tornado"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with started("websocket_by_hand", "0", "0") as lines:
        by_hand, tornado = (line.split()[-1] for line in lines)
        yield by_hand if request.param == "by hand" else tornado.replace("http", "ws") + "/echo"


@pytest.mark.gen_test
@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536])
async def test_messages_of_every_form_of_length_come_back(url: str, length: int) -> None:
    client = await websocket_connect(url)
    for message in ("é" * (length // 2), os.urandom(length)):
        await client.write_message(message, binary=isinstance(message, bytes))
        assert await client.read_message() == message
    client.close()


@pytest.mark.gen_test
async def test_a_ping_is_answered_and_a_close_too(url: str) -> None:
    pongs: asyncio.Queue[bytes] = asyncio.Queue()
    client = await websocket_connect(url)
    client.on_pong = pongs.put_nowait  # type: ignore[method-assign]
    client.ping(b"one")
    assert await pongs.get() == b"one"
    client.close(1000, "bye")
    assert await client.read_message() is None
    assert client.close_code == 1000


@pytest.mark.gen_test
@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\xff\r\n\r\n"])
async def test_who_does_not_shake_hands_is_not_served(url: str, request_: bytes) -> None:
    host, port = url.removesuffix("/echo").removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request_)
    writer.write_eof()
    assert b"101 Switching" not in await reader.read()
    writer.close()


def test_the_handshake_is_the_one_of_the_rfc() -> None:
    """Section 1.3 has the key and what it becomes."""
    key = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    reply = example("websocket_by_hand").handshake(key)
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in reply


@pytest.mark.gen_test
async def test_frames_are_those_of_the_rfc() -> None:
    """Section 5.7 has a masked "Hello", and one that is not."""
    module = example("websocket_by_hand")
    reader = asyncio.StreamReader()
    reader.feed_data(bytes.fromhex("818537fa213d7f9f4d5158"))
    assert await module.read_frame(reader) == (1, b"Hello")
    assert module.frame(1, b"Hello") == bytes.fromhex("810548656c6c6f")


def test_a_length_takes_as_few_bytes_as_can_hold_it() -> None:
    """Section 5.2: "the minimal number of bytes MUST be used"."""
    frame = example("websocket_by_hand").frame
    assert frame(2, bytes(125))[:2] == b"\x82\x7d"
    assert frame(2, bytes(126))[:4] == b"\x82\x7e\x00\x7e"
    assert frame(2, bytes(65535))[:4] == b"\x82\x7e\xff\xff"
    assert frame(2, bytes(65536))[:10] == b"\x82\x7f" + (65536).to_bytes(8, "big")
