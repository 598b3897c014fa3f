"""Every ending: the tests prove what is said of it here, and the page shows it."""

from collections.abc import Callable, Iterator
from typing import Any

from tornado.web import Finish, HTTPError, RequestHandler

from tests.middleware.endings import handlers
from tests.middleware.endings.ending import (
    Ending,
    error_page,
    failing,
    refused,
)
from tornado_ext.middleware import NotFoundHandler, StaticHandler

Kwargs = dict[str, Any]


def raises(error: type[Exception], *args: Any) -> Callable[..., None]:
    def act(handler: RequestHandler) -> None:
        raise error(*args)

    return act


def finishes(handler: RequestHandler) -> None:
    handler.finish("by B")


DID: Kwargs = {"did": ("prepare", "verb")}
STATIC: Kwargs = {"handler_setting": "static_handler_class", "path": "/static/file.txt"}
FAULT: Kwargs = {"logged": "ZeroDivisionError"}
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}

ENDINGS = {
    "The handler ends it": [
        Ending("the verb returns", **DID),
        Ending("an `async def` verb returns", handlers.AsyncReturns),
        Ending("a `@gen.coroutine` verb returns", handlers.CoroutineReturns),
        Ending("`finish(chunk)`", handlers.FinishesWithChunk),
        Ending("`finish()` in `prepare`", handlers.FinishesInPrepare),
        Ending("`redirect()`", handlers.Redirects, 302, "{}"),
        Ending("`render()`", handlers.Renders),
        Ending("`raise Finish`", handlers.RaisesFinish),
        Ending("`flush()`, then more", handlers.Streams, body="one,{}two"),
        Ending(
            "`@stream_request_body`",
            handlers.TakesStream,
            did=("data",),
            method="POST",
            sent_body="abc",
        ),
        Ending("HEAD", body="", method="HEAD", **DID),
        Ending("304 by ETag", status=304, body="", sent_headers={"If-None-Match": "*"}, **DID),
        Ending("304 by `set_status()`", handlers.NotModified, 304, ""),
        Ending("`send_error()`", handlers.SendsError, 403, error_page(403)),
    ],
    "An error ends it": [
        failing("`raise HTTPError`", 403, handlers.RaisesHTTPError),
        failing("any other exception", 500, handlers.Fails, **FAULT),
        failing("an exception in `prepare`", 500, handlers.FailsInPrepare, **FAULT),
        Ending("an exception after `finish()`", handlers.FailsAfterFinish, **FAULT),
        Ending(
            "an exception after `flush()`",
            handlers.StreamsAndFails,
            body="one,{}",
            exception="CBA",
            exception_after=4,
            **FAULT,
        ),
        failing(
            "a reply that Tornado refuses: a 204 with a body",
            500,
            handlers.BodyWith204,
            response="CBACBA",
            exception_after=3,
            headers="CBA",
            cookies="CBA",
            logged="RuntimeError",
        ),
        failing("a method that the handler has not", 405, method="PUT", did=("prepare",)),
    ],
    "It is refused before `prepare`": [
        refused("a wrong XSRF token", 403, method="POST", settings={"xsrf_cookies": True}),
        refused(
            "`cross_origin_protection`",
            403,
            method="POST",
            settings={"cross_origin_protection": True},
            sent_headers={"Sec-Fetch-Site": "cross-site"},
        ),
        refused("a method that nobody knows", 405, method="BREW"),
        refused(
            "a body that can't be parsed",
            400,
            method="POST",
            sent_headers={"Content-Type": "multipart/form-data"},
            sent_body="x",
        ),
    ],
    "Not found, static files, WebSockets": [
        failing("`NotFoundHandler`", 404, NotFoundHandler, handler_setting="default_handler_class"),
        Ending("a static file", StaticHandler, 200, "0123456789{}", **STATIC),
        Ending("HEAD of a static file", StaticHandler, body="", method="HEAD", **STATIC),
        Ending(
            "304 of a static file",
            StaticHandler,
            304,
            "",
            sent_headers={"If-None-Match": "*"},
            **STATIC,
        ),
        failing(
            "a static file that is not there",
            404,
            StaticHandler,
            **(STATIC | {"path": "/static/missing.txt"}),
        ),
        Ending("a WebSocket's handshake", handlers.Socket, 101, "", sent_headers=UPGRADE),
        Ending(
            "the same, from an origin that is refused",
            handlers.Socket,
            403,
            "Cross origin websockets not allowed",
            sent_headers=UPGRADE | {"Origin": "http://elsewhere"},
        ),
        Ending(
            "the same, without `Upgrade`",
            handlers.Socket,
            400,
            'Can "Upgrade" only to "WebSocket".{}',
        ),
        failing(
            "the same, refused in `prepare`",
            403,
            handlers.RefusingSocket,
            sent_headers=UPGRADE,
        ),
    ],
    "A hook of B ends it": [
        Ending(
            "`process_request` finishes",
            body="by B{}",
            request="AB",
            response="BA",
            b_does={"request": finishes},
        ),
        Ending(
            "`process_request` raises `Finish`",
            body="{}",
            request="AB",
            response="BA",
            b_does={"request": raises(Finish)},
        ),
        failing(
            "`process_request` raises `HTTPError`",
            403,
            request="AB",
            exception="A",
            response="BA",
            b_does={"request": raises(HTTPError, 403)},
        ),
        failing(
            "`process_request` raises anything else",
            500,
            request="AB",
            exception="A",
            response="BA",
            b_does={"request": raises(ZeroDivisionError)},
            **FAULT,
        ),
        failing(
            "`process_response` raises `HTTPError`",
            403,
            exception="A",
            headers="A",
            exception_after=2,
            b_does={"response": raises(HTTPError, 403)},
            **DID,
        ),
        failing(
            "`process_response` raises anything else",
            500,
            exception="A",
            headers="A",
            exception_after=2,
            b_does={"response": raises(ZeroDivisionError)},
            **(FAULT | DID),
        ),
        Ending(
            "`process_exception` finishes",
            handlers.RaisesHTTPError,
            body="by B{}",
            exception="CB",
            b_does={"exception": finishes},
        ),
        failing(
            "`process_exception` raises",
            500,
            handlers.RaisesHTTPError,
            b_does={"exception": raises(ZeroDivisionError)},
            **FAULT,
        ),
        Ending(
            "`process_finish` raises",
            b_does={"finish 200": raises(ZeroDivisionError)},
            **(FAULT | DID),
        ),
    ],
    "Nobody is left to answer": [
        Ending(
            "the client leaves while the verb runs",
            handlers.Waits,
            None,
            finish_status=200,
            leaves_at="verb",
            did=("verb",),
        ),
        Ending(
            "the client leaves while a reply is streamed",
            handlers.StreamsOn,
            None,
            exception="CBA",
            exception_after=4,
            finish_status=200,
            leaves_at="first byte",
            did=("verb",),
            logged="StreamClosedError",
        ),
        Ending(
            "the client leaves in a streamed body",
            handlers.TakesStream,
            None,
            response="",
            finish_status=499,
            did=("data",),
            method="POST",
            sent_headers={"Content-Length": "10"},
            sent_body="abc",
            leaves_at="data",
        ),
        Ending("`detach()`", handlers.Detaches, body="hello", response="", finish=""),
    ],
}


def every_ending() -> Iterator[Ending]:
    for endings in ENDINGS.values():
        yield from endings
