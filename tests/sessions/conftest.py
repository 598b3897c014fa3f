"""An app whose requests do what a test wants, on a store in memory."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.web import Application

from tests.sessions.acting import Act, Action
from tornado_ext.sessions import MemoryStore
from tornado_ext.testing import Client


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def app(store: MemoryStore) -> Application:
    return Application([("/do/(.*)", Act)], session_store=store, login_url="/login", actions={})


@pytest.fixture
def client(app: Application, http_server: HTTPServer, base_url: str) -> Client:
    return Client(app, base_url)


@pytest.fixture
def do(app: Application, client: Client) -> Callable[..., Awaitable[HTTPResponse]]:
    """Have one request run ``action``, by default of ``client``."""

    async def do(action: Action, *, by: Client = client, **kwargs: Any) -> HTTPResponse:
        name = str(len(app.settings["actions"]))
        app.settings["actions"][name] = action
        return await by.fetch(f"/do/{name}", **kwargs)

    return do


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time go on by so many seconds."""
    real, offset = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + offset)

    def advance(seconds: float) -> None:
        nonlocal offset
        offset += seconds

    return advance
