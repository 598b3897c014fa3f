"""The chain: which hooks run, in which order, and what a wrong one says."""

import asyncio
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.tcpclient import TCPClient
from tornado.web import Application, Finish, HTTPError, RequestHandler, stream_request_body

from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware import Middleware, MiddlewareMixin, NotFoundHandler

Log = list[str]
Fetch = Callable[..., Any]


class Tracing(Middleware):
    """Notes each of its hooks in the application's log."""

    def __init__(self, name: str) -> None:
        self.name = name

    def note(self, handler: RequestHandler, hook: str) -> None:
        handler.settings["log"].append(f"{self.name} {hook}")

    def process_request(self, handler: RequestHandler) -> Any:
        self.note(handler, "request")

    def process_response(self, handler: RequestHandler) -> Any:
        self.note(handler, "response")

    def process_exception(self, handler: RequestHandler, exc: Exception) -> Any:
        self.note(handler, type(exc).__name__)

    def process_finish(self, handler: RequestHandler) -> Any:
        self.note(handler, f"finish {handler.get_status()}")


class Handler(MiddlewareMixin, RequestHandler):
    def get(self) -> None:
        self.settings["log"].append("verb")
        self.write("hello")


class Failing(Handler):
    def get(self) -> None:
        raise HTTPError(418)


@pytest.fixture
def log() -> Log:
    return []


@pytest.fixture
def app(log: Log) -> Application:
    return Application(log=log, default_handler_class=NotFoundHandler)


@pytest.fixture
def get(http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def get(path: str, **kwargs: Any) -> HTTPResponse:
        return await http_client.fetch(base_url + path, raise_error=False, **kwargs)

    return get


def add(app: Application, path: str, outer: list[object], inner: list[object], base: type) -> None:
    app.settings["middleware"] = outer
    app.add_handlers(".*", [(path, type("Added", (base,), {"middleware": inner}))])


@pytest.mark.gen_test
async def test_class_attribute_of_a_subclass_replaces_that_of_its_base(
    app: Application, get: Fetch, log: Log
) -> None:
    class Base(Handler):
        middleware = [Tracing("base")]

    add(app, "/", [], [Tracing("own")], Base)
    await get("/")
    assert log == ["own request", "verb", "own response", "own finish 200"]


@pytest.mark.gen_test
async def test_any_object_with_a_hook_will_do(app: Application, get: Fetch) -> None:
    class Duck:
        def process_response(self, handler: RequestHandler) -> None:
            handler.write(" quack")

    add(app, "/", [Duck()], [], Handler)
    assert (await get("/")).body == b"hello quack"


@pytest.mark.gen_test
async def test_response_hook_sets_status_header_and_cookie_after_an_await(
    app: Application, get: Fetch
) -> None:
    class Late(Middleware):
        async def process_response(self, handler: RequestHandler) -> None:
            await asyncio.sleep(0.001)
            handler.set_status(202)
            handler.set_header("X-Late", "yes")
            handler.set_cookie("late", "1")
            handler.write("!")

    add(app, "/", [Late()], [], Handler)
    response = await get("/")
    assert (response.code, response.body) == (202, b"hello!")
    assert response.headers["X-Late"] == "yes"
    assert response.headers["Set-Cookie"].startswith("late=1")


@pytest.mark.gen_test
async def test_finish_hook_sees_the_final_status_and_the_time_taken(
    app: Application, get: Fetch
) -> None:
    seen: list[tuple[int, float]] = []

    class Slow(Middleware):
        async def process_response(self, handler: RequestHandler) -> None:
            await asyncio.sleep(0.02)
            handler.set_status(202)

        def process_finish(self, handler: RequestHandler) -> None:
            seen.append((handler.get_status(), handler.request.request_time()))

    add(app, "/", [Slow()], [], Handler)
    await get("/")
    [(status, seconds)] = seen
    assert status == 202
    assert seconds > 0.019


@pytest.mark.gen_test
async def test_exception_hook_that_raises_leaves_its_error_to_the_hooks_outside(
    app: Application, get: Fetch, log: Log
) -> None:
    class Broken(Tracing):
        def process_exception(self, handler: RequestHandler, exc: Exception) -> None:
            raise ZeroDivisionError

    add(app, "/", [Tracing("a"), Broken("b")], [], Failing)
    assert (await get("/")).code == 500
    assert log[2:5] == ["a ZeroDivisionError", "b response", "a response"]


@pytest.mark.gen_test
async def test_error_before_prepare_is_offered_to_def_hooks_alone(
    app: Application, get: Fetch, log: Log
) -> None:
    class Broken(Tracing):
        def process_exception(self, handler: RequestHandler, exc: Exception) -> None:
            raise ZeroDivisionError

    class Awaited(Tracing):
        async def process_exception(self, handler: RequestHandler, exc: Exception) -> None:
            self.note(handler, "asked")

    class Handling(Tracing):
        def process_exception(self, handler: RequestHandler, exc: Exception) -> None:
            handler.set_status(400)
            handler.finish("no such method here")

    add(app, "/", [Tracing("a"), Handling("b"), Awaited("c"), Broken("d")], [], Failing)
    response = await get("/", method="PROPFIND", allow_nonstandard_methods=True)
    assert (response.code, response.body) == (400, b"no such method here")
    assert log[:4] == ["d response", "c response", "b response", "a response"]


@pytest.mark.gen_test
async def test_error_before_prepare_that_a_hook_answered_goes_no_further(
    app: Application, get: Fetch, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    class Handling(Tracing):
        def process_exception(self, handler: RequestHandler, exc: Exception) -> None:
            assert isinstance(exc, HTTPError)
            handler.finish(f"{exc.status_code} it would be")

    add(app, "/", [Tracing("a"), Handling("b")], [], Failing)
    response = await get("/", method="PROPFIND", allow_nonstandard_methods=True)
    assert (response.code, response.body) == (200, b"405 it would be")
    assert log == ["b response", "a response", "b finish 200", "a finish 200"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


class Waiting(Middleware):
    async def process_response(self, handler: RequestHandler) -> None:
        await asyncio.sleep(0.001)


@pytest.mark.gen_test
@pytest.mark.parametrize(("answer", "status"), [(None, 403), (b"never mind", 200)])
async def test_error_before_prepare_is_logged_where_no_hook_answered_it(
    app: Application,
    get: Fetch,
    caplog: pytest.LogCaptureFixture,
    answer: bytes | None,
    status: int,
) -> None:
    asked: list[Exception] = []

    class Answering(Middleware):
        def process_exception(self, handler: RequestHandler, exc: Exception) -> None:
            asked.append(exc)
            if answer is not None:
                raise Finish(answer)

    app.settings["xsrf_cookies"] = True
    add(app, "/", [Waiting(), Answering()], [], Failing)
    response = await get("/", method="POST", body="")
    logged = [record.getMessage() for record in caplog.records if record.name == "tornado.general"]
    assert (response.code, len(asked)) == (status, 1)
    if answer is None:
        assert logged == ["403 POST / (127.0.0.1): '_xsrf' argument missing from POST"]
    else:
        assert (response.body, logged) == (answer, [])


@pytest.mark.gen_test
async def test_error_before_prepare_is_offered_where_the_handler_logs_by_itself(
    app: Application, get: Fetch, log: Log
) -> None:
    class Logging(Handler):
        def log_exception(self, *exc_info: object) -> None:
            log.append("logged")

    add(app, "/", [Tracing("a")], [], Logging)
    await get("/", method="PROPFIND", allow_nonstandard_methods=True)
    assert log[:2] == ["logged", "a HTTPError"]


@pytest.mark.gen_test
async def test_hook_that_raises_about_an_error_before_prepare_is_logged(
    app: Application, get: Fetch, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Middleware):
        def process_exception(self, handler: RequestHandler, exc: Exception) -> None:
            raise ZeroDivisionError

    add(app, "/", [Tracing("a"), Broken()], [], Failing)
    response = await get("/", method="PROPFIND", allow_nonstandard_methods=True)
    assert response.code == 405
    assert log[0] == "a HTTPError"
    assert "Broken.process_exception" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.gen_test
async def test_prepare_that_finishes_without_super_is_an_error_in_the_log(
    app: Application, get: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    class Forgetful(Handler):
        def prepare(self) -> None:  # type: ignore[override]
            self.finish("all by myself")

    add(app, "/", [Tracing("a")], [], Forgetful)
    assert (await get("/")).body == b"all by myself"
    assert "Added.prepare() has not awaited super().prepare()" in caplog.text


@pytest.mark.gen_test
async def test_client_that_leaves_in_its_body_while_prepare_runs_is_a_499(
    app: Application, http_server: HTTPServer, http_port: int, log: Log
) -> None:
    @stream_request_body
    class Upload(Handler):
        async def prepare(self) -> None:
            await super().prepare()
            await asyncio.sleep(0.01)

        def data_received(self, chunk: bytes) -> None:
            """Take it."""

    add(app, "/", [Tracing("a")], [], Upload)
    stream = await TCPClient().connect("127.0.0.1", http_port)
    await stream.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    stream.close()
    while len(log) < 2:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)  # prepare has returned too
    assert log == ["a request", "a finish 499"]


@pytest.mark.gen_test
async def test_client_that_leaves_before_the_verb_ends_with_it_where_no_body_is_streamed(
    app: Application, http_server: HTTPServer, http_port: int, log: Log
) -> None:
    left, answered = asyncio.Event(), asyncio.Event()

    class Page(Handler):
        async def prepare(self) -> None:
            await super().prepare()
            stream.close()
            await left.wait()

        def on_connection_close(self) -> None:
            left.set()

        def on_finish(self) -> None:
            answered.set()

    add(app, "/", [Tracing("a")], [], Page)
    stream = await TCPClient().connect("127.0.0.1", http_port)
    await stream.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await answered.wait()
    assert log == ["a request", "verb", "a response", "a finish 200"]


@pytest.mark.gen_test
async def test_client_that_leaves_after_its_body_ends_with_the_verb(
    app: Application, http_server: HTTPServer, http_port: int, log: Log
) -> None:
    left, answered = asyncio.Event(), asyncio.Event()

    @stream_request_body
    class Upload(Handler):
        def data_received(self, chunk: bytes) -> None:
            """Take it."""

        def on_connection_close(self) -> None:
            left.set()

        async def post(self) -> None:
            log.append("verb")
            stream.close()
            await left.wait()
            self.write("too late")

        def on_finish(self) -> None:
            answered.set()

    add(app, "/", [Tracing("a")], [], Upload)
    stream = await TCPClient().connect("127.0.0.1", http_port)
    await stream.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
    await answered.wait()
    assert log == ["a request", "verb", "a response", "a finish 200"]


@pytest.mark.gen_test
@pytest.mark.parametrize("fails", ["verb", "save"])
async def test_failure_of_a_handler_with_a_streamed_body_is_offered_to_async_hooks(
    app: Application, get: Fetch, fails: str
) -> None:
    @stream_request_body
    class Upload(Handler):
        def data_received(self, chunk: bytes) -> None:
            """Take it."""

        def post(self) -> None:
            if fails == "verb":
                raise ZeroDivisionError

    class Unsaved(Middleware):
        def process_response(self, handler: RequestHandler) -> None:
            if fails == "save" and handler.get_status() == 200:
                raise ZeroDivisionError

    class Handling(Middleware):
        async def process_exception(self, handler: RequestHandler, exc: Exception) -> None:
            await asyncio.sleep(0)
            handler.set_status(202)
            handler.finish(type(exc).__name__)

    add(app, "/", [Handling()], [Unsaved()], Upload)
    response = await get("/", method="POST", body=b"abc")
    assert (response.code, response.body) == (202, b"ZeroDivisionError")


@pytest.mark.gen_test
async def test_failed_save_is_offered_to_every_exception_hook(
    app: Application, get: Fetch, log: Log
) -> None:
    class Unsaved(Handler):
        def _ext_save_session(self) -> None:
            if "verb" in log:
                log.remove("verb")
                raise ZeroDivisionError

    add(app, "/", [Tracing("a")], [Tracing("b")], Unsaved)
    assert (await get("/")).code == 500
    assert [line for line in log if "ZeroDivisionError" in line] == [
        *["b ZeroDivisionError", "a ZeroDivisionError"]
    ]


@pytest.mark.gen_test
async def test_request_that_a_hook_answers_still_ends_its_transaction_and_saves(
    app: Application, get: Fetch, log: Log
) -> None:
    class Answering(Middleware):
        def process_request(self, handler: RequestHandler) -> None:
            handler.finish("not today")

    class Stored(Handler):
        def _ext_end_transaction(self) -> None:
            log.append("transaction")

        def _ext_save_session(self) -> None:
            log.append("session")

    add(app, "/", [Answering(), Tracing("inside")], [], Stored)
    assert (await get("/")).body == b"not today"
    assert log == ["transaction", "session", "inside finish 200"]


@pytest.mark.gen_test
@pytest.mark.parametrize("hook", ["process_request", "process_response", "process_exception"])
async def test_hook_that_raises_is_named_in_the_log(
    app: Application, get: Fetch, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    fail.__name__ = hook
    broken = type("Broken", (Middleware,), {hook: fail})()
    add(app, "/", [broken], [], Failing if hook == "process_exception" else Handler)
    assert (await get("/")).code == 500
    assert f"raised in {type(broken).__qualname__}.{hook}" in caplog.text


@pytest.mark.gen_test
async def test_finish_hook_that_raises_is_logged_and_the_others_run(
    app: Application, get: Fetch, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Middleware):
        def process_finish(self, handler: RequestHandler) -> None:
            raise ZeroDivisionError

    add(app, "/", [Tracing("a"), Broken()], [], Handler)
    assert (await get("/")).code == 200
    assert log[-1] == "a finish 200"
    assert "Broken.process_finish" in caplog.text


@pytest.mark.gen_test
@pytest.mark.parametrize("setting", ["xsrf_cookies", "cross_origin_protection"])
async def test_post_to_an_unknown_address_is_no_matter_of_trust(
    app: Application, http_client: AsyncHTTPClient, base_url: str, setting: str
) -> None:
    app.settings[setting] = True
    response = await http_client.fetch(
        base_url,
        method="POST",
        body="",
        headers={"Sec-Fetch-Site": "cross-site", "Origin": "http://elsewhere"},
        raise_error=False,
    )
    assert response.code == 404


@pytest.mark.gen_test
async def test_prepare_without_super_is_an_error_that_says_so(
    app: Application, get: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    class Forgetful(Handler):
        async def prepare(self) -> None:
            pass

    add(app, "/", [Tracing("a")], [], Forgetful)
    assert (await get("/")).code == 500
    assert "Added.prepare() has not awaited super().prepare()" in caplog.text


async def prepare_after_ours(self: Handler) -> None:
    await Handler.prepare(self)
    self.settings["log"].append("prepare")


@pytest.mark.gen_test
async def test_prepare_that_is_set_in_a_class_later_is_done_before_the_verb(
    app: Application, get: Fetch, log: Log
) -> None:
    class Late(Handler):
        middleware = [Tracing("a")]

    Late.prepare = prepare_after_ours  # type: ignore[assignment,method-assign]
    app.add_handlers(".*", [("/", Late)])
    assert (await get("/")).body == b"hello"
    assert log == ["a request", "prepare", "verb", "a response", "a finish 200"]


class Plain:
    """A mixin that knows nothing of ours."""

    settings: dict[str, Any]

    async def prepare(self) -> None:
        await super().prepare()  # type: ignore[misc]
        self.settings["log"].append("plain")


@pytest.mark.gen_test
async def test_every_prepare_of_the_bases_is_done_before_the_verb(
    app: Application, get: Fetch, log: Log
) -> None:
    class Base(Plain, Handler):
        async def prepare(self) -> None:
            await super().prepare()
            self.settings["log"].append("base")

    class Between(Plain):
        async def prepare(self) -> None:
            await super().prepare()
            self.settings["log"].append("between")

    class Derived(Between, Base):
        pass

    add(app, "/", [Tracing("a")], [], Derived)
    await get("/")
    assert log[:5] == ["a request", "plain", "base", "between", "verb"]


def test_class_that_overrides_nothing_gets_nothing_of_its_own() -> None:
    class Base(Handler):
        async def prepare(self) -> None:
            await super().prepare()

    class Derived(Base):
        pass

    assert vars(Derived).keys().isdisjoint({"prepare", "on_finish"})


def test_arguments_of_a_class_reach_its_other_bases() -> None:
    class Titled:
        title = ""

        def __init_subclass__(cls, title: str) -> None:
            cls.title = title

    class Page(MiddlewareMixin, Titled, RequestHandler, title="Home"):
        pass

    assert Page.title == "Home"


def and_then(prepare: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @wraps(prepare)
    async def decorated(self: Handler) -> None:
        await prepare(self)
        await asyncio.sleep(0)
        self.settings["log"].append("decorated")

    return decorated


@pytest.mark.gen_test
async def test_inherited_prepare_that_is_decorated_is_done_before_the_verb(
    app: Application, get: Fetch, log: Log
) -> None:
    class Base(Handler):
        async def prepare(self) -> None:
            await super().prepare()
            self.settings["log"].append("base")

    class Decorated(Base):
        prepare = and_then(Base.prepare)

    add(app, "/", [Tracing("a")], [], Decorated)
    await get("/")
    assert log[:4] == ["a request", "base", "decorated", "verb"]


@pytest.mark.gen_test
async def test_async_prepare_of_a_handler_behind_the_mixin_is_done_before_the_verb(
    app: Application, get: Fetch, log: Log
) -> None:
    class Stock(RequestHandler):
        async def prepare(self) -> None:
            await asyncio.sleep(0)
            self.settings["log"].append("stock")

        def get(self) -> None:
            self.settings["log"].append("verb")

    add(app, "/", [Tracing("a")], [], type("Mixed", (MiddlewareMixin, Stock), {}))
    await get("/")
    assert log[:3] == ["a request", "stock", "verb"]


class Helping(Middleware):
    def process_body(self) -> None:
        """A helper of one's own, whatever it is called."""

    def process_request(self, handler: RequestHandler) -> None:
        self.process_body()


def test_helper_that_is_called_like_a_hook_is_let_be() -> None:
    Handler._ext_check(Application(middleware=[Helping()]))


class NoMethod:
    process_request = None


class Misspelt:
    def process_respones(self, handler: RequestHandler) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("middleware", "sentence"),
    [
        ("Timing", "the setting 'middleware' must be a list of middleware, not 'Timing'"),
        ([Tracing], "the setting 'middleware' has the class Tracing: give an instance, Tracing()"),
        ([Misspelt()], "has process_respones: is it process_response?"),
        ([NoMethod()], "has process_request, which is no method"),
        ([object()], "has none of process_request"),
    ],
)
def test_wrong_middleware_is_named(middleware: object, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Handler._ext_check(Application(middleware=middleware))
    assert sentence in str(caught.value)


def test_mixin_behind_the_handler_is_refused_at_once() -> None:
    class Page(RequestHandler):
        pass

    with pytest.raises(ConfigurationError, match="write the mixins first, class Wrong"):
        type("Wrong", (Page, MiddlewareMixin), {})


def test_wrong_middleware_of_a_class_is_named() -> None:
    class Wrong(Handler):
        middleware = [Misspelt()]

    with pytest.raises(ConfigurationError, match=r"Wrong\.middleware"):
        Wrong._ext_check(Application())
