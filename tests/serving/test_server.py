"""What a server knows of its connections."""

import asyncio

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tornado_ext.serving.server import Entrance, Server


class Hello(RequestHandler):
    def get(self) -> None:
        self.write("hello")


@pytest.mark.gen_test
async def test_a_connection_that_is_closed_is_forgotten() -> None:
    entrance = Entrance(Application([("/", Hello)]))
    server = Server(entrance)
    (listening,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(listening)
    await AsyncHTTPClient().fetch(f"http://127.0.0.1:{listening.getsockname()[1]}/")
    while entrance.idle or entrance.open:
        await asyncio.sleep(0.01)
    assert entrance.begun == 1
    server.stop()
    await server.close_all_connections()
