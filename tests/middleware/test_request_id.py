"""A request's id: in the response, in the handler's code, in log records."""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient
from tornado.web import Application, RequestHandler

from tests.examples import example
from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware import (
    Middleware,
    MiddlewareMixin,
    RequestId,
    RequestIdFilter,
    request_id,
)

Fetch = Callable[..., Any]

MADE = re.compile(r"[0-9a-f]{32}")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Handler(MiddlewareMixin, RequestHandler):
    async def get(self) -> None:
        self.write(request_id.get())

    def post(self) -> None:
        raise AssertionError("the XSRF check lets nothing through")


class Failing(Handler):
    def get(self) -> None:
        raise ZeroDivisionError


class Late(Middleware):
    """Runs the response hooks that are outside it in a task of their own."""

    async def process_response(self, handler: RequestHandler) -> None:
        await asyncio.sleep(0)


class LateHandler(Handler):
    middleware = [Late()]


@pytest.fixture
def app() -> Application:
    routes = [("/", Handler), ("/failing", Failing), ("/late", LateHandler)]
    return Application(routes, middleware=[RequestId()], xsrf_cookies=True)


@pytest.fixture
def fetch(http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def fetch(
        request_id: str | None = None,
        *,
        traceparent: str | None = None,
        path: str = "/",
        **kwargs: Any,
    ) -> HTTPResponse:
        given = {"X-Request-ID": request_id, "traceparent": traceparent}
        headers = {name: value for name, value in given.items() if value is not None}
        return await http_client.fetch(
            base_url + path, headers=headers, raise_error=False, **kwargs
        )

    return fetch


@pytest.mark.gen_test
async def test_each_request_gets_an_id_of_its_own(fetch: Fetch) -> None:
    first, second = await fetch(), await fetch()
    assert MADE.fullmatch(first.headers["X-Request-ID"])
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    assert first.body.decode() == first.headers["X-Request-ID"]


@pytest.mark.gen_test
async def test_given_id_is_accepted(fetch: Fetch) -> None:
    response = await fetch("edge-1.42_a")
    assert (response.headers["X-Request-ID"], response.body) == ("edge-1.42_a", b"edge-1.42_a")


@pytest.mark.gen_test
@pytest.mark.parametrize("given", ["", "a" * 65, "a b", "a\tb", "é", 'a"b', "<script>"])
async def test_id_that_could_forge_a_log_line_is_replaced(fetch: Fetch, given: str) -> None:
    response = await fetch(given)
    assert MADE.fullmatch(response.headers["X-Request-ID"])


@pytest.mark.gen_test
async def test_folded_header_adds_none_to_the_response(http_port: int, fetch: Fetch) -> None:
    stream: IOStream = await TCPClient().connect("127.0.0.1", http_port)
    await stream.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"X-Request-ID: edge-1\r\n Set-Cookie: session=forged\r\n\r\n"
    )
    reply = await stream.read_until_close()
    assert b"forged" not in reply
    assert reply.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-00",
        f"00-{TRACE}-{PARENT}-ff",
        f"cc-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like",
    ],
)
async def test_trace_id_is_the_id(fetch: Fetch, traceparent: str) -> None:
    assert (await fetch(traceparent=traceparent)).headers["X-Request-ID"] == TRACE


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01.",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"0-{TRACE}-{PARENT}-01",
        f"000-{TRACE}-{PARENT}-01",
        f".0-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[:-1]}g-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT[1:]}-01",
        f"00-{TRACE}-{PARENT}0-01",
        f"00-{TRACE}-{PARENT[:-1]}.-01",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-001",
        f"00-{TRACE}-{PARENT}-.0",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-a,cc-{TRACE}-{PARENT}-01-a",
    ],
)
async def test_invalid_traceparent_is_ignored(fetch: Fetch, traceparent: str) -> None:
    name = (await fetch(traceparent=traceparent)).headers["X-Request-ID"]
    assert MADE.fullmatch(name)
    assert name not in (TRACE, "0" * 32)


@pytest.mark.gen_test
async def test_given_id_comes_before_the_trace_id(fetch: Fetch) -> None:
    traceparent = f"00-{TRACE}-{PARENT}-01"
    assert (await fetch("edge-1", traceparent=traceparent)).headers["X-Request-ID"] == "edge-1"
    assert (await fetch("a b", traceparent=traceparent)).headers["X-Request-ID"] == TRACE


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/", "/late"])
async def test_request_refused_before_prepare_has_an_id(fetch: Fetch, path: str) -> None:
    response = await fetch(path=path, method="POST", body="")
    assert response.code == 403
    assert MADE.fullmatch(response.headers["X-Request-ID"])


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/", "/late", "/failing"])
async def test_every_log_record_of_a_request_has_its_id(
    fetch: Fetch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(logging.INFO, "tornado")
    caplog.handler.addFilter(RequestIdFilter())
    await asyncio.gather(*(fetch(f"edge-{number}", path=path) for number in range(3)))
    records = [record for record in caplog.records if record.name.startswith("tornado.")]
    assert len(records) == (6 if path == "/failing" else 3)
    ids = {record.request_id for record in records}  # type: ignore[attr-defined]
    assert ids == {"edge-0", "edge-1", "edge-2"}


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/", "/late"])
async def test_log_of_a_request_refused_before_prepare_has_its_id(
    fetch: Fetch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.handler.addFilter(RequestIdFilter())
    await fetch("edge-1", path=path, method="POST", body="")
    messages = {(r.name, r.request_id) for r in caplog.records}  # type: ignore[attr-defined]
    assert messages == {("tornado.general", "edge-1"), ("tornado.access", "edge-1")}


@pytest.mark.gen_test
async def test_record_outside_of_a_request_has_a_dash(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(RequestIdFilter())
    logging.getLogger("elsewhere").warning("hello")
    assert caplog.records[0].request_id == "-"  # type: ignore[attr-defined]


@pytest.mark.gen_test
async def test_header_can_have_another_name(app: Application, fetch: Fetch) -> None:
    app.settings["middleware"] = [RequestId(header="X-Correlation-ID")]
    assert "X-Correlation-ID" in (await fetch()).headers


@pytest.mark.parametrize("header", ["", "X Request", "X-Request:", "X\r\nSet-Cookie", None])
def test_header_that_is_no_name_is_refused(header: Any) -> None:
    with pytest.raises(ConfigurationError, match="header"):
        RequestId(header=header)


@pytest.fixture
def shop_log() -> Iterator[StringIO]:
    """What the example logs."""
    stream, logger = StringIO(), logging.getLogger("shop")
    handler = example("request_id").log_handler(stream)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)


@pytest.mark.gen_test
async def test_example_tells_requests_apart(
    app: Application, fetch: Fetch, shop_log: StringIO
) -> None:
    app.add_handlers(".*", [("/orders/([0-9]+)", example("request_id").Order)])
    await asyncio.gather(*(fetch(f"edge-{n}", path=f"/orders/{n}") for n in (1, 2)))
    assert sorted(shop_log.getvalue().splitlines()) == [
        "edge-1 INFO shop: looking for order 1",
        "edge-1 INFO shop: order 1 found",
        "edge-2 INFO shop: looking for order 2",
        "edge-2 INFO shop: order 2 found",
    ]
