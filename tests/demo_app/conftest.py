"""The app on SQLite files of its own, and people who visit it."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from tornado import locale
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application

from demo_app.app import start
from demo_app.config import Config
from tests.demo_app.talker import Talker
from tornado_ext.testing import Client

PASSWORD = "correct horse"

SOCKET = "/rooms/lobby/socket"

Visit = Callable[[str], Awaitable[Client]]
Enter = Callable[..., Awaitable[Talker]]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data=tmp_path)


@pytest.fixture
def app(io_loop: IOLoop, config: Config, tmp_path: Path) -> Iterator[Application]:
    app = io_loop.run_sync(lambda: start(config))
    yield app
    (tmp_path / "no languages").mkdir()
    locale.load_translations(str(tmp_path / "no languages"))  # they are the process's
    for name in ("room_bus", "session_store", "storage", "passwords"):
        io_loop.run_sync(app.settings[name].close)


@pytest.fixture
def visitor(app: Application, http_server: HTTPServer, base_url: str) -> Client:
    """Somebody who is not logged in."""
    return Client(app, base_url)


@pytest.fixture
def account(app: Application, http_server: HTTPServer, base_url: str) -> Visit:
    """A function that registers a name and returns its owner's browser."""

    async def register(name: str) -> Client:
        client = Client(app, base_url)
        form = {"name": name, "password": PASSWORD}
        response = await client.post("/register", form, follow_redirects=False)
        assert response.code == 302, response.body
        return client

    return register


@pytest.fixture
def person(app: Application, http_server: HTTPServer, base_url: str) -> Visit:
    """A function that logs somebody in who has no password, which is quicker."""

    async def login(name: str) -> Client:
        user = await app.settings["storage"].add_user(name, "no hash")
        client = Client(app, base_url)
        await client.login(user.id, name=user.name)
        return client

    return login


@pytest.fixture
def enter(io_loop: IOLoop) -> Iterator[Enter]:
    """A function that opens a socket; all are closed after the test."""
    talkers: list[Talker] = []

    async def enter(client: Client, path: str = SOCKET) -> Talker:
        talkers.append(Talker(await client.websocket(path)))
        return talkers[-1]

    yield enter

    async def leave() -> None:
        for talker in talkers:
            talker.socket.close()
            await talker.is_closed()

    io_loop.run_sync(leave)
