"""ShardedRedisStore on three real Redis servers."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import redis.asyncio
from tornado.ioloop import IOLoop

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions import Change, Record, StoreUnavailable
from tornado_ext.sessions import redis as module
from tornado_ext.sessions.codec import key_of
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import RedisServer
from tornado_ext.testing.store_suite import TTL, StoreSuite

RECORD = Record({"a": "1"}, 1.5, 2.5)
KEYS = [f"key{number}" for number in range(60)]

Shards = dict[str, RedisServer]


@pytest.fixture
def shards(redis_servers: Callable[[int], list[RedisServer]]) -> Shards:
    return dict(zip("abc", redis_servers(3), strict=True))


@pytest.fixture
def store(io_loop: IOLoop, shards: Shards) -> Iterator[ShardedRedisStore]:
    store = ShardedRedisStore({name: server.url for name, server in shards.items()})
    yield store
    io_loop.run_sync(store.close)


class TestShardedRedisStore(StoreSuite):
    @pytest.fixture
    def store(self, store: ShardedRedisStore) -> ShardedRedisStore:
        return store


@pytest.mark.gen_test
async def test_each_record_is_on_its_owner_alone(shards: Shards, store: ShardedRedisStore) -> None:
    for key in KEYS:
        await store.create(key, RECORD, TTL)
    for name, server in shards.items():
        async with redis.asyncio.Redis.from_url(server.url, decode_responses=True) as client:
            held = {key.removeprefix("session:") for key in await client.keys()}
        assert held == {key for key in KEYS if store.owner(key) == name}
        assert held


@pytest.mark.gen_test
async def test_lost_shard_takes_only_its_own_sessions_along(
    shards: Shards, store: ShardedRedisStore
) -> None:
    for key in KEYS:
        await store.create(key, RECORD, TTL)
    shards["b"].kill()
    for key in KEYS:
        if store.owner(key) == "b":
            with pytest.raises(StoreUnavailable):
                await store.load(key)
        else:
            assert await store.load(key) == RECORD
            assert await store.save(key, Change({"a": "2"}, (), 3.0, TTL)) is not None


@pytest.mark.gen_test
async def test_shard_that_is_back_is_used_again(shards: Shards, store: ShardedRedisStore) -> None:
    key = next(key for key in KEYS if store.owner(key) == "b")
    shards["b"].kill()
    with pytest.raises(StoreUnavailable):
        await store.load(key)
    shards["b"].restart()
    await store.create(key, RECORD, TTL)
    assert await store.load(key) == RECORD


@pytest.mark.gen_test
async def test_revoke_ends_what_it_can_reach_and_the_rest_when_it_is_called_again(
    shards: Shards, store: ShardedRedisStore
) -> None:
    index = store.owner(key_of("7"))
    away = next(name for name in shards if name != index)
    for key in KEYS:
        await store.create(key, Record(user_id="7"), TTL)
    shards[away].kill()
    with pytest.raises(StoreUnavailable):
        await store.revoke_user("7")
    for key in KEYS:
        if store.owner(key) != away:
            assert await store.load(key) is None
    shards[away].restart()
    await asyncio.sleep(0.2)
    assert await store.revoke_user("7") == sum(store.owner(key) == away for key in KEYS)
    assert [key for key in KEYS if await store.load(key)] == []
    assert await store.sessions_of("7") == []


@pytest.mark.gen_test
async def test_login_needs_no_shard_but_its_own_and_that_of_the_index(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", 0.001)
    away = next(name for name in shards if name != store.owner(key_of("7")))
    for key in KEYS:
        await store.create(key, Record(user_id="7"), TTL)
    shards[away].kill()
    for key in (f"new{number}" for number in range(20)):
        if store.owner(key) != away:
            await store.create(key, Record(user_id="7"), TTL)
            assert await store.load(key) is not None


@pytest.mark.parametrize(
    ("nodes", "weights", "sentence"),
    [
        ({}, {}, "nodes must name one node at least"),
        ([], {}, "nodes must map names to Redis URLs"),
        ({"a": "redis://h", "b": "redis://h"}, {}, "'a' and 'b' have the same address"),
        ({"a": "redis://h", "b": "redis://h:6379/0"}, {}, "'a' and 'b' have the same address"),
        ({"a": "nowhere"}, {}, r"nodes\['a'\] is not a Redis URL"),
        ({"a": []}, {}, r"nodes\['a'\] must be"),
        ({1: "redis://h"}, {}, "nodes must have strings for names"),
        ({"a": "redis://h"}, ["a"], "weights must map names to whole numbers"),
        ({"a": "redis://h"}, {"a": 0}, "must be a whole number above 0"),
    ],
)
def test_what_cannot_be_right_is_refused(nodes: object, weights: object, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        ShardedRedisStore(nodes, weights=weights)  # type: ignore[arg-type]
