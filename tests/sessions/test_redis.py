"""RedisStore on a real Redis, and what becomes of it when that one is gone."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
import redis.asyncio
from tornado.ioloop import IOLoop

from tests.examples import DOCS
from tornado_ext._redis import TOTAL_TIMEOUT
from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions import (
    Change,
    Record,
    SessionCorrupt,
    SessionTooLarge,
    StoreTimeout,
    StoreUnavailable,
)
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import RedisServer
from tornado_ext.testing.store_suite import TTL, StoreSuite

RECORD = Record({"a": "1"}, 1.5, 2.5)


@pytest.fixture
def store(io_loop: IOLoop, redis_url: str) -> Iterator[RedisStore]:
    store = RedisStore(redis_url)
    yield store
    io_loop.run_sync(store.close)


class TestRedisStore(StoreSuite):
    @pytest.fixture
    def store(self, store: RedisStore) -> RedisStore:
        return store


class TestRedisStoreOnAClient(StoreSuite):
    @pytest.fixture
    def store(self, io_loop: IOLoop, redis_url: str) -> Iterator[RedisStore]:
        client = redis.asyncio.Redis.from_url(redis_url)
        yield RedisStore(client)
        io_loop.run_sync(client.aclose)


class TestRedisStoreOfAnAclUser(StoreSuite):
    @pytest.fixture
    def store(self, io_loop: IOLoop, redis_url: str) -> Iterator[RedisStore]:
        (rule,) = re.findall(r"ACL SETUSER (.*)", (DOCS / "sessions.md").read_text())
        with redis.Redis.from_url(redis_url) as admin:
            admin.execute_command("ACL", "SETUSER", *rule.split())
            url = redis_url.replace("redis://", "redis://shop:secret@")
            store = RedisStore(url, key_prefix="shop:")
            yield store
            io_loop.run_sync(store.close)
            admin.execute_command("ACL", "DELUSER", "shop")


@pytest.mark.gen_test
async def test_keys_have_the_prefix(redis_url: str) -> None:
    store = RedisStore(redis_url, key_prefix="app:")
    await store.create("key", RECORD, TTL)
    async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
        assert await client.keys() == ["app:session:key"]
        assert 0 < await client.pttl("app:session:key") <= TTL * 1000
    await store.close()


@pytest.mark.gen_test
async def test_limits_are_arguments(redis_url: str) -> None:
    store = RedisStore(redis_url, max_bytes=10, max_keys=2)
    await store.create("key", Record({"a": "1", "b": "2"}), TTL)
    for texts in ({"c": "3"}, {"a": "1" * 9}):
        with pytest.raises(SessionTooLarge, match="2 keys and 10 bytes"):
            await store.save("key", Change(texts, (), 0.0, TTL))
    await store.close()


@pytest.mark.gen_test
async def test_close_leaves_a_client_of_the_caller_open(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        store = RedisStore(client)
        await store.create("key", RECORD, TTL)
        await store.close()
        assert await store.load("key") == RECORD


@pytest.mark.gen_test
async def test_user_may_have_more_sessions_than_a_client_has_connections(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        store = RedisStore(client)
        for number in range(150):
            await store.create(f"key{number}", Record({}, 1.5, 2.5, "7"), TTL)
        assert len(await store.sessions_of("7")) == 150
        assert await store.revoke_user("7") == 150


@pytest.mark.gen_test
async def test_killed_server_is_unavailable_and_works_again_when_it_is_back(
    redis_server: RedisServer, store: RedisStore
) -> None:
    await store.create("key", RECORD, TTL)
    redis_server.kill()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{redis_server.port}"):
            await store.load("key")
    redis_server.restart()
    await store.create("other", RECORD, TTL)
    assert await store.load("other") == RECORD


@pytest.mark.gen_test
async def test_restart_between_requests_is_not_noticed(
    redis_server: RedisServer, store: RedisStore
) -> None:
    await store.create("key", RECORD, TTL)
    await asyncio.gather(*(store.load("key") for _ in range(10)))
    redis_server.restart()
    assert await asyncio.gather(*(store.load("key") for _ in range(10))) == [RECORD] * 10
    assert await store.save("key", Change({}, (), 3.0, TTL)) is not None


@pytest.mark.gen_test
async def test_frozen_server_times_out_and_answers_its_own_question_when_thawed(
    redis_server: RedisServer, store: RedisStore
) -> None:
    await store.create("key", RECORD, TTL)
    redis_server.freeze()
    with pytest.raises(StoreTimeout):
        await store.load("other")
    with pytest.raises(StoreTimeout):
        await store.save("key", Change({"a": "2"}, (), 3.5, TTL))
    redis_server.thaw()
    assert await store.load("missing") is None


@pytest.mark.gen_test
async def test_full_server_is_unavailable(redis_servers) -> None:  # type: ignore[no-untyped-def]
    (server,) = redis_servers(1, maxmemory="1mb", maxmemory_policy="noeviction")
    store = RedisStore(server.url, max_bytes=10_000_000)
    large = Record({"a": f'"{"x" * 5_000_000}"'}, 1.0, 1.0)
    with suppress(StoreUnavailable):  # Redis looks at its memory before a script, not in it
        await store.create("first", large, TTL)
    with pytest.raises(StoreUnavailable, match="memory"):
        await store.create("second", large, TTL)
    await store.close()


@pytest.mark.gen_test
async def test_wrong_password_is_unavailable(redis_servers) -> None:  # type: ignore[no-untyped-def]
    (server,) = redis_servers(1, password="right")
    store = RedisStore(server.url.replace("right", "wrong"))
    with pytest.raises(StoreUnavailable) as caught:
        await store.load("key")
    assert "wrong" not in str(caught.value).replace("WRONGPASS", "")
    await store.close()


@pytest.mark.gen_test
async def test_record_that_is_no_record_is_corrupt_and_stays(
    redis_url: str, store: RedisStore
) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.hset("session:key", mapping={"created": "yesterday", "seen": "1"})
        with pytest.raises(SessionCorrupt):
            await store.load("key")
        assert await client.exists("session:key")


@pytest.mark.gen_test
async def test_record_that_is_no_text_is_corrupt(redis_url: str, store: RedisStore) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.hset("session:key", mapping={"created": "1", "seen": "1", ":a": b"\xff"})
    with pytest.raises(SessionCorrupt):
        await store.load("key")


@pytest.mark.gen_test
async def test_lease_of_a_clock_that_was_put_back_keeps_nobody_out(
    redis_url: str, store: RedisStore
) -> None:
    await store.create("key", RECORD, TTL)
    fence = await store.lease("key", TTL)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.hset("session:key", "leased", int(time.time() * 1000 + 1e9))
    assert await store.lease("key", TTL) == (fence or 0) + 1


@pytest.mark.gen_test
async def test_logins_and_logouts_leave_nothing_behind(redis_url: str, store: RedisStore) -> None:
    for number in range(20):
        await store.create(f"key{number}", Record(user_id="7"), TTL)
        await store.delete(f"key{number}")
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.keys() == []


@pytest.mark.gen_test
async def test_burst_of_requests_waits_for_its_turn(store: RedisStore) -> None:
    await store.create("key", RECORD, TTL)
    loads = await asyncio.gather(*(store.load("key") for _ in range(300)))
    assert loads == [RECORD] * 300


@pytest.mark.gen_test
async def test_busy_loop_is_not_taken_for_a_dead_server(store: RedisStore) -> None:
    await store.create("key", RECORD, TTL)
    load = asyncio.ensure_future(store.load("key"))
    await asyncio.sleep(0)
    time.sleep(TOTAL_TIMEOUT * 1.5)
    assert await load == RECORD


@pytest.mark.parametrize(
    "server",
    [
        "redis://h/abc",
        redis.Redis(),
        "localhost",
        "http://localhost",
        "redis://h:99x",
        "redis://h?nonsense=1",
        None,
        7,
    ],
)
def test_wrong_server_is_refused_at_once(server: object) -> None:
    with pytest.raises(ConfigurationError, match=r"RedisStore\(server\)"):
        RedisStore(server)  # type: ignore[arg-type]


@pytest.mark.parametrize("kwargs", [{"key_prefix": None}, {"max_bytes": 0}, {"max_keys": "9"}])
def test_wrong_argument_is_named(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(kwargs))):
        RedisStore("redis://h", **kwargs)
