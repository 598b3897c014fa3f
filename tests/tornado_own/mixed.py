"""Tornado's handler classes with everything of this package mixed in."""

import asyncio
import inspect
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import tornado.web
import tornado.websocket
from tornado.concurrent import Future
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.web import RequestHandler

from tornado_ext.middleware import MiddlewareMixin, NotFoundHandler
from tornado_ext.mysql import DatabaseMixin
from tornado_ext.rooms import LocalBus, RoomMixin
from tornado_ext.sessions import MemoryStore, SessionMixin

LATE = 0.001  # seconds

ran: Counter[str] = Counter()  # how often what ran; a reply is what Tornado logs as one


class Pass:
    """Every hook is ``def`` and has nothing to do."""

    def process_request(self, handler: Any) -> Any:
        ran["process_request"] += 1

    def process_response(self, handler: Any) -> Any:
        ran["process_response"] += 1

    def process_finish(self, handler: Any) -> Any:
        if (
            handler.get_status() == 499
        ):  # a client that left in its body, which Tornado does not log
            ran["reply"] += 1
        ran["process_finish"] += 1


class Awaited(Pass):
    """Every reply goes through a hook that is awaited."""

    async def process_request(self, handler: Any) -> None:
        super().process_request(handler)

    async def process_response(self, handler: Any) -> None:
        super().process_response(handler)


class Late(Awaited):
    """Every reply is late, and every request writes its session."""

    async def process_request(self, handler: Any) -> None:
        await super().process_request(handler)
        handler.session["path"] = handler.request.path

    async def process_response(self, handler: Any) -> None:
        await super().process_response(handler)
        await asyncio.sleep(LATE)


MODES: Mapping[str, Callable[[], Pass]] = {"pass": Pass, "awaited": Awaited, "late": Late}


class Store(MemoryStore):
    async def create(self, *args: Any, **kwargs: Any) -> None:
        await super().create(*args, **kwargs)
        ran["session stored"] += 1


class Connection:
    """Sends a reply without what its session added, for the tests that compare whole headers."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def write_headers(
        self, start_line: ResponseStartLine, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> "Future[None]":
        if any(cookie.startswith("session=") for cookie in headers.get_list("Set-Cookie")):
            ran["session cookie"] += 1
            headers = _without_session(headers)
        sent: Future[None] = self._connection.write_headers(start_line, headers, chunk)
        return sent


def _without_session(headers: HTTPHeaders) -> HTTPHeaders:
    kept = HTTPHeaders()
    for name, line in headers.get_all():
        if name == "Vary":  # Tornado's gzip makes one line of several
            line = re.sub(r"(, ?)?Cookie\b", "", line).lstrip(", ")
        if line and line != "private" and not line.startswith("session="):
            kept.add(name, line)
    return kept


class Mixed(SessionMixin, MiddlewareMixin, DatabaseMixin):
    """Gives each ``prepare`` of Tornado's tests the line that this package asks for."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "prepare" in vars(cls):
            setattr(cls, "prepare", _after_ours(vars(cls)["prepare"]))  # noqa: B010

    def __init__(self, application: Any, request: Any, **kwargs: Any) -> None:
        super().__init__(application, request, **kwargs)
        request.connection = Connection(request.connection)


def _after_ours(prepare: Callable[[Any], Any]) -> Callable[[Any], Awaitable[None]]:
    async def after_ours(self: Any) -> None:
        await Mixed.prepare(self)
        result = prepare(self)
        if inspect.isawaitable(result):
            await result

    return after_ours


@contextmanager
def mixed_in(mode: str) -> Iterator[None]:
    """Replace Tornado's handler classes while its test modules are imported.

    Then they are put back, for `tornado.web.Application` tests ``issubclass`` against them.
    """
    handlers = {
        name: _mixed(getattr(tornado.web, name))
        for name in ("RequestHandler", "StaticFileHandler", "RedirectHandler", "ErrorHandler")
    }
    settings: dict[str, Any] = {
        "middleware": [MODES[mode]()],
        "session_store": Store(),
        "room_bus": LocalBus(),
        "static_handler_class": handlers["StaticFileHandler"],
        "default_handler_class": _mixed(NotFoundHandler),
    }

    class Application(tornado.web.Application):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **(settings | kwargs))

        def log_request(self, handler: RequestHandler) -> None:
            ran["reply"] += 1
            super().log_request(handler)

    socket = _mixed(tornado.websocket.WebSocketHandler, RoomMixin)
    with (
        patch.dict(vars(tornado.web), Application=Application, **handlers),
        patch.dict(vars(tornado.websocket), WebSocketHandler=socket),
    ):
        yield


def _mixed(handler: type, *mixins: type) -> type:
    return type(handler.__name__, (*mixins, Mixed, handler), {})
