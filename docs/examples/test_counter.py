"""Tests of an app that counts visits in a session on Redis. Run it: ``pytest test_counter.py``.

It needs redis-server, and: ``pip install 'tornado-ext[redis]' pytest-tornado 'setuptools<82'``
"""

import pytest
from tornado.web import Application, HTTPError, RequestHandler

from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.sessions import SessionMixin
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import Client

pytest_plugins = ["tornado_ext.testing.fixtures"]


class Visits(SessionMixin, MiddlewareMixin, RequestHandler):
    def get(self):
        if self.current_user is None:
            raise HTTPError(403)
        self.session["visits"] = self.session.get("visits", 0) + 1
        self.write(f"visit {self.session['visits']} of {self.current_user}")


@pytest.fixture
def app(io_loop, redis_url):
    store = RedisStore(redis_url)
    yield Application([("/", Visits)], session_store=store)
    io_loop.run_sync(store.close)


@pytest.fixture
def client(app, http_server, base_url):
    return Client(app, base_url)


@pytest.mark.gen_test
async def test_strangers_are_not_counted(client):
    assert (await client.get("/")).code == 403


@pytest.mark.gen_test
async def test_users_are_counted(client):
    await client.login("ann", visits=41)
    assert (await client.get("/")).body == b"visit 42 of ann"


@pytest.mark.gen_test
async def test_a_frozen_redis_is_503_and_the_count_is_kept(client, redis_server):
    await client.login("ann", visits=41)
    redis_server.freeze()
    assert (await client.get("/")).code == 503
    redis_server.thaw()
    assert (await client.get("/")).body == b"visit 42 of ann"
