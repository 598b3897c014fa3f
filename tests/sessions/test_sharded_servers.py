"""What a ring of Redis servers does with one that is not what it should be."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

import pytest
from tornado.ioloop import IOLoop

from tests.examples import DOCS
from tests.redis_peers import Scripted
from tests.sessions.test_sharded import (
    RECORD,
    Shards,
    change,
    on,
    owned_by,
    settle,
    store_on,
)
from tornado_ext.sessions import SessionCorrupt
from tornado_ext.sessions._sharding import upkeep
from tornado_ext.sessions.ring import Ring
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import RedisServer
from tornado_ext.testing.store_suite import TTL

LOOKS = 4
ACL_RULE = r"ACL SETUSER (.*)"

numbers = count()  # for keys that were not used yet

Servers = Callable[..., list[RedisServer]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes look more often."""
    for name, seconds in {"INTERVAL": 0.05, "SHORT_INTERVAL": 0.02, "HEARD_FOR": 0.6}.items():
        monkeypatch.setattr(upkeep, name, seconds)


@pytest.fixture
def shards(redis_servers: Servers) -> Shards:
    return dict(zip("abc", redis_servers(3), strict=True))


@pytest.fixture
def opened(io_loop: IOLoop) -> Iterator[Callable[..., ShardedRedisStore]]:
    """Make a store that is closed after the test."""
    stores = []

    def make(urls: dict[str, str], **kwargs: object) -> ShardedRedisStore:
        stores.append(ShardedRedisStore(urls, **kwargs))  # type: ignore[arg-type]
        return stores[-1]

    yield make
    for store in stores:
        io_loop.run_sync(store.close)


def urls_of(shards: Shards) -> dict[str, str]:
    return {name: shard.url for name, shard in shards.items()}


async def known_as(store: ShardedRedisStore, name: str, state: str, why: str) -> None:
    """Wait until a node has a state, and check that it is told why."""
    async with asyncio.timeout(10):
        while (health := (await store.health())[name]).state != state:
            await asyncio.sleep(0.02)
    assert why in health.why


async def several_looks(store: ShardedRedisStore) -> None:
    for _ in range(LOOKS):
        await store.health()
        await asyncio.sleep(2 * upkeep.INTERVAL)


def told(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    """Return what was logged of a node that is not ok."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and f"session node {name!r}" in record.getMessage()
    ]


async def works_without(store: ShardedRedisStore, name: str) -> None:
    """Check that sessions of a node that may not be used are kept by the others."""
    key = next(key for key in map(str, numbers) if store.owners(key)[0] == name)
    await store.create(key, RECORD, TTL)
    assert await store.save(key, change(b="2")) == []
    assert (await store.load(key) or RECORD).fields == {"a": "1", "b": "2"}
    await store.delete(key)
    assert await store.load(key) is None


# Servers that are in no state to be used: the others go on, and health() says why.


@pytest.mark.gen_test(timeout=20)
async def test_replica_of_another_server_is_away(
    shards: Shards,
    redis_servers: Servers,
    opened: Callable[..., ShardedRedisStore],
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = opened(urls_of(shards))
    await settle(store)
    (master,) = redis_servers(1)
    caplog.clear()
    on(shards["a"], "REPLICAOF", master.host, master.port)
    await known_as(store, "a", "away", "read only replica")
    await works_without(store, "a")
    await several_looks(store)
    assert [line.split(": ")[0] for line in told(caplog, "a")] == ["session node 'a' is away"]


@pytest.mark.gen_test(timeout=20)
async def test_server_that_loads_its_data_is_away(
    shards: Shards, opened: Callable[..., ShardedRedisStore], caplog: pytest.LogCaptureFixture
) -> None:
    first = store_on({name: shards[name] for name in "bc"})
    await settle(first)
    await first.close()
    loading = b"-LOADING Redis is loading the dataset in memory\r\n"
    async with Scripted(lambda _: loading) as peer:
        store = opened({"a": peer.url, **urls_of({name: shards[name] for name in "bc"})})
        await known_as(store, "a", "away", "loading the dataset")
        await works_without(store, "a")
        await several_looks(store)
        assert len(told(caplog, "a")) == 1


@pytest.mark.gen_test(timeout=20)
async def test_server_that_takes_another_password_is_away(
    shards: Shards, opened: Callable[..., ShardedRedisStore], caplog: pytest.LogCaptureFixture
) -> None:
    before = opened(urls_of(shards))
    await settle(before)
    on(shards["a"], "CONFIG", "SET", "requirepass", "secret")
    urls = urls_of(shards)
    wrong = urls["a"].replace("redis://", "redis://:wrong@")
    caplog.clear()
    for store, why in (
        (opened(urls), "Authentication required"),
        (opened({**urls, "a": wrong}), "invalid username-password pair"),
    ):
        await known_as(store, "a", "away", why)
        await works_without(store, "a")
        await several_looks(store)
    assert len([line for line in told(caplog, "a") if "is away" in line]) == 2
    assert "wrong" not in caplog.text.replace("WRONGPASS", "")
    right = opened({**urls, "a": urls["a"].replace("redis://", "redis://:secret@")})
    await settle(right)


@pytest.mark.gen_test(timeout=20)
async def test_node_that_never_answered_tells_why(
    shards: Shards, opened: Callable[..., ShardedRedisStore]
) -> None:
    shards["a"].kill()
    await known_as(opened(urls_of(shards)), "a", "away", "onnect")


# Servers with somebody else's data: they are not asked.


@pytest.mark.gen_test(timeout=20)
async def test_nodes_whose_urls_are_swapped_are_foreign(
    shards: Shards, opened: Callable[..., ShardedRedisStore], caplog: pytest.LogCaptureFixture
) -> None:
    first = store_on(shards)
    await settle(first)
    key, other = owned_by(first, "a", "b"), owned_by(first, "c", "a")
    for each in (key, other):
        await first.create(each, RECORD, TTL)
    urls = urls_of(shards)
    swapped = opened({**urls, "a": urls["b"], "b": urls["a"]})
    await known_as(swapped, "a", "foreign", "it holds the data of node 'b'")
    await known_as(swapped, "b", "foreign", "it holds the data of node 'a'")
    assert await swapped.load(other) == RECORD
    await several_looks(swapped)
    assert [len(told(caplog, name)) for name in "ab"] == [1, 1]
    await first.close()


@pytest.mark.gen_test(timeout=20)
async def test_node_of_another_ring_is_foreign(
    shards: Shards,
    redis_servers: Servers,
    opened: Callable[..., ShardedRedisStore],
    caplog: pytest.LogCaptureFixture,
) -> None:
    theirs = dict(zip("abc", redis_servers(3), strict=True))
    ours, other = store_on(shards), store_on(theirs)
    await settle(ours, other)
    key = owned_by(ours, "a", "b")
    await ours.create(key, RECORD, TTL)
    secret = RECORD.fields | {"secret": "1"}
    await other.create(key, type(RECORD)(secret, 1.5, 2.5, ends_at=RECORD.ends_at), TTL)
    await ours.close()
    await other.close()
    caplog.clear()
    mixed = opened({**urls_of(shards), "a": theirs["a"].url})
    await known_as(mixed, "a", "foreign", "it holds the data of another ring")
    assert await mixed.load(key) == RECORD
    assert await mixed.save(key, change(b="2")) == []
    await several_looks(mixed)
    assert told(caplog, "a") == ["session node 'a' is foreign: it holds the data of another ring"]
    assert on(theirs["a"], "HGET", f"session:{key}", ":b") is None


@pytest.mark.gen_test(timeout=20)
async def test_foreign_node_is_neither_told_of_the_ring_nor_heard(
    shards: Shards, opened: Callable[..., ShardedRedisStore]
) -> None:
    store = opened(urls_of(shards))
    await settle(store)
    on(shards["a"], "HSET", "ring", "node", "x")
    await known_as(store, "a", "foreign", "it holds the data of node 'x'")
    (seconds, _) = on(shards["a"], "TIME")  # type: ignore[misc]
    on(shards["a"], "DEL", "rings")
    on(shards["a"], "ZADD", "rings", (int(seconds) + 10) * 1000, Ring("xy").description)
    for _ in range(2):
        await store._replicas.upkeep().looked()
    assert on(shards["a"], "ZRANGE", "rings", 0, -1) == [Ring("xy").description]
    assert store._replicas.other_rings == {}


@pytest.mark.parametrize(
    ("marker", "why"),
    [
        (["SET", "ring", "garbage"], "its marker can't be read"),
        (["HSET", "ring", "ring", "garbage"], "its marker can't be read"),
        (["HSET", "ring", "ring", '{"weights": {"a": 0}}'], "can't be read"),
        (["HSET", "ring", "node", "é"], "it holds the data of node 'é'"),
        (["HSET", "ring", "node", b"\xff"], "its marker can't be read"),
    ],
    ids=["a string", "no ring", "wrong ring", "another name", "no text"],
)
@pytest.mark.gen_test(timeout=20)
async def test_node_whose_marker_is_garbage_is_foreign(
    shards: Shards,
    opened: Callable[..., ShardedRedisStore],
    caplog: pytest.LogCaptureFixture,
    marker: list[object],
    why: str,
) -> None:
    first = store_on(shards)
    await settle(first)
    await first.close()
    if marker[0] == "SET":
        on(shards["a"], "DEL", "ring")
    on(shards["a"], *marker)
    caplog.clear()
    store = opened(urls_of(shards))
    await known_as(store, "a", "foreign", why)
    await works_without(store, "a")
    await several_looks(store)
    assert len(told(caplog, "a")) == 1


# Keys that hold something else.


@pytest.mark.gen_test(timeout=20)
async def test_what_is_no_session_is_an_error_that_names_the_node(
    shards: Shards, opened: Callable[..., ShardedRedisStore]
) -> None:
    store = opened(urls_of(shards))
    await settle(store)
    key = owned_by(store, "a", "b")
    on(shards["b"], "SET", f"session:{key}", "theirs")
    verbs: list[Callable[[], Awaitable[object]]] = [
        lambda: store.load(key),
        lambda: store.save(key, change(a="1")),
    ]
    for verb in verbs:
        with pytest.raises(SessionCorrupt, match="node 'b' holds what is no session's copy"):
            await verb()
    assert {health.state for health in (await store.health()).values()} == {"ok"}
    assert on(shards["b"], "GET", f"session:{key}") == "theirs"


@pytest.mark.gen_test(timeout=20)
async def test_what_is_no_session_keeps_no_node_from_catching_up(
    shards: Shards, opened: Callable[..., ShardedRedisStore], caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(urls_of(shards))
    await settle(store)
    key, theirs = [k for k in map(str, range(10_000)) if store.owners(k) == ("a", "b")][:2]
    await store.create(key, RECORD, TTL)
    on(shards["b"], "SET", f"session:{theirs}", "theirs")
    shards["a"].restart(empty=True)
    await known_as(store, "a", "catching up", "")
    await settle(store)
    copied = [record for record in caplog.records if "is not copied" in record.getMessage()]
    assert [record.getMessage().split(": ")[0] for record in copied] == [
        f"session:{theirs} is not copied to node 'a'"
    ]
    shards["b"].kill()
    assert await store.load(key) == RECORD


# Eviction.


@pytest.mark.gen_test(timeout=20)
async def test_node_that_evicts_is_named_by_health(
    shards: Shards, opened: Callable[..., ShardedRedisStore]
) -> None:
    on(shards["b"], "CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    store = opened(urls_of(shards))
    await settle(store)
    evicts = {name: health.evicts for name, health in (await store.health()).items()}
    assert evicts == {"a": "", "b": "volatile-lru", "c": ""}


# Rights.


def restrict(shards: Shards) -> dict[str, str]:
    """Make the user of docs/sharding.md on each node; return his URLs."""
    (rule,) = re.findall(ACL_RULE, (DOCS / "sharding.md").read_text())
    for shard in shards.values():
        on(shard, "ACL", "SETUSER", *rule.split())
    return {n: u.replace("redis://", "redis://shop:secret@") for n, u in urls_of(shards).items()}


@pytest.mark.gen_test(timeout=20)
async def test_user_with_the_rights_of_the_page_can_do_everything(
    shards: Shards, opened: Callable[..., ShardedRedisStore]
) -> None:
    urls = restrict(shards)
    store = opened(urls, key_prefix="shop:")
    await settle(store)
    key = owned_by(store, "a", "b")
    record = type(RECORD)(RECORD.fields, 1.5, 2.5, "7", ends_at=RECORD.ends_at)
    await store.create(key, record, TTL)
    shards["a"].restart(empty=True)
    restrict({"a": shards["a"]})
    await settle(store)
    shards["b"].kill()
    assert await store.load(key) == record
    fence = await store.lease(key, 10)
    assert await store.save(key, change(b="2", fence=fence)) == []
    await store.release(key, fence or 0)
    assert len(await store.sessions_of("7")) == 1
    assert await store.delete(key) is not None
    assert await store.revoke_user("7") == 0
    assert (await store.health())["a"].state == "ok"
