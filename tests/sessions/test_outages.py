"""What a request gets from a Redis that is away, full, read-only, loading, or locked."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis
from tornado.ioloop import IOLoop
from tornado.web import Application

from tests.sessions.acting import Act, Do, put, show, shown
from tornado_ext.sessions import SessionCorrupt
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import Client, RedisServer

RETRIED = 2.0  # seconds after which a store that is back has been tried again
KEYS = 30_000  # that a Redis has to load,
KEY_LOAD_DELAY = 50  # microseconds each


class Server(RedisServer):
    """A Redis that a test may leave loading."""

    def _is_ready(self) -> bool:
        with suppress(OSError):
            return f"process_id:{self.pid}\r\n".encode() in self._ask("INFO")
        return False


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(key_load_delay=KEY_LOAD_DELAY) as server:
        yield server


@pytest.fixture
def admin(server: Server) -> Iterator["redis.Redis[str]"]:
    with redis.Redis.from_url(server.url, decode_responses=True) as admin:
        yield admin


@pytest.fixture
def app(app: Application, io_loop: IOLoop, server: Server) -> Iterator[Application]:
    store = app.settings["session_store"] = RedisStore(server.url)
    yield app
    io_loop.run_sync(store.close)


def refuse(server: Server, admin: "redis.Redis[str]") -> Callable[[], None]:
    server.kill()
    return server.restart


def freeze(server: Server, admin: "redis.Redis[str]") -> Callable[[], None]:
    server.freeze()
    return server.thaw


def load(server: Server, admin: "redis.Redis[str]") -> Callable[[], None]:
    admin.eval(f"for i = 1, {KEYS} do redis.call('SET', 'other' .. i, i) end", 0)
    server.restart()
    assert admin.info()["loading"] == 1

    def wait() -> None:
        while admin.info()["loading"]:
            time.sleep(0.1)

    return wait


def lock(server: Server, admin: "redis.Redis[str]") -> Callable[[], None]:
    admin.config_set("requirepass", "secret")
    admin.client_kill_filter(_type="normal", skipme=True)
    return lambda: admin.config_set("requirepass", "")


def fill(server: Server, admin: "redis.Redis[str]") -> Callable[[], None]:
    admin.config_set("maxmemory", 1)  # the policy is noeviction
    return lambda: admin.config_set("maxmemory", 0)


def demote(server: Server, admin: "redis.Redis[str]") -> Callable[[], None]:
    admin.replicaof("127.0.0.1", "1")
    return lambda: admin.replicaof("NO", "ONE")


Failure = Callable[[Server, "redis.Redis[str]"], Callable[[], object]]


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("failure", [refuse, freeze, load, lock])
async def test_store_that_can_not_be_asked_logs_nobody_out(
    do: Do, client: Client, server: Server, admin: "redis.Redis[str]", failure: Failure
) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(a=1))[1])
    cookie = client.cookie("session")
    repair = failure(server, admin)
    for action in (show, put(a=2), lambda h: h.session.login(7), lambda h: h.session.logout()):
        reply = await do(action)
        assert (reply.code, reply.headers["Retry-After"], reply.body) == (503, "1", b"503 None")
        assert "Set-Cookie" not in reply.headers
    assert (await do(lambda h: h.write("hello"))).body == b"hello"
    repair()
    assert client.cookie("session") == cookie
    async with asyncio.timeout(RETRIED):
        while (reply := await do(show)).code == 503:
            await asyncio.sleep(0.02)
    assert json.loads(reply.body)["user"] == "7"


@pytest.mark.gen_test
@pytest.mark.parametrize("failure", [fill, demote])
async def test_store_that_takes_no_writes_is_read_on(
    do: Do, client: Client, server: Server, admin: "redis.Redis[str]", failure: Failure
) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(a=1))[1])
    repair = failure(server, admin)
    for action in (put(a=2), lambda h: h.session.login(7), lambda h: h.session.flash("a")):
        reply = await do(action)
        assert (reply.code, reply.headers["Retry-After"]) == (503, "1")
        assert "Set-Cookie" not in reply.headers
        assert await shown(do) == {"user": "7", "a": 1}
    repair()
    await do(put(a=2))
    assert await shown(do) == {"user": "7", "a": 2}


@pytest.mark.gen_test
async def test_full_store_still_logs_out(
    do: Do, client: Client, server: Server, admin: "redis.Redis[str]"
) -> None:
    await do(lambda h: h.session.login(7))
    fill(server, admin)
    assert (await do(lambda h: h.session.logout())).code == 200
    assert client.cookie("session") is None
    assert admin.keys("session:*") == []


@pytest.mark.gen_test
async def test_full_store_still_revokes(
    do: Do, app: Application, server: Server, admin: "redis.Redis[str]"
) -> None:
    await do(lambda h: h.session.login(7))
    fill(server, admin)
    assert await app.settings["session_store"].revoke_user("7") == 1
    assert await shown(do) == {"user": None}


@pytest.mark.gen_test
async def test_store_that_is_killed_during_a_save_keeps_what_was_acknowledged(
    do: Do, server: Server
) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(a=1))[1])

    async def save(handler: Act) -> None:
        handler.session["a"] = 2
        server.freeze()
        saving = asyncio.ensure_future(handler.session.save())
        await asyncio.sleep(0.1)
        server.kill()
        await saving

    assert (await do(save)).code == 503
    server.restart()
    await asyncio.sleep(0.1)
    assert await shown(do) == {"user": "7", "a": 1}


@pytest.mark.gen_test
async def test_session_that_the_store_evicted_is_over_and_not_made_again(
    do: Do, admin: "redis.Redis[str]"
) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(a=1))[1])
    admin.config_set("maxmemory-policy", "allkeys-random")

    def evict(handler: Act) -> None:
        handler.session["a"] = 2
        admin.config_set("maxmemory", 1)
        while admin.dbsize():
            admin.config_set("maxmemory", 1)
        admin.config_set("maxmemory", 0)

    assert (await do(evict)).code == 409
    assert admin.dbsize() == 0
    assert await shown(do) == {"user": None}


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", ["string", "hash"])
async def test_record_of_another_kind_stays_and_the_request_is_anonymous(
    do: Do, app: Application, admin: "redis.Redis[str]", caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    await do(lambda h: h.session.login(7))
    (key,) = admin.keys("session:*")
    admin.delete(key)
    if kind == "string":
        admin.set(key, "somebody else's")
    else:
        admin.hset(key, "somebody", "else")
    assert await shown(do) == {"user": None}
    assert "SessionCorrupt" in caplog.text
    assert admin.exists(key)
    with pytest.raises(SessionCorrupt):
        await app.settings["session_store"].load(key.removeprefix("session:"))
    assert await app.settings["session_store"].sessions_of("7") == []
    assert await app.settings["session_store"].revoke_user("7") == 0
