"""The code on the pages: quoted from a program that a test runs, or run here."""

import ast
import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from tests import api
from tests.examples import DOCS
from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.mysql import Database, DatabaseMixin
from tornado_ext.rooms import LocalBus, RoomMixin
from tornado_ext.sessions import MemoryStore, SessionMixin
from tornado_ext.testing import Client

ROOT = DOCS.parent
QUOTED = ("docs", "demo_app", "tests", "tornado_ext")  # programs, all of which tests run
RUN_BY_OTHERS = {"forms.md", "forms-from-django.md", "forms-from-wtforms.md"}  # tests/forms
TABLE = "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, name TEXT, age INT, a INT, b INT)"

# What a program around a block has imported and made.
PRELUDE = """
import sys
from tornado.web import Application
from tornado_ext.errors import TornadoExtError
from tornado_ext.mysql import Database
from tornado_ext.serving import serve
routes, store, bus, port = [], None, None, 0
def make_app():
    return Application(routes)
"""


def pages() -> Iterator[Path]:
    yield from sorted(DOCS.rglob("*.md"))
    yield from sorted(ROOT.glob("README*.md"))


def blocks() -> Iterator[Any]:
    """Yield the Python blocks that are no quotes, each with the name of its page."""
    programs = (path for name in QUOTED for path in (ROOT / name).rglob("*.py"))
    quotable = "\n".join(path.read_text() for path in programs if path != Path(__file__))
    for page in pages():
        if page.name in RUN_BY_OTHERS:
            continue
        found = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        for number, block in enumerate(found):
            if block.strip("\n") not in quotable:
                yield pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")


def is_program(block: str) -> bool:
    return re.search(r"^ *serve\(", block, re.MULTILINE) is not None


class MyStore(MemoryStore):
    """A store of somebody's own."""


class Page(SessionMixin, DatabaseMixin, MiddlewareMixin, RequestHandler):
    async def get(self) -> None:
        self.session.update(n=0, cart=[])
        await perform(self)


class Socket(RoomMixin, SessionMixin, DatabaseMixin, WebSocketHandler):
    async def open(self, *_: str) -> None:
        await perform(self)
        self.close()


async def perform(handler: RequestHandler) -> None:
    """Run the block where a handler's code runs; tell the test what came of it."""
    done: asyncio.Future[None] = handler.settings["done"]
    try:
        await run(handler.settings["block"], names(handler))
    except BaseException as exc:
        done.set_exception(exc)
    else:
        done.set_result(None)


async def run(block: str, names: dict[str, Any]) -> None:
    """Run a block, in which `await` may stand outside of functions."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    outcome = eval(compile(block, "page", "exec", flags=flags, dont_inherit=True), names)
    if outcome is not None:
        await outcome


def names(handler: RequestHandler) -> dict[str, Any]:
    """Return what code on a page takes for granted."""
    settings = handler.settings
    public = (api.public(import_module(module)) for module in api.MODULES)
    return {
        **{name: value for names in public for name, value in names.items()},
        "Application": Application,
        "RequestHandler": RequestHandler,
        "pytest": pytest,
        "self": handler,
        "application": handler.application,
        "db": settings["database"],
        "store": settings["session_store"],
        "user": SimpleNamespace(id=7),
        "user_id": 7,
        "info": SimpleNamespace(key="0" * 64),
        "room": "lobby",
        "message": {"text": "hello"},
        "name": "ann",
        "rows": [(1, 2), (3, 4)],
        "routes": [],
        "MyStore": MyStore,
    }


@pytest.fixture
def application(io_loop: IOLoop, mysql_url: str) -> Iterator[Application]:
    database = Database(mysql_url)
    io_loop.run_sync(lambda: database.execute(TABLE))
    yield Application(
        [("/", Page), ("/socket", Socket)],
        session_store=MemoryStore(),
        database=database,
        room_bus=LocalBus(),
    )
    io_loop.run_sync(database.close)


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("block", [each for each in blocks() if not is_program(each.values[0])])
async def test_code_on_a_page_runs(application: Application, mysql_url: str, block: str) -> None:
    if "class " not in block:
        block = block.replace("(...)", '("DO 0")')
        block = re.sub(r'Database\("[^"]*"', f'Database("{mysql_url}"', block)
    socket, port = bind_unused_port()
    server = HTTPServer(application)
    server.add_socket(socket)
    client = Client(application, f"http://127.0.0.1:{port}")
    application.settings.update(block=block, done=asyncio.get_running_loop().create_future())
    if "self.join" in block:
        connection = await client.websocket("/socket")
        await application.settings["done"]
        connection.close()
    else:
        await client.get("/")
        await application.settings["done"]
    server.stop()


@pytest.mark.parametrize("block", [each for each in blocks() if is_program(each.values[0])])
def test_a_program_on_a_page_serves_until_it_is_told_to_stop(block: str, mysql_url: str) -> None:
    block = re.sub(r'"mysql://[^"]*"', repr(mysql_url), block).replace("8888", "0")
    command = [sys.executable, "-c", PRELUDE + block]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.terminate()
        assert process.wait(20) == 0


def test_every_page_with_code_is_looked_at() -> None:
    """The search for blocks would find nothing if pages were written otherwise."""
    opened = sum(page.read_text().count("```python") for page in pages())
    found = sum(
        len(re.findall(r"^```python\n", page.read_text(), re.MULTILINE)) for page in pages()
    )
    assert opened == found > 60
