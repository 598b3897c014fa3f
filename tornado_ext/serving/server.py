"""An HTTP server that loses no request when it stops."""

import asyncio
from contextlib import suppress
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.log import gen_log
from tornado.routing import Router
from tornado.web import Application

LINGER = 1.0  # seconds in which nothing begins or ends, after which what was kept is closed
TURN = 0.02  # seconds between two looks


class Entrance(Router):
    """Pass requests on to an application, and know what its connections are about."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.open: dict[object, HTTPServerRequest] = {}  # by connection
        self.idle: set[object] = set()  # the other connections
        self.events = 0  # a request has begun, or a connection has become idle

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        """Begin a request, of which the headers have come."""
        self.events += 1
        self.idle.discard(request.server_connection)
        self.open[request.server_connection] = request
        return self.app.find_handler(request, **kwargs)


class Server(HTTPServer):
    """An HTTP server that can wait for the requests that are open or on their way."""

    request_callback: Entrance

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Wait for a request: the connection's last one is answered."""
        self.request_callback.open.pop(server_conn, None)
        self.request_callback.idle.add(server_conn)
        self.request_callback.events += 1
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Forget a connection that is closed, or has become a WebSocket."""
        self.request_callback.open.pop(server_conn, None)
        self.request_callback.idle.discard(server_conn)
        super().on_close(server_conn)

    async def finish(self, grace: float) -> None:
        """Take no more connections; give the requests ``grace`` seconds.

        Each connection gets one more answer, which tells the client to connect anew. One on which
        nothing comes is closed after a while: a client may have sent its next request already.
        """
        self.stop()
        self.conn_params.no_keep_alive = True
        for request in self.request_callback.open.values():
            _say_goodbye(request)  # Tornado has decided to keep its connection
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._last_requests()
        if cut_off := len(self.request_callback.open):
            gen_log.warning("Cut %d requests off", cut_off)
        await self.close_all_connections()

    async def _last_requests(self) -> None:
        """Wait for those that are open, and for those that may be on their way."""
        known, quiet = self.request_callback, 0.0
        await asyncio.sleep(TURN)  # what was just accepted is idle from the next turn on
        while known.open or (known.idle and quiet < LINGER):
            events = known.events
            await asyncio.sleep(TURN)  # counted in turns: the loop may be late
            quiet = quiet + TURN if known.events == events else 0.0


def _say_goodbye(request: HTTPServerRequest) -> None:
    connection = request.connection
    assert connection is not None  # noqa: S101  # for mypy: it came on one
    write_headers = connection.write_headers

    def write_last_headers(
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "asyncio.Future[None]":
        if not (isinstance(start_line, ResponseStartLine) and start_line.code == 101):
            headers["Connection"] = "close"
        return write_headers(start_line, headers, chunk)

    setattr(connection, "write_headers", write_last_headers)  # noqa: B010  # mypy takes no other
