"""Every way in which a Tornado response ends, with work to await before its first byte.

Each handler here carries a middleware whose response hook awaits and then sets a header, so a
reply that has the header once has waited for the work and was composed after it.
"""

import asyncio
import gc
import gzip
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado import gen
from tornado.escape import xhtml_escape
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, StreamClosedError
from tornado.simple_httpclient import HTTPStreamClosedError
from tornado.tcpclient import TCPClient
from tornado.web import (
    Application,
    Finish,
    HTTPError,
    RequestHandler,
    StaticFileHandler,
    stream_request_body,
)
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.conftest import cancel_tasks
from tornado_ext.errors import TornadoExtError, Unavailable
from tornado_ext.middleware import Middleware, MiddlewareMixin, NotFoundHandler

SAVING_TIME = 0.01  # seconds


class Saving(Middleware):
    """Stands for all that must be stored before the first byte leaves."""

    def __init__(self) -> None:
        self.saved = 0
        self.finished = 0
        self.fail_with: Exception | None = None

    async def process_response(self, handler: RequestHandler) -> None:
        await asyncio.sleep(SAVING_TIME)
        if self.fail_with is not None:
            raise self.fail_with
        self.saved += 1
        handler.set_header("X-Saved", str(self.saved))

    def process_finish(self, handler: RequestHandler) -> None:
        self.finished += 1


class Handler(MiddlewareMixin, RequestHandler):
    pass


class AsyncGet(Handler):
    async def get(self) -> None:
        await asyncio.sleep(0)
        self.write("hello")


class SyncGet(Handler):
    def get(self) -> None:
        self.write("hello")

    head = get


class CoroutineGet(Handler):
    @gen.coroutine
    def get(self) -> Any:
        yield gen.sleep(0)
        self.write("hello")


class Redirect(Handler):
    def get(self) -> None:
        self.redirect("/elsewhere")


class Render(Handler):
    def get(self) -> None:
        self.render("page.html", name="ann")


class FinishInside(Handler):
    async def get(self) -> None:
        self.finish({"a": 1})


class FinishAwaited(Handler):
    async def get(self) -> None:
        await self.finish("hello")


class Proxy(Handler):
    async def get(self) -> None:
        url = f"http://{self.request.host}/async"
        self.write((await AsyncHTTPClient().fetch(url)).body + b" again")


class RaiseHTTPError(Handler):
    def get(self) -> None:
        self.write("discarded")
        raise HTTPError(418)


class RaiseError(Handler):
    def get(self) -> None:
        raise ZeroDivisionError


class RenderedError(Handler):
    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.render("page.html", name=f"error {status_code}")

    def get(self) -> None:
        raise HTTPError(403)


class RaiseFinish(Handler):
    def get(self) -> None:
        self.write("so far")
        raise Finish


class RaiseFinishWithBody(Handler):
    def get(self) -> None:
        raise Finish("body")


class FlushAwaited(Handler):
    async def get(self) -> None:
        self.write("one,")
        await self.flush()
        self.write("two")


class FlushNotAwaited(Handler):
    def get(self) -> None:
        self.write("one,")
        self.flush()
        self.write("two,")
        self.flush()
        self.write("three")


class FinishInPrepare(Handler):
    async def prepare(self) -> None:
        await super().prepare()
        self.finish("from prepare")

    def get(self) -> None:
        raise AssertionError("the verb ran after prepare had finished")


class NotModified(Handler):
    def get(self) -> None:
        self.set_status(304)


@stream_request_body
class Upload(Handler):
    size = 0

    def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def post(self) -> None:
        self.write(str(self.size))


class FinishTwice(Handler):
    def get(self) -> None:
        self.finish("once")
        self.finish("twice")


class WriteAfterFinish(Handler):
    def get(self) -> None:
        self.finish("all")
        self.write(" and more")


class ErrorAfterFinish(Handler):
    def get(self) -> None:
        self.finish("sent")
        raise ZeroDivisionError


class SendErrorAfterFinish(Handler):
    def get(self) -> None:
        self.finish("sent")
        self.send_error(500)


class SwallowsFailure(Handler):
    async def get(self) -> None:
        try:
            await self.flush()
        except Unavailable:
            self.finish("all is well")


class BodyWith204(Handler):
    def get(self) -> None:
        self.set_status(204)
        self.finish("not allowed")


class WrongLength(Handler):
    def get(self) -> None:
        self.set_header("Content-Length", "100")
        self.finish("short")


class Detached(Handler):
    async def get(self) -> None:
        stream = self.detach()
        await stream.write(b"HTTP/1.1 299 Mine\r\nContent-Length: 0\r\n\r\n")
        stream.close()


class Post(Handler):
    def post(self) -> None:
        self.write("posted")


class MethodOverride(Handler):
    async def prepare(self) -> None:
        await super().prepare()
        self.request.method = "PUT"

    def put(self) -> None:
        self.write("put")


class Echo(MiddlewareMixin, WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message)


class RefusedSocket(Echo):
    def get(self, *args: str, **kwargs: str) -> None:  # type: ignore[override]
        raise HTTPError(403)


class SavedStatic(MiddlewareMixin, StaticFileHandler):
    pass


ROUTES = {
    "/async": AsyncGet,
    "/sync": SyncGet,
    "/coroutine": CoroutineGet,
    "/redirect": Redirect,
    "/render": Render,
    "/finish": FinishInside,
    "/finish-awaited": FinishAwaited,
    "/proxy": Proxy,
    "/http-error": RaiseHTTPError,
    "/error": RaiseError,
    "/rendered-error": RenderedError,
    "/raise-finish": RaiseFinish,
    "/raise-finish-body": RaiseFinishWithBody,
    "/flush-awaited": FlushAwaited,
    "/flush": FlushNotAwaited,
    "/in-prepare": FinishInPrepare,
    "/not-modified": NotModified,
    "/upload": Upload,
    "/finish-twice": FinishTwice,
    "/write-after-finish": WriteAfterFinish,
    "/error-after-finish": ErrorAfterFinish,
    "/send-error-after-finish": SendErrorAfterFinish,
    "/swallows": SwallowsFailure,
    "/204": BodyWith204,
    "/wrong-length": WrongLength,
    "/detached": Detached,
    "/post": Post,
    "/method-override": MethodOverride,
    "/echo": Echo,
    "/refused-socket": RefusedSocket,
}


@pytest.fixture
def saving() -> Saving:
    return Saving()


@pytest.fixture
def app(saving: Saving, tmp_path: Path) -> Application:
    (tmp_path / "page.html").write_text("<p>{{ name }}</p>")
    (tmp_path / "file.txt").write_text("0123456789" * 20_000)
    return Application(
        [*ROUTES.items(), (r"/static/(.*)", SavedStatic, {"path": str(tmp_path)})],
        middleware=[saving],
        template_path=str(tmp_path),
        default_handler_class=NotFoundHandler,
        compress_response=True,
        xsrf_cookies=False,
    )


Fetch = Callable[..., Any]


@pytest.fixture
def fetch(http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def fetch(path: str, **kwargs: Any) -> HTTPResponse:
        kwargs = {
            "raise_error": False,
            "follow_redirects": False,
            "decompress_response": False,
        } | kwargs
        return await http_client.fetch(base_url + path, **kwargs)

    return fetch


@pytest.fixture
def raw(io_loop: Any, http_server: HTTPServer, http_port: int) -> Iterator[IOStream]:
    stream = io_loop.run_sync(lambda: TCPClient().connect("127.0.0.1", http_port))
    yield stream
    stream.close()


def assert_saved_once(response: HTTPResponse, saving: Saving) -> None:
    assert response.headers.get_list("X-Saved") == ["1"]
    assert saving.saved == 1
    assert saving.finished == 1


def error_page(title: str) -> bytes:
    title = xhtml_escape(title)
    return f"<html><title>{title}</title><body>{title}</body></html>".encode()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/async", 200, b"hello"),
        ("/sync", 200, b"hello"),
        ("/coroutine", 200, b"hello"),
        ("/redirect", 302, b""),
        ("/render", 200, b"<p>ann</p>"),
        ("/finish", 200, b'{"a": 1}'),
        ("/finish-awaited", 200, b"hello"),
        ("/http-error", 418, error_page("418: I'm a Teapot")),
        ("/rendered-error", 403, b"<p>error 403</p>"),
        ("/raise-finish", 200, b"so far"),
        ("/raise-finish-body", 200, b"body"),
        ("/flush-awaited", 200, b"one,two"),
        ("/flush", 200, b"one,two,three"),
        ("/in-prepare", 200, b"from prepare"),
        ("/not-modified", 304, b""),
        ("/missing", 404, error_page("404: Not Found")),
    ],
)
async def test_reply_waits_for_the_work_and_is_whole(
    fetch: Fetch, saving: Saving, path: str, status: int, body: bytes
) -> None:
    response = await fetch(path)
    assert (response.code, response.body) == (status, body)
    assert_saved_once(response, saving)


# What Tornado composes is right, because it is composed late.


@pytest.mark.gen_test
async def test_head_has_the_length_and_no_body(fetch: Fetch, saving: Saving) -> None:
    response = await fetch("/sync", method="HEAD")
    assert (response.body, response.headers["Content-Length"]) == (b"", "5")
    assert_saved_once(response, saving)


@pytest.mark.gen_test
async def test_etag_of_the_whole_body_gives_304(fetch: Fetch, saving: Saving) -> None:
    etag = (await fetch("/sync")).headers["Etag"]
    response = await fetch("/sync", headers={"If-None-Match": etag})
    assert (response.code, response.body) == (304, b"")
    assert response.headers["X-Saved"] == "2"


@pytest.mark.gen_test
async def test_static_file_is_streamed_after_the_work(fetch: Fetch, saving: Saving) -> None:
    response = await fetch("/static/file.txt")
    assert response.body == b"0123456789" * 20_000
    assert_saved_once(response, saving)


@pytest.mark.gen_test
async def test_static_head(fetch: Fetch, saving: Saving) -> None:
    response = await fetch("/static/file.txt", method="HEAD")
    assert (response.body, response.headers["Content-Length"]) == (b"", "200000")
    assert_saved_once(response, saving)


@pytest.mark.gen_test
async def test_static_304(fetch: Fetch) -> None:
    etag = (await fetch("/static/file.txt")).headers["Etag"]
    response = await fetch("/static/file.txt", headers={"If-None-Match": etag})
    assert (response.code, response.body, response.headers["X-Saved"]) == (304, b"", "2")


@pytest.mark.gen_test
async def test_gzip_covers_the_whole_reply(fetch: Fetch, saving: Saving) -> None:
    response = await fetch("/static/file.txt", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.body) == b"0123456789" * 20_000
    assert_saved_once(response, saving)


@pytest.mark.gen_test
async def test_streamed_request_body_of_a_stock_handler_behind_the_mixin(
    app: Application, fetch: Fetch, saving: Saving
) -> None:
    @stream_request_body
    class Stock(RequestHandler):
        def initialize(self) -> None:
            self.size = 0

        def data_received(self, chunk: bytes) -> None:
            self.size += len(chunk)

        def post(self) -> None:
            self.write(str(self.size))

    app.add_handlers(".*", [("/stock", type("Mixed", (MiddlewareMixin, Stock), {}))])
    response = await fetch("/stock", method="POST", body=b"x" * 200_000)
    assert response.body == b"200000"
    assert_saved_once(response, saving)


@pytest.mark.gen_test
async def test_streamed_request_body(fetch: Fetch, saving: Saving) -> None:
    response = await fetch("/upload", method="POST", body=b"x" * 300_000)
    assert response.body == b"300000"
    assert_saved_once(response, saving)


@stream_request_body
class SlowUpload(RequestHandler):
    def initialize(self, taken: list[str]) -> None:
        self.taken = taken

    async def data_received(self, chunk: bytes) -> None:
        self.taken.append("begun")
        await asyncio.sleep(0.001)
        self.taken.append("done")

    def post(self) -> None:
        self.write("done")


@pytest.mark.gen_test
@pytest.mark.parametrize("overrides", [False, True], ids=["stock", "ours"])
async def test_next_piece_of_a_streamed_body_waits_until_the_last_is_taken_in(
    app: Application, fetch: Fetch, overrides: bool
) -> None:
    taken: list[str] = []
    own = {"data_received": SlowUpload.data_received} if overrides else {}
    mixed = type("Mixed", (MiddlewareMixin, SlowUpload), own)
    app.add_handlers(".*", [("/slow", mixed, {"taken": taken})])
    assert (await fetch("/slow", method="POST", body=b"x" * 200_000)).body == b"done"
    pieces = len(taken) // 2
    assert pieces > 1
    assert taken == ["begun", "done"] * pieces


@pytest.mark.gen_test
@pytest.mark.parametrize("xsrf", [False, True], ids=["by prepare", "by the XSRF check"])
async def test_refused_request_gets_none_of_its_streamed_body(
    app: Application, fetch: Fetch, saving: Saving, xsrf: bool
) -> None:
    received: list[bytes] = []

    @stream_request_body
    class Refused(Handler):
        async def prepare(self) -> None:
            await super().prepare()
            raise HTTPError(403)

        def data_received(self, chunk: bytes) -> None:
            received.append(chunk)

    app.settings["xsrf_cookies"] = xsrf
    app.add_handlers(".*", [("/refused", Refused)])
    response = await fetch("/refused", method="POST", body=b"x" * 30_000)
    assert (response.code, received) == (403, [])
    assert_saved_once(response, saving)


@pytest.mark.gen_test
async def test_verb_that_asks_another_server(fetch: Fetch, saving: Saving) -> None:
    response = await fetch("/proxy")
    assert (response.body, response.headers["X-Saved"]) == (b"hello again", "2")
    assert saving.saved == 2


@pytest.mark.gen_test
async def test_verb_that_prepare_chose(fetch: Fetch, saving: Saving) -> None:
    response = await fetch("/method-override")
    assert response.body == b"put"
    assert_saved_once(response, saving)


@pytest.mark.gen_test
async def test_verb_gets_the_groups_of_its_path(app: Application, fetch: Fetch) -> None:
    class Named(Handler):
        def get(self, year: str = "no year", month: str = "no month") -> None:
            self.write(f"{year} {month}")

    app.add_handlers(".*", [(r"/named/(?P<month>\d+)-(?P<year>\d+)", Named)])
    app.add_handlers(".*", [(r"/numbered/(\d+)/(\d+)", Named)])
    assert (await fetch("/named/11-2026")).body == b"2026 11"
    assert (await fetch("/numbered/2026/11")).body == b"2026 11"


@pytest.mark.gen_test
async def test_unknown_method_is_405_and_waits(fetch: Fetch, saving: Saving) -> None:
    response = await fetch("/sync", method="PROPFIND", allow_nonstandard_methods=True)
    assert response.code == 405
    assert_saved_once(response, saving)


@pytest.mark.gen_test
async def test_wrong_xsrf_token_is_403_and_waits(
    fetch: Fetch, saving: Saving, app: Application
) -> None:
    app.settings["xsrf_cookies"] = True
    response = await fetch("/post", method="POST", body="")
    assert response.code == 403
    assert_saved_once(response, saving)


# Misuse is refused as in stock Tornado.


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/finish-twice", b"once", "finish() called twice"),
        ("/write-after-finish", b"all", "Cannot write() after finish()"),
        ("/error-after-finish", b"sent", "ZeroDivisionError"),
    ],
)
async def test_error_after_finish_is_logged_and_the_reply_stays(
    fetch: Fetch,
    saving: Saving,
    caplog: pytest.LogCaptureFixture,
    path: str,
    body: bytes,
    message: str,
) -> None:
    response = await fetch(path)
    assert (response.code, response.body) == (200, body)
    assert_saved_once(response, saving)
    assert message in caplog.text


@pytest.mark.gen_test
async def test_send_error_after_finish_changes_nothing(
    fetch: Fetch, saving: Saving, caplog: pytest.LogCaptureFixture
) -> None:
    response = await fetch("/send-error-after-finish")
    assert (response.code, response.body) == (200, b"sent")
    assert "Cannot send error response after finish()" in caplog.text


@pytest.mark.gen_test
async def test_body_with_204_is_a_500(fetch: Fetch, saving: Saving) -> None:
    response = await fetch("/204")
    assert (response.code, response.body) == (500, error_page("500: Internal Server Error"))
    assert response.headers["X-Saved"] == "2"


@pytest.mark.gen_test
async def test_wrong_content_length_ends_the_connection(fetch: Fetch, saving: Saving) -> None:
    with pytest.raises(HTTPStreamClosedError):
        await fetch("/wrong-length")
    assert saving.saved == 1


@pytest.mark.gen_test
async def test_detached_stream_is_left_alone(fetch: Fetch, saving: Saving) -> None:
    assert (await fetch("/detached")).code == 299
    assert saving.saved == 0


# Work that fails.


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "path",
    [
        "/async",
        "/sync",
        "/coroutine",
        "/redirect",
        "/render",
        "/finish",
        "/finish-awaited",
        "/flush",
        "/flush-awaited",
        "/raise-finish",
        "/in-prepare",
        "/not-modified",
        "/static/file.txt",
        "/swallows",
    ],
)
async def test_failed_work_gives_a_whole_error_page(
    fetch: Fetch, saving: Saving, path: str
) -> None:
    saving.fail_with = Unavailable("the store did not answer")
    response = await fetch(path)
    assert (response.code, response.body) == (503, error_page("503: Service Unavailable"))
    assert response.headers["Retry-After"] == "1"
    assert saving.finished == 1


@pytest.mark.gen_test
async def test_failed_work_before_prepare_gives_a_whole_error_page(
    fetch: Fetch, saving: Saving, app: Application
) -> None:
    app.settings["xsrf_cookies"] = True
    saving.fail_with = Unavailable("the store did not answer")
    response = await fetch("/post", method="POST", body="")
    assert (response.code, response.body) == (503, error_page("503: Service Unavailable"))
    assert saving.finished == 1


@pytest.mark.gen_test
async def test_fault_of_the_program_before_prepare_is_a_500(
    fetch: Fetch, saving: Saving, app: Application
) -> None:
    app.settings["xsrf_cookies"] = True
    saving.fail_with = ZeroDivisionError()
    response = await fetch("/post", method="POST", body="")
    assert (response.code, response.body) == (500, error_page("500: Internal Server Error"))


@pytest.mark.gen_test
async def test_step_after_the_failed_one_still_runs_and_runs_once(
    app: Application, fetch: Fetch, saving: Saving
) -> None:
    ran: list[str] = []

    class Unended(SyncGet):
        def _ext_end_transaction(self) -> None:
            ran.append("transaction")
            raise Unavailable("the database did not answer")

        def _ext_save_session(self) -> None:
            ran.append("session")

    app.add_handlers(".*", [("/unended", Unended)])
    response = await fetch("/unended")
    assert (response.code, response.headers["X-Saved"]) == (503, "2")
    assert ran == ["transaction", "session"]


@pytest.mark.gen_test
async def test_failed_work_of_an_error_page_gives_a_whole_error_page(
    fetch: Fetch, saving: Saving
) -> None:
    saving.fail_with = Unavailable("the store did not answer")
    response = await fetch("/rendered-error")
    assert (response.code, response.body) == (503, b"<p>error 503</p>")


@pytest.mark.gen_test
async def test_failed_work_is_logged_in_one_line(
    fetch: Fetch, saving: Saving, caplog: pytest.LogCaptureFixture
) -> None:
    saving.fail_with = Unavailable("the store did not answer")
    await fetch("/sync")
    lines = [record for record in caplog.records if record.name == "tornado.general"]
    assert [record.getMessage() for record in lines] == [
        "503 GET /sync (127.0.0.1): Unavailable: the store did not answer"
    ]
    assert lines[0].exc_info is None


@pytest.mark.gen_test
async def test_logged_status_is_the_final_one(
    fetch: Fetch, saving: Saving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tornado.access")
    saving.fail_with = Unavailable("the store did not answer")
    await fetch("/sync")
    access = [r.getMessage() for r in caplog.records if r.name == "tornado.access"]
    assert len(access) == 1
    assert access[0].startswith("503 GET /sync")


@pytest.mark.gen_test
async def test_error_of_the_program_is_logged_with_its_traceback(
    app: Application, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    class Miswritten(Handler):
        def get(self) -> None:
            raise TornadoExtError("a fault of the program")

    app.add_handlers(".*", [("/miswritten", Miswritten)])
    for path, error in (("/error", ZeroDivisionError), ("/miswritten", TornadoExtError)):
        caplog.clear()
        await fetch(path)
        (record,) = [r for r in caplog.records if r.name == "tornado.application"]
        assert record.getMessage().startswith(f"Uncaught exception GET {path}")
        assert record.exc_info is not None
        assert record.exc_info[0] is error
        assert record.exc_info[2] is not None


@pytest.mark.gen_test
async def test_http_error_is_logged_as_in_stock(
    app: Application, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    class Teapot(Handler):
        def get(self) -> None:
            raise HTTPError(418, "no %s here", "coffee")

    app.add_handlers(".*", [("/teapot", Teapot)])
    await fetch("/teapot")
    (record,) = [r for r in caplog.records if r.name == "tornado.general"]
    assert record.getMessage() == "418 GET /teapot (127.0.0.1): no coffee here"


@pytest.mark.gen_test
async def test_send_error_hands_on_what_write_error_needs(app: Application, fetch: Fetch) -> None:
    class Explaining(Handler):
        def get(self) -> None:
            self.send_error(hint="try tomorrow")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.finish(f"{status_code}: {kwargs['hint']}")

    app.add_handlers(".*", [("/explaining", Explaining)])
    response = await fetch("/explaining")
    assert (response.code, response.body) == (500, b"500: try tomorrow")


@pytest.mark.gen_test
async def test_finish_after_an_error_page_is_one_too_many(
    app: Application, fetch: Fetch, saving: Saving, caplog: pytest.LogCaptureFixture
) -> None:
    class Insisting(Handler):
        def get(self) -> None:
            self.send_error(418)
            self.finish()

    app.add_handlers(".*", [("/insisting", Insisting)])
    response = await fetch("/insisting")
    assert response.code == 418
    assert_saved_once(response, saving)
    assert "finish() called twice" in caplog.text


class Stamping(Middleware):
    def process_response(self, handler: RequestHandler) -> None:
        handler.add_header("X-Stamp", str(handler.get_status()))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "stamps"), [("/sync", ["503"]), ("/error", ["503"]), ("/flush-awaited", ["503"])]
)
async def test_error_page_in_place_of_a_reply_gets_its_hooks(
    app: Application, fetch: Fetch, saving: Saving, path: str, stamps: list[str]
) -> None:
    class Unsaved(Handler):
        async def _ext_store(self) -> None:
            raise Unavailable("the store did not answer")

        def _ext_save_session(self) -> Any:
            return self._ext_store()

    app.add_handlers(".*", [("/unsaved" + path, type("Mixed", (Unsaved, ROUTES[path]), {}))])
    app.settings["middleware"].append(Stamping())
    response = await fetch("/unsaved" + path)
    assert response.code == 503
    assert response.headers.get_list("X-Stamp") == stamps
    assert "X-Saved" in response.headers


@pytest.mark.gen_test
async def test_error_after_the_first_byte_runs_no_hook_again(
    app: Application, fetch: Fetch, saving: Saving
) -> None:
    class Breaking(Handler):
        async def get(self) -> None:
            self.write("begun")
            await self.flush()
            raise ZeroDivisionError

    app.add_handlers(".*", [("/breaking", Breaking)])
    assert (await fetch("/breaking")).body == b"begun"
    assert (saving.saved, saving.finished) == (1, 1)


@pytest.mark.gen_test
async def test_uncaught_exception_is_a_500_that_waited(fetch: Fetch, saving: Saving) -> None:
    response = await fetch("/error")
    assert (response.code, response.body) == (500, error_page("500: Internal Server Error"))
    assert_saved_once(response, saving)


@pytest.mark.gen_test
async def test_cancelled_work_gives_an_error_page(fetch: Fetch, saving: Saving) -> None:
    saving.fail_with = asyncio.CancelledError()  # type: ignore[assignment]
    response = await fetch("/sync")
    assert (response.code, response.body) == (500, error_page("500: Internal Server Error"))
    assert saving.finished == 1


@pytest.mark.gen_test
async def test_log_exception_that_raises_still_gives_an_error_page(
    app: Application, fetch: Fetch, saving: Saving, caplog: pytest.LogCaptureFixture
) -> None:
    class Unloggable(RaiseHTTPError):
        def log_exception(self, *args: Any) -> None:
            raise ZeroDivisionError

    app.add_handlers(".*", [("/unloggable", Unloggable)])
    saving.fail_with = Unavailable("the store did not answer")
    assert (await fetch("/unloggable")).code == 503
    assert "Error in exception logger" in caplog.text


@pytest.mark.gen_test
async def test_on_finish_that_raises_leaves_the_reply_alone(
    app: Application, fetch: Fetch, saving: Saving, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(SyncGet):
        def on_finish(self) -> None:
            raise ZeroDivisionError

    app.add_handlers(".*", [("/broken", Broken)])
    response = await fetch("/broken")
    assert (response.code, response.body) == (200, b"hello")
    assert_saved_once(response, saving)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.gen_test
@pytest.mark.parametrize("method", ["REQUEST", "APPLICATION", "SETTINGS"])
async def test_method_that_is_an_attribute_of_the_handler_harms_nothing(
    fetch: Fetch, saving: Saving, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    response = await fetch("/sync", method=method, allow_nonstandard_methods=True)
    assert response.code == 405
    assert_saved_once(response, saving)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# Response hooks may write, and not send.


@pytest.mark.gen_test
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("path", ["/sync", "/flush"])
async def test_hook_that_flushes_is_an_error_that_says_so(
    app: Application,
    fetch: Fetch,
    caplog: pytest.LogCaptureFixture,
    path: str,
    waits: bool,
) -> None:
    class Flushing(Middleware):
        def process_response(self, handler: RequestHandler) -> Any:
            async def flush_later() -> None:
                await handler.flush()

            return flush_later() if waits else handler.flush()

    app.settings["middleware"].append(Flushing())
    assert (await fetch(path)).code == 500
    assert "a response hook may write(), but not flush() or finish()" in caplog.text


# Handlers are freed without a collection.


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/sync", "/async", "/redirect", "/flush-awaited"])
async def test_handler_is_no_reference_cycle(fetch: Fetch, path: str) -> None:
    await fetch(path)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            await fetch(path)
        await asyncio.sleep(0.01)
        alive = [item for item in gc.get_objects() if type(item) is ROUTES[path]]
    finally:
        gc.enable()
    assert alive == []


# WebSockets: the work comes before the upgrade.


@pytest.mark.gen_test
async def test_websocket_upgrades_after_the_work(
    http_server: HTTPServer, saving: Saving, http_port: int
) -> None:
    socket = await websocket_connect(f"ws://127.0.0.1:{http_port}/echo")
    assert socket.headers["X-Saved"] == "1"
    await socket.write_message("hello")
    assert await socket.read_message() == "hello"
    socket.close()
    assert (saving.saved, saving.finished) == (1, 1)


@pytest.mark.gen_test
@pytest.mark.parametrize(("path", "status"), [("/echo", 503), ("/refused-socket", 503)])
async def test_websocket_is_refused_when_the_work_fails(
    http_server: HTTPServer, saving: Saving, http_port: int, path: str, status: int
) -> None:
    saving.fail_with = Unavailable("the store did not answer")
    with pytest.raises(HTTPClientError) as caught:
        await websocket_connect(f"ws://127.0.0.1:{http_port}{path}")
    assert caught.value.code == status


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/named/1/b", "/numbered/b/1"])
async def test_websocket_is_opened_with_the_groups_of_its_path(
    app: Application, http_server: HTTPServer, http_port: int, path: str
) -> None:
    class Room(MiddlewareMixin, WebSocketHandler):
        def open(self, room: str, seat: str) -> None:
            self.write_message(f"{room} {seat}")

    app.add_handlers(".*", [(r"/named/(?P<seat>.)/(?P<room>.)", Room)])
    app.add_handlers(".*", [(r"/numbered/(.)/(.)", Room)])
    socket = await websocket_connect(f"ws://127.0.0.1:{http_port}{path}")
    assert await socket.read_message() == "b 1"
    socket.close()


@pytest.mark.gen_test
async def test_plain_request_to_a_websocket_is_refused(fetch: Fetch, saving: Saving) -> None:
    assert (await fetch("/echo")).code == 400
    assert (saving.saved, saving.finished) == (1, 1)


# Connections.


@pytest.mark.gen_test
async def test_pipelined_requests_are_answered_in_order(raw: IOStream, saving: Saving) -> None:
    await raw.write(b"GET /sync HTTP/1.1\r\nHost: x\r\n\r\nGET /render HTTP/1.1\r\nHost: x\r\n\r\n")
    first = await raw.read_until(b"hello")
    second = await raw.read_until(b"<p>ann</p>")
    assert b"X-Saved: 1" in first
    assert b"X-Saved: 2" in second


@pytest.mark.gen_test
async def test_http_1_0_connection_is_closed_after_the_reply(raw: IOStream) -> None:
    await raw.write(b"GET /sync HTTP/1.0\r\n\r\n")
    reply = await raw.read_until_close()
    assert b"X-Saved: 1" in reply
    assert reply.endswith(b"hello")


@pytest.mark.gen_test
async def test_client_that_leaves_during_the_work_does_not_stop_it(
    raw: IOStream, saving: Saving
) -> None:
    await raw.write(b"GET /sync HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(SAVING_TIME / 2)
    raw.close()
    await until(lambda: saving.finished == 1)
    assert saving.saved == 1


@pytest.mark.gen_test
async def test_request_under_way_is_answered_after_server_stop(
    raw: IOStream, http_server: HTTPServer, saving: Saving
) -> None:
    await raw.write(b"GET /sync HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await asyncio.sleep(SAVING_TIME / 2)
    http_server.stop()
    assert b"X-Saved: 1" in await raw.read_until_close()


@pytest.mark.gen_test
async def test_cancelled_handler_still_replies(
    app: Application, fetch: Fetch, saving: Saving, caplog: pytest.LogCaptureFixture
) -> None:
    tasks: list[asyncio.Task[Any]] = []

    class Cancelled(Handler):
        def get(self) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.append(task)
            asyncio.get_running_loop().call_later(SAVING_TIME / 2, task.cancel)
            self.write("hello")

    app.add_handlers(".*", [("/cancelled", Cancelled)])
    response = await fetch("/cancelled")
    assert (response.code, response.body) == (200, b"hello")
    assert_saved_once(response, saving)
    assert tasks[0].cancelled()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.gen_test
async def test_end_of_the_loop_makes_no_error_page(
    app: Application, raw: IOStream, caplog: pytest.LogCaptureFixture
) -> None:
    working = asyncio.Event()
    pages: list[int] = []

    class Endless(Middleware):
        async def process_response(self, handler: RequestHandler) -> None:
            working.set()
            await asyncio.Event().wait()

    class Ending(SyncGet):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            pages.append(status_code)

    app.settings["middleware"] = [Endless()]
    app.add_handlers(".*", [("/ending", Ending)])
    await raw.write(b"GET /ending HTTP/1.1\r\nHost: x\r\n\r\n")
    await working.wait()
    await cancel_tasks()  # as asyncio.run() does
    await asyncio.sleep(0.001)
    assert pages == []
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.gen_test
async def test_on_connection_close_is_called_while_the_verb_runs(
    app: Application, raw: IOStream
) -> None:
    closed = asyncio.Event()

    class Waiting(Handler):
        async def get(self) -> None:
            await closed.wait()

        def on_connection_close(self) -> None:
            closed.set()

    app.add_handlers(".*", [("/waiting", Waiting)])
    await raw.write(b"GET /waiting HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(SAVING_TIME)
    raw.close()
    await asyncio.wait_for(closed.wait(), 2)


@pytest.mark.gen_test
async def test_flush_to_a_client_that_left_raises_as_in_stock(
    app: Application, raw: IOStream, saving: Saving
) -> None:
    seen: asyncio.Future[BaseException] = asyncio.Future()

    class Streaming(Handler):
        async def get(self) -> None:
            try:
                while True:
                    self.write("x" * 100_000)
                    await self.flush()
            except StreamClosedError as exc:
                seen.set_result(exc)

    app.add_handlers(".*", [("/streaming", Streaming)])
    await raw.write(b"GET /streaming HTTP/1.1\r\nHost: x\r\n\r\n")
    await raw.read_until(b"X-Saved: 1")
    raw.close()
    await asyncio.wait_for(seen, 2)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0.001)
