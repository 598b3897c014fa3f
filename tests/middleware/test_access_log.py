"""The access log: one line of JSON for each request, whatever the client sends."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient
from tornado.web import Application, RequestHandler

from tests.examples import example
from tornado_ext.middleware import (
    AccessLog,
    Middleware,
    MiddlewareMixin,
    NotFoundHandler,
    RequestId,
)
from tornado_ext.sessions import MemoryStore, SessionMixin
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import Client

Fetch = Callable[..., Awaitable[HTTPResponse]]


class Handler(SessionMixin, MiddlewareMixin, RequestHandler):
    async def get(self) -> None:
        self.write("hello")

    def post(self) -> None:
        raise AssertionError("the XSRF check lets nothing through")


class Profile(Handler):
    async def get(self) -> None:
        self.write({"user": self.session.user_id})


class Plain(MiddlewareMixin, RequestHandler):
    def get(self) -> None:
        self.write("hello")


class Failing(Handler):
    async def get(self) -> None:
        raise ZeroDivisionError


class Refusing(Middleware):
    def process_request(self, handler: RequestHandler) -> None:
        handler.set_status(409)
        handler.finish()


class Refused(Handler):
    middleware = [Refusing()]


@pytest.fixture
def app() -> Application:
    return Application(
        [
            ("/", Handler),
            ("/plain", Plain),
            ("/profile", Profile),
            ("/failing", Failing),
            ("/refused", Refused),
        ],
        middleware=[RequestId(), AccessLog()],
        session_store=MemoryStore(),
        xsrf_cookies=True,
        default_handler_class=NotFoundHandler,
    )


@pytest.fixture
def stream() -> Iterator[StringIO]:
    """What the access log writes, through the example's handler."""
    stream, access = StringIO(), logging.getLogger("tornado_ext.access")
    handler = example("access_log").log_to(stream)
    yield stream
    access.removeHandler(handler)
    access.setLevel(logging.NOTSET)
    access.propagate = True


@pytest.fixture
def entry(stream: StringIO) -> Callable[[], dict[str, Any]]:
    """A function that returns the only entry of the log."""

    def entry() -> dict[str, Any]:
        (line,) = stream.getvalue().splitlines()
        assert line.isprintable()
        assert line.isascii()
        entry: dict[str, Any] = json.loads(line)
        return entry

    return entry


@pytest.fixture
def fetch(http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def fetch(path: str, **kwargs: Any) -> HTTPResponse:
        return await http_client.fetch(base_url + path, raise_error=False, **kwargs)

    return fetch


@pytest.mark.gen_test
async def test_line_says_who_asked_for_what_and_how_it_ended(
    fetch: Fetch, entry: Callable[[], dict[str, Any]]
) -> None:
    await fetch("/plain", headers={"X-Request-ID": "edge-1"}, user_agent="test/1.0")
    line = entry()
    written = datetime.fromisoformat(line.pop("time"))
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)
    assert 0 < line.pop("ms") < 60_000
    assert line == {
        "request_id": "edge-1",
        "method": "GET",
        "path": "/plain",
        "status": 200,
        "ip": "127.0.0.1",
        "user": None,
        "handler": f"{__name__}.Plain",
        "user_agent": "test/1.0",
    }


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/failing", "GET", 500),
        ("/nowhere", "GET", 404),
        ("/refused", "GET", 409),
        ("/", "POST", 403),
        ("/", "DELETE", 403),
        ("/", "HEAD", 405),
    ],
)
async def test_request_that_fails_is_logged(
    fetch: Fetch, entry: Callable[[], dict[str, Any]], path: str, method: str, status: int
) -> None:
    await fetch(path, method=method, body="" if method == "POST" else None)
    line = entry()
    assert (line["method"], line["path"], line["status"]) == (method, path, status)


@pytest.mark.gen_test
async def test_request_whose_client_went_away_is_logged(
    app: Application,
    http_server: HTTPServer,
    http_port: int,
    stream: StringIO,
    entry: Callable[[], dict[str, Any]],
) -> None:
    left = asyncio.Event()

    class Waiting(Handler):
        async def get(self) -> None:
            await left.wait()

        def on_connection_close(self) -> None:
            super().on_connection_close()
            left.set()

    app.add_handlers(".*", [("/waiting", Waiting)])
    raw: IOStream = await TCPClient().connect("127.0.0.1", http_port)
    await raw.write(b"GET /waiting HTTP/1.1\r\nHost: x\r\nX-Request-ID: edge-1\r\n\r\n")
    await asyncio.sleep(0.05)
    raw.close()
    async with asyncio.timeout(2):
        while not stream.getvalue():
            await asyncio.sleep(0.001)
    assert (entry()["path"], entry()["request_id"]) == ("/waiting", "edge-1")


@pytest.mark.gen_test
async def test_time_taken_is_in_milliseconds(
    app: Application, fetch: Fetch, entry: Callable[[], dict[str, Any]]
) -> None:
    class Slow(Handler):
        async def get(self) -> None:
            await asyncio.sleep(0.05)

    app.add_handlers(".*", [("/slow", Slow)])
    await fetch("/slow")
    assert 49 < entry()["ms"] < 50_000


@pytest.mark.gen_test
async def test_query_is_left_out(fetch: Fetch, entry: Callable[[], dict[str, Any]]) -> None:
    await fetch("/?token=secret")
    assert entry()["path"] == "/"


@pytest.mark.gen_test
async def test_client_can_not_forge_a_line(
    http_server: HTTPServer, http_port: int, entry: Callable[[], dict[str, Any]]
) -> None:
    """No byte that Tornado lets into a request ends the line or leaves its string."""
    allowed = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
    path = bytes(byte for byte in allowed if byte not in b"\t ?#")
    raw: IOStream = await TCPClient().connect("127.0.0.1", http_port)
    await raw.write(
        b"GET /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % path
        + b'User-Agent: x"}\x85{"status": 200}\xe2\x80\xa8%b\r\n\r\n' % allowed.strip()
    )
    assert (await raw.read_until_close()).startswith(b"HTTP/1.1 404")
    line = entry()
    assert line["status"] == 404
    assert line["path"].encode("latin1") == b"/" + path
    assert line["user_agent"].encode("latin1").startswith(b'x"}\x85{"status": 200}\xe2\x80\xa8')


@pytest.mark.gen_test
@pytest.mark.parametrize("target", [b"/a%0d%0aforged", b"/%00%1b[31m", b"//x/../..", b"/%u2028"])
async def test_escapes_in_a_path_stay_escaped(
    http_server: HTTPServer, http_port: int, entry: Callable[[], dict[str, Any]], target: bytes
) -> None:
    raw: IOStream = await TCPClient().connect("127.0.0.1", http_port)
    await raw.write(b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)
    await raw.read_until_close()
    assert entry()["path"] == target.decode()


@pytest.mark.gen_test
async def test_what_a_client_sends_is_cut(
    fetch: Fetch, entry: Callable[[], dict[str, Any]]
) -> None:
    await fetch("/" + "a" * 10_000, user_agent="b" * 10_000)
    line = entry()
    assert line["path"] == "/" + "a" * 511
    assert line["user_agent"] == "b" * 512


class CountingStore(MemoryStore):
    """Counts what it is asked."""

    asked = 0

    async def load(self, key: str) -> Any:
        self.asked += 1
        return await super().load(key)


@pytest.mark.gen_test
@pytest.mark.parametrize(("path", "user"), [("/profile", "7"), ("/", None), ("/plain", None)])
async def test_user_is_known_where_the_session_was_used(
    app: Application,
    http_server: HTTPServer,
    base_url: str,
    entry: Callable[[], dict[str, Any]],
    path: str,
    user: str | None,
) -> None:
    store = app.settings["session_store"] = CountingStore()
    client = Client(app, base_url)
    await client.login(7)
    response = await client.get(path)
    assert entry()["user"] == user
    assert store.asked == (0 if path == "/plain" else 1)
    assert ("Vary" in response.headers) == (user is not None)


@pytest.mark.gen_test
async def test_request_whose_session_store_is_away_is_logged(
    app: Application, fetch: Fetch, entry: Callable[[], dict[str, Any]]
) -> None:
    app.settings["session_store"] = RedisStore("redis://127.0.0.1:1")
    assert (await fetch("/profile", headers={"Cookie": "session=" + "a" * 43})).code == 503
    assert (entry()["status"], entry()["user"]) == (503, None)


@pytest.mark.gen_test
async def test_example_logs_instead_of_tornado(
    http_server: HTTPServer,
    fetch: Fetch,
    entry: Callable[[], dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    http_server.request_callback = example("access_log").make_app()
    await fetch("/")
    assert entry()["handler"] == "access_log.Hello"
    assert "tornado.access" not in {record.name for record in caplog.records}


@pytest.mark.gen_test
async def test_nothing_is_written_where_nobody_asks_for_the_log(
    fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    await fetch("/")
    assert not [record for record in caplog.records if record.name == "tornado_ext.access"]


@pytest.mark.gen_test
async def test_entry_can_be_overridden(
    app: Application, fetch: Fetch, entry: Callable[[], dict[str, Any]]
) -> None:
    class Longer(AccessLog):
        def entry(self, handler: RequestHandler) -> dict[str, object]:
            return {**super().entry(handler), "path": handler.request.uri}

    app.settings["middleware"] = [Longer()]
    await fetch("/?page=2")
    assert entry()["path"] == "/?page=2"
    assert entry()["request_id"] is None
