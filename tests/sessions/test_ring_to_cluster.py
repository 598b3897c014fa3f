"""docs/examples/ring_to_cluster.py: a live app moves from the ring to a Cluster."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis.asyncio.cluster import RedisCluster
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application

from tests.examples import DOCS, example, program
from tests.redis_sets import cluster
from tests.sessions.test_sharded import END, Shards, settle, store_on
from tornado_ext.sessions import (
    Change,
    LeaseLost,
    MemoryStore,
    Record,
    SessionStore,
    StoreUnavailable,
)
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import Client, RedisServer
from tornado_ext.testing.store_suite import TTL, StoreSuite

WRITERS = 10
IDLE = 10
NOW = time.time()
RECORD = Record({"a": "1"}, NOW, NOW, "7", ends_at=END)


def change(fence: int | None = None, **texts: str) -> Change:
    return Change(texts, (), NOW, TTL, fence)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = example("ring_to_cluster")
    monkeypatch.setattr(module, "QUIET", 0.5)
    return module


@pytest.fixture
def ring(
    io_loop: IOLoop, redis_servers: Callable[[int], list[RedisServer]]
) -> Iterator[tuple[Shards, SessionStore]]:
    shards = dict(zip("abc", redis_servers(3), strict=True))
    store = store_on(shards)
    io_loop.run_sync(lambda: settle(store))
    yield shards, store
    io_loop.run_sync(store.close)


@pytest.fixture
def moving(module: Any) -> Any:
    """A store whose time has come, from one memory to another."""
    return module.MovingStore(MemoryStore(), MemoryStore(), 0.0)


class TestMovingStore(StoreSuite):
    """It keeps the contract of stores, when everything is in the new one."""

    @pytest.fixture
    def store(self, moving: SessionStore) -> SessionStore:
        return moving


class Process:
    """A process of the app, as far as its clients see."""

    def __init__(self, app: Application) -> None:
        (socket,) = bind_sockets(0, "127.0.0.1")
        self.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        self.app = app
        self.server = HTTPServer(app)
        self.server.add_socket(socket)
        self.busy = 0  # requests

    async def stop(self) -> None:
        while self.busy:
            await asyncio.sleep(0.02)
        self.server.stop()


class Visitor:
    """A client that remembers what was acknowledged, and checks what it reads."""

    def __init__(self, name: str, processes: list[Process]) -> None:
        self.name = name
        self.processes = processes
        self.client = Client(processes[0].app, "")
        self.notes: dict[str, str] = {}
        self.turns = 0

    async def ask(self, path: str, form: dict[str, str] | None = None) -> bytes:
        self.turns += 1
        process = self.processes[self.turns % len(self.processes)]
        self.client.base_url = process.url
        process.busy += 1
        reply = await (self.client.get(path) if form is None else self.client.post(path, form))
        process.busy -= 1
        assert reply.code == 200, reply
        return reply.body

    async def log_in(self) -> None:
        await self.ask("/login", {"name": self.name})

    async def write(self, name: str) -> None:
        text = f"{self.turns}"
        await self.ask("/", {"name": name, "text": text})
        self.notes[name] = text

    async def check(self) -> None:
        assert json.loads(await self.ask("/")) == {"user": self.name, "notes": self.notes}


@pytest.mark.gen_test(timeout=60)
async def test_live_app_moves_without_losing_a_session_a_write_or_a_logout(
    module: Any, ring: tuple[Shards, SessionStore]
) -> None:
    with cluster() as nodes:
        client = RedisCluster.from_url(nodes[0].url)
        await client.initialize()
        shards, old = ring
        new = RedisStore(client)
        processes = [Process(module.make_app(old)) for _ in range(2)]
        writers = [Visitor(f"writer{number}", processes) for number in range(WRITERS)]
        idle = [Visitor(f"idle{number}", processes) for number in range(IDLE)]
        for visitor in (*writers, *idle):
            await visitor.log_in()
            await visitor.write("first")
        over = asyncio.Event()
        using = [asyncio.create_task(use(visitor, over)) for visitor in writers]
        moving = [await module.start(nodes[0].url, END, *arguments(shards)) for _ in processes]
        for number, app in enumerate(moving):
            await replace(processes, number, app)
        for app in moving:
            app.settings["session_store"].begins = time.time() + 0.3
        await asyncio.sleep(0.3 + module.QUIET + 0.5)
        for visitor in idle:
            await visitor.check()
        for number in range(len(processes)):
            await replace(processes, number, module.make_app(new))
        for shard in shards.values():
            shard.kill()
        await asyncio.sleep(0.2)
        over.set()
        await asyncio.gather(*using)
        for visitor in (*writers, *idle):
            await visitor.check()
        assert min(visitor.turns for visitor in writers) > 10
        for process in processes:
            await process.stop()
        for app in moving:
            await app.settings["session_store"].close()
            await app.settings["redis_client"].aclose()
        await client.aclose()


def arguments(shards: Shards) -> list[str]:
    return [f"{name}={shard.url}" for name, shard in shards.items()]


async def replace(processes: list[Process], number: int, app: Application) -> None:
    """Start a process in the place of another."""
    before, processes[number] = processes[number], Process(app)
    await before.stop()


async def use(visitor: Visitor, over: asyncio.Event) -> None:
    """Write, two requests at a time; log out and in again now and then."""
    while not over.is_set():
        await asyncio.gather(visitor.write("a"), visitor.write("b"))
        await visitor.check()
        if visitor.turns % 5 == 0:
            await log_out(visitor)


async def log_out(visitor: Visitor) -> None:
    """Log out, and see that the session stays ended for who still has the cookie."""
    cookie = visitor.client.cookie("session")
    assert cookie is not None
    await visitor.ask("/logout", {})
    visitor.client.set_cookie("session", cookie)
    assert b'"user": null' in await visitor.ask("/")
    visitor.notes.clear()
    await visitor.log_in()


# What may come together.


@pytest.mark.gen_test
async def test_requests_that_move_one_session_at_once_lose_no_write(moving: Any) -> None:
    await moving.old.create("key", RECORD, TTL)
    texts = {f"name{number}": str(number) for number in range(16)}
    work = [moving.save("key", change(**{name: text})) for name, text in texts.items()]
    results = await asyncio.gather(*work, *(moving.load("key") for _ in range(4)))
    assert None not in results
    assert (await moving.load("key")).fields == {"a": "1"} | texts
    assert await moving.old.load("key") is None


@pytest.mark.gen_test
async def test_logout_while_a_session_is_moved_stays(moving: Any) -> None:
    for _ in range(20):
        await moving.old.create("key", RECORD, TTL)
        loads = [moving.load("key") for _ in range(4)]
        await asyncio.gather(*loads, moving.delete("key"), *[moving.load("key") for _ in range(4)])
        assert await moving.load("key") is None
        assert await moving.old.load("key") is None


@pytest.mark.gen_test
async def test_logout_waits_for_a_move_that_is_under_way(
    moving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await moving.old.create("key", RECORD, TTL)
    create, creating, may_create = moving.new.create, asyncio.Event(), asyncio.Event()

    async def create_late(*args: Any) -> None:
        if not creating.is_set():
            creating.set()
            await may_create.wait()
        await create(*args)

    monkeypatch.setattr(moving.new, "create", create_late)
    loading = asyncio.create_task(moving.load("key"))
    await creating.wait()
    ending = asyncio.create_task(moving.delete("key"))
    await asyncio.sleep(0.1)
    may_create.set()
    await asyncio.gather(loading, ending)
    assert await moving.load("key") is None


@pytest.mark.gen_test
async def test_logout_stays_though_the_move_before_it_was_cut_short(
    moving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await moving.old.create("key", RECORD, TTL)
    monkeypatch.setattr(moving.old, "delete", refused)
    with pytest.raises(StoreUnavailable):
        await moving.load("key")
    monkeypatch.undo()
    assert await moving.load("key") == RECORD  # and is in both now
    await moving.old.release("key", 1)  # or wait until it ends
    await moving.delete("key")
    assert await moving.load("key") is None


async def refused(*_: object, **__: object) -> None:
    raise StoreUnavailable("the ring does not answer")


@pytest.mark.gen_test
async def test_sessions_of_a_user_end_in_both_though_some_are_being_moved(moving: Any) -> None:
    for key in "abcd":
        await moving.old.create(key, RECORD, TTL)
    await moving.create("e", RECORD, TTL)
    *_, ended = await asyncio.gather(
        moving.load("a"), moving.sessions_of("7"), moving.load("b"), moving.revoke_user("7")
    )
    assert ended == 5
    assert [await moving.load(key) for key in "abcde"] == [None] * 5


@pytest.mark.gen_test
async def test_who_holds_a_lease_when_the_time_comes_stores_nothing(
    module: Any, moving: Any
) -> None:
    await moving.old.create("key", RECORD, TTL)
    fence = await moving.old.lease("key", 0.2)
    with pytest.raises(LeaseLost):
        await moving.save("key", change(fence, a="2"))
    later = await moving.lease("key", TTL)
    assert await moving.save("key", change(later, a="2")) == []


@pytest.mark.gen_test
async def test_session_that_was_replaced_before_is_not_moved(moving: Any) -> None:
    await moving.old.create("key", RECORD, TTL)
    await moving.old.delete("key", replaced_for=TTL)
    assert (await moving.load("key")).replaced
    assert await moving.save("key", change(a="2")) is None
    assert await moving.new.load("key") is None


@pytest.mark.gen_test
async def test_requests_wait_while_what_was_begun_before_may_be_under_way(module: Any) -> None:
    moving = module.MovingStore(MemoryStore(), MemoryStore(), time.time())
    await moving.old.create("key", RECORD, TTL)
    loading = asyncio.create_task(moving.load("key"))
    await asyncio.sleep(0.05)
    await moving.old.save("key", change(a="2"))  # was on its way to the ring
    assert (await loading).fields == {"a": "2"}


def test_page_quotes_the_example() -> None:
    (quoted,) = re.findall(
        r"```python\n(.*?)```", (DOCS / "sharding-to-cluster.md").read_text(), re.DOTALL
    )
    assert quoted in program("ring_to_cluster").read_text()
