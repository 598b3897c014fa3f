"""docs/examples/sessions.py, used by a real client, on the memory of a process and on a Redis."""

from collections.abc import Iterator

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application

from tests.examples import DOCS, example, quoted_classes
from tornado_ext.sessions import MemoryStore, SessionStore
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import Client


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, io_loop: IOLoop) -> Iterator[SessionStore]:
    on_redis = request.param == "redis"
    store = RedisStore(request.getfixturevalue("redis_url")) if on_redis else MemoryStore()
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def app(store: SessionStore) -> Application:
    return example("sessions").make_app(store)


@pytest.mark.gen_test
async def test_cart_is_kept_until_logout(
    app: Application, http_server: HTTPServer, base_url: str
) -> None:
    client = Client(app, base_url)
    assert (await client.get("/")).effective_url.endswith("/login?next=%2F")
    await client.post("/login", {"name": "ann"})
    await client.post("/", {"item": "tea"})
    reply = await client.post("/", {"item": "milk"})
    assert reply.body == b'{"user": "ann", "cart": ["tea", "milk"]}'
    await client.post("/logout")
    assert (await client.get("/")).body == b"POST your name here"


def test_page_quotes_the_example() -> None:
    text = (DOCS / "examples" / "sessions.py").read_text()
    (quoted,) = quoted_classes("sessions.md")
    assert quoted.strip() in text
