"""The app on SQLite files of its own, and people who visit it."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application

from demo_app.app import make_app, release
from demo_app.config import Config
from tornado_ext.testing.client import Client

PASSWORD = "correct horse"

Visit = Callable[..., Awaitable[Client]]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Override to test other settings."""
    return Config(data=tmp_path)


@pytest.fixture
def app(io_loop: IOLoop, config: Config) -> Iterator[Application]:
    app = make_app(config)
    io_loop.run_sync(app.settings["storage"].start)
    yield app
    io_loop.run_sync(lambda: release(app))


@pytest.fixture
def visitor(app: Application, http_server: HTTPServer, base_url: str) -> Client:
    """Somebody who is not logged in."""
    return Client(app, base_url)


@pytest.fixture
def person(app: Application, http_server: HTTPServer, base_url: str) -> Visit:
    """A function that makes an account and returns its owner's browser."""

    async def register(name: str = "ann") -> Client:
        client = Client(app, base_url)
        form = {"name": name, "password": PASSWORD}
        response = await client.post("/register", form, follow_redirects=False)
        assert response.code == 302, response.body
        return client

    return register
