"""Handlers that do what few do: each still gets its reply, its hooks and its session."""

import asyncio
from collections.abc import Callable, Collection, Generator
from functools import partial
from typing import Any

import pytest
from tornado.gen import coroutine
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

from tornado_ext.errors import Unavailable
from tornado_ext.middleware import Middleware, MiddlewareMixin
from tornado_ext.sessions import Change, MemoryStore, Session, SessionMixin
from tornado_ext.sessions.lifetimes import Lifetimes

Fetch = Callable[..., Any]


class Counting(Middleware):
    """Counts its request hooks, and can fail or spoil replies."""

    def __init__(self) -> None:
        self.requests = self.responses = 0
        self.fails = self.spoils = False

    def process_request(self, handler: RequestHandler) -> None:
        self.requests += 1

    async def process_response(self, handler: RequestHandler) -> None:
        self.responses += 1
        await asyncio.sleep(0.01)
        if self.fails:
            raise Unavailable("the store did not answer")
        if self.spoils:
            handler.set_status(204)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def app(counting: Counting) -> Application:
    return Application(middleware=[counting], session_store=MemoryStore())


@pytest.fixture
def fetch(app: Application, http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def fetch(handler: type[RequestHandler], method: str = "GET", **kwargs: Any) -> Any:
        path = f"/{handler.__name__}"
        app.add_handlers(".*", [(path, handler)])
        kwargs |= {"raise_error": False, "follow_redirects": False, "request_timeout": 2}
        return await http_client.fetch(base_url + path, method=method, **kwargs)

    return fetch


class Base(SessionMixin, MiddlewareMixin, RequestHandler):
    pass


class GivesUpFinish(Base):
    async def get(self) -> None:
        async with asyncio.timeout(0.001):
            await self.finish("hello")


class GivesUpFlush(Base):
    async def get(self) -> None:
        self.write("hello")
        async with asyncio.timeout(0.001):
            await self.flush()


@pytest.mark.gen_test
@pytest.mark.parametrize("handler", [GivesUpFinish, GivesUpFlush])
async def test_cancelled_wait_for_a_reply_that_fails_leaves_an_error_page(
    fetch: Fetch, counting: Counting, handler: type[RequestHandler]
) -> None:
    counting.fails = True
    assert (await fetch(handler)).code in (500, 503)


class Refusing(Base):
    def get(self) -> None:
        raise HTTPError(418)


class Spoilt(Base):
    def get(self) -> None:
        raise HTTPError(418)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_status(204)
        self.finish("a body")


@pytest.mark.gen_test
async def test_hook_that_spoils_every_page_is_not_asked_for_ever(
    fetch: Fetch, counting: Counting
) -> None:
    counting.spoils = True
    assert (await fetch(Refusing)).code == 500
    assert counting.responses <= 3


@pytest.mark.gen_test
async def test_write_error_that_tornado_refuses_leaves_an_empty_500(fetch: Fetch) -> None:
    response = await fetch(Spoilt)
    assert (response.code, response.body) == (500, b"")


class Socket(SessionMixin, MiddlewareMixin, WebSocketHandler):
    async def get(self, *args: Any, **kwargs: Any) -> None:
        self.session["seen"] = 1
        self.redirect("/elsewhere")

    def post(self) -> None:
        self.session.login(7)


def cookie(response: HTTPResponse) -> str:
    return response.headers.get("Set-Cookie", "")


@pytest.mark.gen_test
@pytest.mark.parametrize("headers", [{}, {"Upgrade": "websocket", "Connection": "Upgrade"}])
async def test_websocket_handler_that_declines_stores_its_session(
    fetch: Fetch, headers: dict[str, str]
) -> None:
    response = await fetch(Socket, headers=headers)
    assert response.code == 302
    assert cookie(response).startswith("session=")


@pytest.mark.gen_test
async def test_post_to_a_websocket_handler_stores_its_session(
    app: Application, fetch: Fetch
) -> None:
    assert cookie(await fetch(Socket, "POST", body=b"")).startswith("session=")
    assert len(await app.settings["session_store"].sessions_of(7)) == 1


class Wrapping(Base):
    def initialize(self) -> None:
        self.prepare = partial(self.check, self.prepare)  # type: ignore[method-assign]

    async def check(self, prepare: Callable[[], Any]) -> None:
        await prepare()
        raise HTTPError(403)

    def get(self) -> None:
        raise AssertionError("prepare has refused")


@pytest.mark.gen_test
async def test_prepare_that_is_set_on_the_handler_is_done_before_the_verb(fetch: Fetch) -> None:
    assert (await fetch(Wrapping)).code == 403


class Replacing(Base):
    def initialize(self) -> None:
        self.prepare = lambda: None  # type: ignore[method-assign,assignment,return-value]

    def get(self) -> None:
        raise AssertionError("no middleware has run")


@pytest.mark.gen_test
async def test_prepare_that_is_replaced_on_the_handler_does_not_skip_middleware(
    fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await fetch(Replacing)).code == 500
    assert "has not awaited super().prepare()" in caplog.text


class Left(Base):
    async def prepare(self) -> None:
        await super().prepare()
        self.session["left"] = 1


class Right(Base):
    async def prepare(self) -> None:
        await super().prepare()


class Both(Left, Right):
    async def prepare(self) -> None:
        await Left.prepare(self)
        await Right.prepare(self)

    def get(self) -> None:
        self.write(dict(self.session))


@pytest.mark.gen_test
async def test_prepare_that_is_reached_twice_loads_one_session_and_runs_hooks_once(
    fetch: Fetch, counting: Counting
) -> None:
    assert (await fetch(Both)).body == b'{"left": 1}'
    assert counting.requests == 1


@stream_request_body
class ChoosesLater(Base):
    def initialize(self) -> None:
        self.size = 0
        self.post = self.answer  # type: ignore[method-assign,assignment]

    def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def answer(self) -> None:
        self.write(str(self.size))


@pytest.mark.gen_test
async def test_verb_of_a_streamed_body_may_be_set_on_the_handler(fetch: Fetch) -> None:
    assert (await fetch(ChoosesLater, "POST", body=b"x" * 9)).body == b"9"


class FinishesWhenLeft(Base):
    left = 0

    def get(self) -> None:
        self.finish("hello")

    def on_connection_close(self) -> None:
        type(self).left += 1
        super().on_connection_close()


@pytest.mark.gen_test
async def test_client_that_leaves_while_a_finished_reply_waits_is_not_told_of(
    app: Application, http_server: object, http_port: int, counting: Counting
) -> None:
    app.add_handlers(".*", [("/left", FinishesWhenLeft)])
    _, writer = await asyncio.open_connection("127.0.0.1", http_port)
    writer.write(b"GET /left HTTP/1.1\r\nHost: x\r\n\r\n")
    while not counting.responses:
        await asyncio.sleep(0.001)
    writer.close()
    await asyncio.sleep(0.05)
    assert FinishesWhenLeft.left == 0


class AnswersForIt(Middleware):
    """Answers every error with a page of its own, and stamps each reply."""

    async def process_exception(self, handler: RequestHandler, exc: Exception) -> None:
        handler.clear()
        handler.set_status(200)
        handler.finish(f"never mind the {type(exc).__name__}")

    def process_response(self, handler: RequestHandler) -> None:
        handler.add_header("X-Stamp", str(handler.get_status()))


class Unsaved(Base):
    def get(self) -> None:
        self.session["a"] = {1}
        self.write("hello")


@pytest.mark.gen_test
async def test_reply_of_an_exception_hook_to_a_failed_save_gets_its_hooks(
    app: Application, fetch: Fetch
) -> None:
    app.settings["middleware"] = [AnswersForIt()]
    response = await fetch(Unsaved)
    assert (response.code, response.body) == (200, b"never mind the SessionValueError")
    assert response.headers.get_list("X-Stamp") == ["200"]


class GivesUpTwice(Base):
    async def get(self) -> None:
        asyncio.get_running_loop().call_soon(self.give_up)
        await asyncio.sleep(0.05)

    def give_up(self) -> None:
        self.send_error(503)
        self.send_error(500)


@pytest.mark.gen_test
async def test_second_send_error_of_a_callback_changes_nothing(
    fetch: Fetch, counting: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    response = await fetch(GivesUpTwice)
    assert (response.code, response.reason) == (503, "Service Unavailable")
    assert counting.responses == 1
    assert caplog.text.count("Cannot send error response after finish()") == 1


class FailsOnce(Middleware):
    """A ``def`` hook that fails at the first reply."""

    failed = False

    def process_response(self, handler: RequestHandler) -> None:
        if not self.failed:
            self.failed = True
            raise Unavailable("the store did not answer")


class AwaitsFinish(Base):
    """Is refused before ``prepare``, and has a task await the end of the page."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.settings["ends"].append(self.finish(str(status_code)))


@pytest.mark.gen_test
async def test_finish_outside_the_verb_can_be_awaited_though_a_hook_fails(
    app: Application, fetch: Fetch
) -> None:
    ends: list[Any] = []
    app.settings.update(xsrf_cookies=True, ends=ends, middleware=[FailsOnce()])
    response = await fetch(AwaitsFinish, "POST", body="")
    assert (response.code, response.body) == (503, b"503")
    assert len(ends) == 2
    await asyncio.gather(*ends)


class SlowStore(MemoryStore):
    """Takes its time to store something."""

    async def save(self, key: str, change: Change) -> Collection[str] | None:
        await asyncio.sleep(0.02)
        return await super().save(key, change)


class Changes(Base):
    """Changes its session and ends, each verb in another way."""

    def set(self) -> None:
        self.session["n"] = self.session.get("n", 0) + 1

    def get(self) -> None:
        self.write(f"{self.session.get('n')}")

    async def post(self) -> None:
        self.set()
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        self.write("stored")

    def put(self) -> None:
        self.set()
        self.finish("stored")
        raise ZeroDivisionError

    @coroutine
    def patch(self) -> Generator[Any, Any, None]:
        self.set()
        yield self.finish("stored")
        assert self.session["n"] == 2

    def delete(self) -> None:
        self.set()
        self.finish("stored")
        with pytest.raises(RuntimeError, match=r"write\(\) after finish"):
            self.write("more")
        with pytest.raises(RuntimeError, match="called twice"):
            self.finish()

    def options(self) -> None:
        self.set()
        self.write("sto")
        self.flush()
        self.finish("red")


@pytest.mark.gen_test
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_reply_that_waits_for_its_session_is_sent_whole(
    app: Application, fetch: Fetch, method: str
) -> None:
    app.settings.update(session_store=SlowStore(), middleware=[])
    session = Session(app.settings["session_store"], Lifetimes(1000, 1000))
    session["n"] = 1
    await session.save()
    headers = {"Cookie": f"session={session.id}"}
    body = None if method in ("DELETE", "OPTIONS") else ""
    response = await fetch(Changes, method, body=body, headers=headers)
    assert (response.code, response.body) == (200, b"stored")
    assert (await fetch(Changes, headers=headers)).body == b"2"
