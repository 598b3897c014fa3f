"""What a server knows of its connections."""

import asyncio
from collections.abc import Iterator

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.tcpclient import TCPClient
from tornado.web import Application, RequestHandler

from tornado_ext.serving import server as server_module
from tornado_ext.serving.server import Entrance, Server

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_CHUNK = b"\r\n0\r\n\r\n"


class Hello(RequestHandler):
    def get(self) -> None:
        self.write("hello")


class Stream(RequestHandler):
    async def get(self) -> None:
        self.write("begun")
        await self.flush()
        await self.settings["go"].wait()


@pytest.fixture
def entrance() -> Entrance:
    return Entrance(Application([("/", Hello), ("/stream", Stream)], go=asyncio.Event()))


@pytest.fixture
def server(entrance: Entrance, io_loop: IOLoop) -> Iterator[Server]:
    server = Server(entrance)
    yield server
    server.stop()
    io_loop.run_sync(server.close_all_connections)


@pytest.fixture
def port(server: Server, io_loop: IOLoop) -> int:
    async def listen() -> int:
        (listening,) = bind_sockets(0, "127.0.0.1")
        server.add_socket(listening)
        return int(listening.getsockname()[1])

    port: int = io_loop.run_sync(listen)
    return port


@pytest.mark.gen_test
async def test_a_connection_that_is_closed_is_forgotten(entrance: Entrance, port: int) -> None:
    await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/")
    while entrance.idle or entrance.open:
        await asyncio.sleep(0.01)
    assert entrance.events > 0


@pytest.mark.gen_test
async def test_a_connection_is_kept_for_a_while_after_an_answer_that_outlived_the_signal(
    entrance: Entrance, server: Server, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LINGER", 0.4)
    client = await TCPClient().connect("127.0.0.1", port)
    await client.write(GET % b"/stream")
    await client.read_until(b"begun")
    finishing = asyncio.create_task(server.finish(1000))
    await asyncio.sleep(0.5)
    entrance.app.settings["go"].set()
    await client.read_until(LAST_CHUNK)
    await asyncio.sleep(0.1)
    await client.write(GET % b"/")
    assert b"Connection: close" in await client.read_until(b"hello")
    await finishing
    client.close()
