"""The bus on Redis: its connections, and what it leaves there."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio

from tests.redis_peers import Proxy
from tests.rooms.bus_suite import BusSuite
from tests.rooms.chat import (
    HEARTBEAT,
    PATIENCE,
    Process,
)
from tornado_ext.errors import ConfigurationError
from tornado_ext.rooms import BusUnavailable, LocalBus, RedisBus
from tornado_ext.testing import RedisServer


class TestRedisBus(BusSuite):
    @pytest.fixture
    def bus(self, redis_url: str) -> LocalBus:
        return RedisBus(redis_url, heartbeat=HEARTBEAT)


@pytest.mark.gen_test
async def test_a_bus_has_two_connections_however_many_sockets(
    start: Callable[..., Process], redis_url: str
) -> None:
    process = start(RedisBus(redis_url))
    guests = [await process.guest("lobby", f"{number}") for number in range(5)]
    await asyncio.gather(*(guest.socket.broadcast("lobby", "hello") for guest in guests))
    async with redis.asyncio.Redis.from_url(redis_url) as admin:
        assert len(await admin.client_list()) == 2 + 1


@pytest.mark.gen_test
async def test_a_room_that_everybody_left_is_not_listened_to(
    start: Callable[..., Process], redis_url: str
) -> None:
    process = start(RedisBus(redis_url))
    ann, bob = await process.guest("lobby"), await process.guest("lobby")
    async with redis.asyncio.Redis.from_url(redis_url) as admin:
        await ann.socket.leave("lobby")
        assert sorted(await admin.pubsub_channels()) == [b"rooms:", b"rooms:lobby"]
        await bob.socket.leave("lobby")
        assert await admin.pubsub_channels() == [b"rooms:"]


@pytest.mark.gen_test
async def test_redis_forgets_a_room_that_nobody_renews(
    start: Callable[..., Process], redis_url: str
) -> None:
    await start(RedisBus(redis_url)).guest("lobby", "ann")
    async with redis.asyncio.Redis.from_url(redis_url) as admin:
        assert await admin.keys() == [b"rooms:lobby"]
        assert 0 < await admin.ttl("rooms:lobby") <= 86400


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_many_rooms_are_renewed_and_listened_to_again_in_few_writes(
    start: Callable[..., Process], redis_server: RedisServer
) -> None:
    async with Proxy(redis_server.port) as proxy:
        process = start(RedisBus(f"redis://127.0.0.1:{proxy.port}", heartbeat=1000))
        ann = await process.guest("lobby", "ann")
        rooms = [f"{number}" for number in range(300)]
        await asyncio.gather(*(ann.socket.join(room, "ann") for room in rooms))
        proxy.said.clear()
        proxy.clients[0].transport.abort()
        while b"".join(proxy.said).count(b"EVALSHA") < len(rooms):  # listened to, and renewed
            await asyncio.sleep(0.01)
        assert b"".join(proxy.said).count(b"SUBSCRIBE") > len(rooms)
        assert len(proxy.said) < 50
        await process.close()


@pytest.mark.gen_test
async def test_closing_leaves_no_task_and_no_connection(
    start: Callable[..., Process], redis_url: str
) -> None:
    before = asyncio.all_tasks()
    bus = RedisBus(redis_url)
    await bus.publish("lobby", "hello")
    await bus.close()
    assert asyncio.all_tasks() == before
    async with redis.asyncio.Redis.from_url(redis_url) as admin:
        assert len(await admin.client_list()) == 1


@pytest.mark.gen_test
async def test_closing_while_redis_is_frozen_does_not_hang(
    start: Callable[..., Process], redis_server: RedisServer, redis_url: str
) -> None:
    before = asyncio.all_tasks()
    bus = RedisBus(redis_url)
    redis_server.freeze()
    with pytest.raises(BusUnavailable):
        await bus.publish("lobby", "hello")
    await bus.close()
    assert asyncio.all_tasks() == before


@pytest.mark.gen_test
async def test_closing_a_bus_that_was_not_used_does_nothing() -> None:
    before = asyncio.all_tasks()
    await RedisBus("redis://127.0.0.1:1").close()
    assert asyncio.all_tasks() == before


@pytest.mark.gen_test
async def test_a_closed_bus_says_so(redis_url: str) -> None:
    bus = RedisBus(redis_url)
    await bus.publish("lobby", "hello")
    await bus.close()
    with pytest.raises(BusUnavailable, match="closed"):
        await bus.publish("lobby", "hello")


def test_one_bus_serves_one_loop_after_another(redis_url: str) -> None:
    bus = RedisBus(redis_url)

    async def chat() -> list[str]:
        process = Process(bus)
        ann = await process.guest("lobby", "ann")
        await ann.socket.broadcast("lobby", "hello")
        assert await ann.hears() == "hello"
        try:
            return await ann.socket.members("lobby")
        finally:
            await process.close()

    assert [asyncio.run(chat()), asyncio.run(chat())] == [["ann"], ["ann"]]


@pytest.mark.gen_test
async def test_a_password_is_used_and_not_shown(
    redis_servers: Callable[..., list[RedisServer]],
) -> None:
    (server,) = redis_servers(1, password="p:w/1")
    bus = RedisBus(server.url)
    await bus.publish("lobby", "hello")
    server.kill()
    with pytest.raises(BusUnavailable) as caught:
        await bus.publish("lobby", "hello")
    assert "p:w" not in str(caught.value)
    assert "p%3Aw" not in str(caught.value)
    await bus.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1", "url"),
        ("redis://127.0.0.1:port", "url"),
        ("redis://127.0.0.1?colour=red", "url"),
        (None, "url must be a string, not None"),
    ],
)
def test_a_wrong_url_is_refused(url: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"RedisBus: {why}"):
        RedisBus(url)


@pytest.mark.parametrize("prefix", [None, 5, b"rooms:"])
def test_a_wrong_prefix_is_refused(prefix: Any) -> None:
    with pytest.raises(ConfigurationError, match="RedisBus: prefix must be a string, not"):
        RedisBus("redis://127.0.0.1", prefix=prefix)


@pytest.mark.parametrize("heartbeat", [0, -1, float("nan"), float("inf"), "5", None])
def test_a_wrong_heartbeat_is_refused(heartbeat: Any) -> None:
    with pytest.raises(ConfigurationError, match="heartbeat must be a number above 0"):
        RedisBus("redis://127.0.0.1", heartbeat=heartbeat)


def test_redis_is_needed_for_a_redis_bus_alone() -> None:
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from tornado_ext.errors import MissingExtra\n"
        "from tornado_ext.rooms import LocalBus, RedisBus\n"
        "LocalBus()\n"
        "try: RedisBus('redis://127.0.0.1')\n"
        "except MissingExtra as exc: print(exc)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == ("redis.asyncio is not installed: pip install 'tornado-ext[redis]'\n")
