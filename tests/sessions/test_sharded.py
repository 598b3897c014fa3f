"""ShardedRedisStore on three real Redis servers."""

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from tornado.ioloop import IOLoop

from tests.redis_data import forget, keep, put_back
from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions import Change, LeaseLost, Record, SessionGone, StoreUnavailable
from tornado_ext.sessions import sharded as module
from tornado_ext.sessions._sharding import scripts, upkeep
from tornado_ext.sessions._sharding.node import Node
from tornado_ext.sessions.codec import key_of
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import RedisServer
from tornado_ext.testing.store_suite import TTL, StoreSuite

END = time.time() + 1e6
RECORD = Record({"a": "1"}, 1.5, 2.5, ends_at=END)
KEYS = [f"key{number}" for number in range(40)]

Shards = dict[str, RedisServer]


@pytest.fixture
def shards(redis_servers: Callable[[int], list[RedisServer]]) -> Shards:
    return dict(zip("abc", redis_servers(3), strict=True))


@pytest.fixture
def store(io_loop: IOLoop, shards: Shards) -> Iterator[ShardedRedisStore]:
    store = store_on(shards)
    io_loop.run_sync(lambda: settle(store))
    yield store
    io_loop.run_sync(store.close)


def store_on(shards: Shards, **kwargs: object) -> ShardedRedisStore:
    return ShardedRedisStore({n: server.url for n, server in shards.items()}, **kwargs)  # type: ignore[arg-type]


def change(*deleted: str, fence: int | None = None, **texts: str) -> Change:
    return Change(texts, deleted, 3.5, TTL, fence)


async def settle(*stores: ShardedRedisStore) -> None:
    """Wait until every node is ok in the eyes of each store."""
    async with asyncio.timeout(20):
        for store in stores:
            while {node.state for node in (await store.health()).values()} != {"ok"}:
                await asyncio.sleep(0.01)


def holders(shards: Shards, key: str) -> set[str]:
    """Return the names of the nodes that have something of a session."""
    names = set()
    for name, server in shards.items():
        with redis.Redis.from_url(server.url) as client:
            if client.exists(f"session:{key}"):
                names.add(name)
    return names


def on(shard: RedisServer, *command: object) -> object:
    """Ask one server."""
    with redis.Redis.from_url(shard.url, decode_responses=True) as client:
        return client.execute_command(*command)


def owned_by(store: ShardedRedisStore, *names: str) -> str:
    """Return a key with these owners."""
    return next(key for key in map(str, range(10_000)) if store.owners(key) == names)


class TestShardedRedisStore(StoreSuite):
    @pytest.fixture
    def store(self, store: ShardedRedisStore) -> ShardedRedisStore:
        return store


class TestWithOneReplica(StoreSuite):
    @pytest.fixture
    def store(self, io_loop: IOLoop, shards: Shards) -> Iterator[ShardedRedisStore]:
        store = store_on(shards, replicas=1)
        yield store
        io_loop.run_sync(store.close)


class TestWithOneNodeAway(StoreSuite):
    @pytest.fixture
    def store(self, io_loop: IOLoop, store: ShardedRedisStore, shards: Shards) -> ShardedRedisStore:
        shards[store.owners("key")[0]].kill()
        return store


# Where copies are.


@pytest.mark.gen_test
async def test_each_session_is_on_its_owners_alone(
    shards: Shards, store: ShardedRedisStore
) -> None:
    for key in KEYS:
        await store.create(key, RECORD, TTL)
        assert holders(shards, key) == set(store.owners(key))


@pytest.mark.gen_test
async def test_copies_are_equal(shards: Shards, store: ShardedRedisStore) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    await store.save(key, change("a", b="2"))
    copies = [on(shards[name], "HGETALL", f"session:{key}") for name in "ab"]
    assert copies[0] == copies[1]


# Nodes that go and come back.


@pytest.mark.parametrize("victim", "abc")
@pytest.mark.gen_test
async def test_killed_node_takes_nothing_along(
    shards: Shards, store: ShardedRedisStore, victim: str
) -> None:
    for key in KEYS:
        await store.create(key, RECORD, TTL)
    shards[victim].kill()
    for key in KEYS:
        assert await store.load(key) == RECORD
        assert await store.save(key, change(b="2")) == []
        assert (await store.load(key) or RECORD).fields == {"a": "1", "b": "2"}


@pytest.mark.parametrize("comes_back", ["with its data", "with old data", "empty"])
@pytest.mark.gen_test
async def test_what_was_done_while_a_node_was_away_survives_the_loss_of_another(
    shards: Shards, store: ShardedRedisStore, comes_back: str
) -> None:
    key, ended, revoked, new = [
        each for each in map(str, range(10_000)) if store.owners(each) == ("a", "b")
    ][:4]
    for each in (key, ended):
        await store.create(each, RECORD, TTL)
    await store.create(revoked, Record({}, 1.5, 2.5, "7", ends_at=END), TTL)
    kept = keep(shards["a"])
    for each in (key, ended, revoked):
        await store.save(each, change(c="1"))
    await store.save(key, change("c"))
    shards["a"].kill()
    await store.save(key, change("a", b="2"))
    await store.delete(ended)
    await store.revoke_user("7")
    await store.create(new, RECORD, TTL)
    if comes_back == "with old data":
        put_back(shards["a"], kept)
    elif comes_back == "empty":
        forget(shards["a"])
    shards["a"].restart()
    await settle(store)
    shards["b"].kill()
    assert await store.load(key) == Record({"b": "2"}, 1.5, 3.5, ends_at=END)
    assert [await store.load(each) for each in (ended, revoked, new)] == [None, None, RECORD]


@pytest.mark.gen_test
async def test_node_that_was_restarted_between_two_commands_decides_nothing(
    shards: Shards, store: ShardedRedisStore
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    shards["a"].kill()
    forget(shards["a"])
    shards["a"].restart()
    assert await store.save(key, change("a", b="2")) == ["a"]
    assert await store.load(key) == Record({"b": "2"}, 1.5, 3.5, ends_at=END)


@pytest.mark.gen_test
async def test_frozen_node_catches_up_after_its_late_commands(
    shards: Shards, store: ShardedRedisStore
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    shards["a"].freeze()
    await store.save(key, change(a="2"))  # a is asked, and carries this out when it is thawed
    await store.save(key, change(a="3"))
    shards["a"].thaw()
    await settle(store)
    shards["b"].kill()
    assert (await store.load(key) or RECORD).fields == {"a": "3"}


@pytest.mark.gen_test
async def test_nothing_is_believed_that_no_node_can_vouch_for(
    shards: Shards, store: ShardedRedisStore
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    shards["a"].kill()
    await store.save(key, change(a="2"))
    shards["b"].kill()
    shards["a"].restart()
    for verb in (store.load(key), store.save(key, change(b="1")), store.delete(key)):
        with pytest.raises(StoreUnavailable, match="no node can vouch"):
            await verb


@pytest.mark.gen_test
async def test_two_processes_bring_a_node_up_to_date_together(
    shards: Shards, store: ShardedRedisStore
) -> None:
    other = store_on(shards)
    for key in KEYS:
        await store.create(key, RECORD, TTL)
        await other.load(key)
    shards["a"].kill()
    for key in KEYS[:20]:
        await store.save(key, change(a="2"))
    for key in KEYS[20:]:
        await other.save(key, change(a="2"))
    shards["a"].restart()
    await settle(store, other)
    shards["b"].kill()
    for key in KEYS:
        assert (await other.load(key) or RECORD).fields == {"a": "2"}
    await other.close()


# Processes that do not know yet what another has seen.


@pytest.fixture
def missed(io_loop: IOLoop, shards: Shards, store: ShardedRedisStore) -> str:
    """The key of a session of which its first owner has missed everything; no process knows."""
    key = owned_by(store, "a", "b")
    io_loop.run_sync(
        lambda: store.create(key, Record(RECORD.fields, 1.5, 2.5, "7", ends_at=END), TTL)
    )
    on(shards["a"], "DEL", f"session:{key}")
    return key


@pytest.mark.gen_test
async def test_save_does_not_take_one_owner_at_his_word_that_there_is_no_session(
    store: ShardedRedisStore, missed: str
) -> None:
    assert await store.save(missed, change(b="2")) == []
    assert (await store.load(missed) or RECORD).fields == {"a": "1", "b": "2"}


@pytest.mark.parametrize("replaced_for", [0, 60])
@pytest.mark.gen_test
async def test_logout_does_not_take_one_owner_at_his_word_that_there_is_no_session(
    shards: Shards, store: ShardedRedisStore, missed: str, replaced_for: float
) -> None:
    held = await store.delete(missed, replaced_for=replaced_for)
    assert held is not None
    assert held.fields == {"a": "1"}
    assert await store.save(missed, change(b="2")) is None
    assert all(on(shards[name], "HEXISTS", f"session:{missed}", "gone") for name in "ab")


@pytest.mark.gen_test
async def test_lease_is_refused_by_any_owner_that_has_lent_it(
    shards: Shards, store: ShardedRedisStore, missed: str
) -> None:
    fence = await store.lease(missed, 10)
    assert fence is not None
    on(shards["a"], "HDEL", f"session:{missed}", "fence", "until", "lent")
    assert await store.lease(missed, 10) is None
    await store.release(missed, fence)
    assert await store.lease(missed, 10) is not None


@pytest.mark.gen_test
async def test_old_sessions_leave_the_index_only_if_no_owner_has_them(
    store: ShardedRedisStore, missed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", 0.001)
    await asyncio.sleep(0.01)
    await store.create("new", Record({}, 1.5, 2.5, "7", ends_at=END), TTL)
    assert {info.key for info in await store.sessions_of("7")} == {missed, "new"}


@pytest.mark.gen_test
async def test_revoke_counts_and_ends_what_any_owner_has(
    store: ShardedRedisStore, missed: str
) -> None:
    assert await store.revoke_user("7") == 1
    assert await store.load(missed) is None


@pytest.mark.gen_test
async def test_replaced_session_is_told_what_any_owner_had(
    shards: Shards, store: ShardedRedisStore, missed: str
) -> None:
    await store.save(missed, change(b="2"))
    on(shards["a"], "HDEL", f"session:{missed}", ":b")
    held = await store.delete(missed, replaced_for=60)
    assert (held or RECORD).fields == {"a": "1", "b": "2"}


@pytest.fixture
def unanswered(store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each node takes one write whose answer is lost."""
    for node in store._replicas.nodes.values():

        async def write(*args: object, node: Node = node, lost: list[object] = []) -> object:  # noqa: B006
            verdict = await Node.write(node, *args)  # type: ignore[arg-type]
            if not lost:
                lost.append(verdict)
                raise node.failure(TimeoutError("no answer"))
            return verdict

        monkeypatch.setattr(node, "write", write)


@pytest.mark.usefixtures("unanswered")
@pytest.mark.gen_test
async def test_create_that_is_sent_again_finds_its_own_record(store: ShardedRedisStore) -> None:
    await store.create("key", RECORD, TTL)
    assert await store.load("key") == RECORD


@pytest.mark.gen_test
async def test_delete_that_is_sent_again_returns_what_it_has_ended(
    store: ShardedRedisStore, request: pytest.FixtureRequest
) -> None:
    await store.create("key", RECORD, TTL)
    request.getfixturevalue("unanswered")
    assert await store.delete("key", replaced_for=60) == RECORD


@pytest.mark.gen_test
async def test_tombstone_that_an_owner_has_missed_is_given_to_it_as_it_is(
    shards: Shards, store: ShardedRedisStore
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    await store.delete(key, replaced_for=60)
    on(shards["b"], "DEL", f"session:{key}")
    await store.delete(key)
    tombstones = [on(shards[name], "HGETALL", f"session:{key}") for name in "ab"]
    assert tombstones[0] == tombstones[1]


@pytest.mark.gen_test
async def test_owner_is_not_blamed_for_one_that_took_a_write_and_died(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    on(shards["b"], "DEL", f"session:{key}")
    a, b = (store._replicas.nodes[name] for name in "ab")

    async def run(script: str, *args: object) -> object:
        if script == scripts.READ:
            raise a.failure(TimeoutError("no answer"))
        return await Node.run(a, script, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(a, "run", run)
    with pytest.raises(StoreUnavailable, match="what took the write is away"):
        await store.save(key, change(b="2"))
    assert b.marks == 0


# Changes of the ring.


@pytest.mark.parametrize(
    ("nodes", "weights"), [("abcd", None), ("abc", {"a": 3}), ("bcd", None), ("bc", None)]
)
@pytest.mark.gen_test
async def test_change_of_the_ring_loses_nothing(
    redis_servers: Callable[[int], list[RedisServer]],
    monkeypatch: pytest.MonkeyPatch,
    nodes: str,
    weights: dict[str, int] | None,
) -> None:
    monkeypatch.setattr(upkeep, "INTERVAL", 0.05)
    monkeypatch.setattr(upkeep, "HEARD_FOR", 0.6)
    shards = dict(zip("abcd", redis_servers(4), strict=True))
    before = store_on({name: shards[name] for name in "abc"})
    after = store_on({name: shards[name] for name in nodes}, weights=weights)
    await settle(before)
    for key in KEYS:
        await before.create(key, RECORD, TTL)
    for key in KEYS:
        assert await after.load(key) == RECORD
        assert await after.save(key, change(b="2")) == []
        assert await before.save(key, change(c="3")) == []
        assert (await after.load(key) or RECORD).fields == {"a": "1", "b": "2", "c": "3"}
    assert await after.delete(KEYS[0]) is not None
    assert await before.load(KEYS[0]) is None
    assert await before.delete(KEYS[1]) is not None
    assert await after.load(KEYS[1]) is None
    await before.close()
    await settle(after)
    shards["b"].kill()
    for key in KEYS[2:]:
        assert (await after.load(key) or RECORD).fields == {"a": "1", "b": "2", "c": "3"}
    assert [await after.load(key) for key in KEYS[:2]] == [None, None]
    await after.close()


@pytest.mark.gen_test
async def test_node_that_was_out_of_the_ring_is_not_believed_when_it_is_in_it_again(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "INTERVAL", 0.05)
    monkeypatch.setattr(upkeep, "HEARD_FOR", 0.6)
    key = owned_by(store, "c", "a")
    await store.create(key, RECORD, TTL)
    await store.close()
    without = store_on({name: shards[name] for name in "ab"})
    await settle(without)
    await without.save(key, change(a="2"))
    await without.close()
    again = store_on(shards)
    assert (await again.load(key) or RECORD).fields == {"a": "2"}
    await settle(again)
    shards["a"].kill()
    assert (await again.load(key) or RECORD).fields == {"a": "2"}
    await again.close()


# Nodes that take no writes.


@pytest.mark.gen_test
async def test_full_node_loses_neither_writes_nor_logouts(
    shards: Shards, store: ShardedRedisStore
) -> None:
    key, ended = [k for k in map(str, range(10_000)) if store.owners(k) == ("a", "b")][:2]
    for each in (key, ended):
        await store.create(each, RECORD, TTL)
    on(shards["a"], "CONFIG", "SET", "maxmemory", "1")
    assert await store.save(key, change(a="2")) == []
    assert await store.delete(ended) == RECORD
    assert (await store.load(key) or RECORD).fields == {"a": "2"}
    assert await store.load(ended) is None
    assert (await store.health())["a"].state == "marked"
    on(shards["a"], "CONFIG", "SET", "maxmemory", "0")
    await settle(store)
    shards["b"].kill()
    assert (await store.load(key) or RECORD).fields == {"a": "2"}
    assert await store.load(ended) is None


@pytest.mark.gen_test
async def test_nodes_that_are_all_full_are_named(shards: Shards, store: ShardedRedisStore) -> None:
    await store.create("key", RECORD, TTL)
    for shard in shards.values():
        on(shard, "CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="is out of memory"):
        await store.save("key", change(a="2"))
    assert await store.load("key") == RECORD


# Leases.


@pytest.mark.gen_test
async def test_lease_outlives_the_node_that_gave_it(
    shards: Shards, store: ShardedRedisStore
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    fence = await store.lease(key, 10)
    shards["a"].kill()
    assert await store.lease(key, 10) is None
    assert await store.save(key, change(a="2", fence=fence)) == []
    await store.release(key, fence or 0)
    later = await store.lease(key, 10)
    assert later is not None
    assert fence is not None
    assert later > fence
    with pytest.raises(LeaseLost):
        await store.save(key, change(a="3", fence=fence))


# Users.


@pytest.mark.gen_test
async def test_login_that_a_revoke_overtakes_is_refused_on_every_owner(
    store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = owned_by(store, "a", "b")
    await store._enter(key_of("7"), key, TTL)  # as create() begins
    await store.revoke_user("7")
    monkeypatch.setattr(store, "_enter", lambda *_: asyncio.sleep(0))
    with pytest.raises(SessionGone):
        await store.create(key, Record({}, 1.5, 2.5, "7", ends_at=END), TTL)
    assert await store.load(key) is None


@pytest.mark.gen_test
async def test_sessions_that_ended_leave_the_index_at_a_later_login(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", 0.001)
    user = Record({}, 1.5, 2.5, "7", ends_at=time.time() + 1)
    for key in KEYS[:3]:
        await store.create(key, user, 0.05)
    await asyncio.sleep(0.1)
    for key in KEYS[3:10]:
        await store.create(key, user, TTL)
    index = f"user:{key_of('7')}"
    left = [on(shards[name], "ZRANGE", index, 0, -1) for name in store.owners(key_of("7"))]
    assert left[0] == left[1]
    assert not set(KEYS[:3]) & set(left[0])  # type: ignore[call-overload]


# Wrong settings, and wrong servers.


@pytest.mark.parametrize(
    ("nodes", "kwargs", "sentence"),
    [
        ({}, {}, "nodes must name one node at least"),
        ([], {}, "nodes must map names to Redis URLs"),
        ({"a": "redis://h", "b": "redis://h"}, {}, "'a' and 'b' have the same address"),
        ({"a": "redis://h", "b": "redis://h:6379/0"}, {}, "'a' and 'b' have the same address"),
        ({"a": "nowhere"}, {}, r"nodes\['a'\] is not a Redis URL"),
        ({"a": []}, {}, r"nodes\['a'\] must be"),
        (
            {"a": "redis://h?socket_timeout=3"},
            {},
            r"nodes\['a'\] has a socket_timeout of 3 seconds",
        ),
        ({1: "redis://h"}, {}, "nodes must have strings for names"),
        ({"a": "redis://h"}, {"weights": ["a"]}, "weights must map names to whole numbers"),
        ({"a": "redis://h"}, {"weights": {"a": 0}}, "must be a whole number above 0"),
        ({"a": "redis://h"}, {"replicas": 2}, "replicas is 2, and there are 1 nodes"),
        ({"a": "redis://h"}, {"key_prefix": b"x"}, "key_prefix must be a string"),
    ],
)
def test_what_cannot_be_right_is_refused(
    nodes: object, kwargs: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        ShardedRedisStore(nodes, **kwargs)  # type: ignore[arg-type]
