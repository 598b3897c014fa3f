"""The log names the middleware and the hook that failed."""

import asyncio

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application

from tests.middleware.endings import handlers
from tests.middleware.endings.chain import HOOKS, MAKERS
from tornado_ext.middleware import Middleware


@pytest.fixture
def app() -> Application:
    return Application([("/", handlers.AsyncReturns), ("/fails", handlers.RaisesHTTPError)])


def broken_middleware(hook: str, kind: str) -> object:
    def fail(self: object, *args: object) -> None:
        raise ZeroDivisionError

    made = MAKERS[kind](fail)
    made.__name__, made.__qualname__ = hook, f"Broken.{hook}"
    return type("Broken", (Middleware,), {hook: made})()


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("hook", HOOKS)
async def test_log_names_the_middleware_and_its_broken_hook(
    http_client: AsyncHTTPClient,
    base_url: str,
    app: Application,
    caplog: pytest.LogCaptureFixture,
    hook: str,
    kind: str,
) -> None:
    app.settings["middleware"] = [broken_middleware(hook, kind)]
    path = "/fails" if hook == "process_exception" else "/"
    await http_client.fetch(base_url + path, raise_error=False)
    await asyncio.sleep(0.01)  # an awaited process_finish ends after the reply
    assert f"Broken.{hook}" in caplog.text
