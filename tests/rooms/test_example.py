"""docs/examples/rooms.py, run as its first line says, with real clients."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.examples import DOCS, quoted_classes
from tornado_ext.testing import RedisServer

EXAMPLE = DOCS / "examples" / "rooms.py"
PATIENCE = 20  # seconds until a test that waits in vain fails


class Running:
    """A process that runs the example."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, str(EXAMPLE), "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    async def client(self, name: str) -> WebSocketClientConnection:
        url = self.url.replace("http", "ws")
        return await websocket_connect(f"{url}/socket?name={name}")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    """A function that runs the example until the end of the test."""
    with ExitStack() as stack:

        def run(*arguments: str) -> Running:
            running = Running(*arguments)
            stack.callback(running.close)
            return running

        yield run


async def hears(client: WebSocketClientConnection) -> Any:
    message = await client.read_message()
    assert message is not None, "closed"
    return json.loads(message)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.gen_test(timeout=PATIENCE)
async def test_guests_hear_each_other(
    run: Callable[..., Running], redis_url: str, processes: int
) -> None:
    running = [run()] if processes == 1 else [run(redis_url), run(redis_url)]
    ann = await running[0].client("ann")
    assert await hears(ann) == {"here": "ann"}
    bob = await running[-1].client("bob")
    assert await hears(bob) == {"here": "ann, bob"}
    await ann.write_message("<b>hello</b>")
    for client in (ann, bob):
        assert await hears(client) == {"name": "ann", "text": "<b>hello</b>"}
        client.close()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_sender_is_told_that_redis_is_away(
    run: Callable[..., Running], redis_server: RedisServer, redis_url: str
) -> None:
    ann = await run(redis_url).client("ann")
    assert await hears(ann) == {"here": "ann"}
    redis_server.kill()
    await ann.write_message("hello")
    assert await hears(ann) == {"name": "ann", "text": "hello"}
    assert await hears(ann) == {"error": "some did not hear that"}
    ann.close()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_who_comes_while_redis_is_away_can_chat(
    run: Callable[..., Running], redis_server: RedisServer, redis_url: str
) -> None:
    running = run(redis_url)
    redis_server.kill()
    ann = await running.client("ann")
    await ann.write_message("hello")
    assert await hears(ann) == {"name": "ann", "text": "hello"}
    ann.close()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_signal_ends_it_and_tells_the_guests(run: Callable[..., Running]) -> None:
    running = run()
    ann = await running.client("ann")
    assert await hears(ann) == {"here": "ann"}
    running.process.send_signal(signal.SIGTERM)
    assert await ann.read_message() is None
    assert ann.close_code == 1012
    assert running.process.wait(PATIENCE) == 0
    ann.close()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_the_page_is_served(run: Callable[..., Running]) -> None:
    response = await AsyncHTTPClient().fetch(run().url)
    assert b"<title>Lobby</title>" in response.body


def test_page_quotes_the_example() -> None:
    (block,) = quoted_classes("rooms.md")
    assert block.strip() in EXAMPLE.read_text()
