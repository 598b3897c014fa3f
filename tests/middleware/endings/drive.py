"""Have one request end in one way, and tell what its hooks and its client saw."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.client import HTTPResponse, IncompleteRead
from io import BytesIO
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient
from tornado.testing import bind_unused_port
from tornado.web import Application, OutputTransform

from tests.middleware.endings.chain import KINDS, LETTERS, Trace
from tests.middleware.endings.ending import Ending

FILES = Path(__file__).parent / "files"


@dataclass(frozen=True)
class Facts:
    """What one request showed."""

    trace: list[str]  # which hooks ran, and when the first byte left
    status: int | None = None  # that the client got; None: it has left
    headers: str = ""  # the middleware whose header arrived
    cookies: str = ""
    body: str = ""


async def drive(ending: Ending, kind: str, writes: bool = False) -> Facts:
    """Have a response end, with hooks of one ``kind``, which write to the body if ``writes``."""
    trace: Trace = []
    app = application(ending, kind, trace, writes)
    server = HTTPServer(app)
    socket, port = bind_unused_port()
    server.add_socket(socket)
    stream = await TCPClient().connect("127.0.0.1", port)
    try:
        await stream.write(request(ending))
        if ending.leaves_at:
            await until(lambda: ending.leaves_at in trace)
        else:
            reply = await read(stream, upgrade="Upgrade" in ending.sent_headers)
        stream.close()
        await settle(ending, app)
    finally:
        server.stop()
        await server.close_all_connections()
    return Facts(trace) if ending.leaves_at else facts(trace, reply, ending.method)


def application(ending: Ending, kind: str, trace: Trace, writes: bool) -> Application:
    chain = [
        KINDS[kind](letter, trace, writes, ending.b_does if letter == "B" else {})
        for letter in LETTERS
    ]
    tested: Any = type("Tested", (ending.handler,), {"middleware": chain[1:]})
    app = Application(
        [] if ending.handler_setting else [("/", tested)],
        middleware=chain[:1],
        trace=trace,
        left=asyncio.Event(),
        static_path=str(FILES),
        template_path=str(FILES),
        **({ending.handler_setting: tested} if ending.handler_setting else {}),
        **ending.settings,
    )
    transform: Any = partial(FirstByte, trace)
    app.add_transform(transform)
    return app


class FirstByte(OutputTransform):
    """Note when the headers of a response are composed."""

    def __init__(self, trace: Trace, request: HTTPServerRequest) -> None:
        super().__init__(request)
        self.trace = trace

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        self.trace.append("first byte")
        return status_code, headers, chunk


def request(ending: Ending) -> bytes:
    headers = {"Host": "x", "Connection": "close", **ending.sent_headers}
    if ending.method == "POST":
        headers.setdefault("Content-Length", str(len(ending.sent_body)))
    lines = [f"{ending.method} {ending.path} HTTP/1.1", *map(": ".join, headers.items())]
    return "\r\n".join([*lines, "", ending.sent_body]).encode()


async def read(stream: IOStream, upgrade: bool) -> bytes:
    head = await stream.read_until(b"\r\n\r\n")
    if not upgrade:
        return head + await stream.read_until_close()
    length = re.search(rb"Content-Length: (\d+)", head)
    return head + await stream.read_bytes(int(length[1])) if length else head


async def settle(ending: Ending, app: Application) -> None:
    """Wait for the last hook, and then some turns of the loop for what should not run."""
    if ending.leaves_at:
        await asyncio.sleep(0.001)  # for the server to see it
        app.settings["left"].set()
    if ending.finish:
        await until(lambda: any("A finish" in line for line in app.settings["trace"]))
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    try:
        async with asyncio.timeout(2):
            while not condition():
                await asyncio.sleep(0.001)
    except TimeoutError:
        pass  # what is missing shows in the facts


def facts(trace: Trace, reply: bytes, method: str) -> Facts:
    received: Any = Received(reply)
    response = HTTPResponse(received, method=method)
    response.begin()
    try:
        body = response.read().decode()
    except IncompleteRead as exc:
        body = exc.partial.decode() + "(cut off)"
    headers = [name[2:] for name in response.headers if re.fullmatch("X-[ABC]", name)]
    cookies = [cookie[0] for cookie in response.headers.get_all("Set-Cookie", [])]
    return Facts(trace, response.status, in_order(headers), in_order(cookies), body)


def in_order(letters: list[str]) -> str:
    return "".join(sorted(letters, reverse=True))


class Received:
    """Bytes that `http.client` takes for a socket."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self.data)
