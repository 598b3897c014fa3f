"""Messages on their way through a Redis that brings them late, twice or not at all."""

import asyncio
import time
from collections.abc import Callable

import pytest
import redis.asyncio

from tests.redis_peers import Proxy
from tests.rooms.chat import (
    HEARTBEAT,
    PATIENCE,
    Process,
    hears_until,
    until_back,
)
from tornado_ext import _shared
from tornado_ext._redis import TOTAL_TIMEOUT
from tornado_ext.rooms import BusUnavailable, RedisBus
from tornado_ext.rooms import pubsub as pubsub_module
from tornado_ext.rooms import redis as redis_module
from tornado_ext.testing import RedisServer

# The connections of a bus, in the order in which `guest` and `members` make them.
LISTENER, COMMANDS = 0, 1


@pytest.mark.gen_test
async def test_a_redis_that_dies_is_noticed_by_who_waits_for_it(
    process: Process, redis_server: RedisServer
) -> None:
    ann = await process.guest()
    redis_server.freeze()
    broadcast = asyncio.create_task(ann.socket.broadcast("lobby", "hello"))
    await asyncio.sleep(0.05)
    redis_server.kill()
    with pytest.raises(BusUnavailable, match="Connection"):
        await broadcast


@pytest.mark.gen_test
async def test_a_busy_event_loop_is_not_taken_for_a_silent_redis(
    process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    ann = await process.guest()
    broadcast = asyncio.create_task(ann.socket.broadcast("lobby", "hello"))
    await asyncio.sleep(0)
    time.sleep(2 * TOTAL_TIMEOUT)
    await broadcast
    assert caplog.text == ""


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_what_redis_brings_too_late_is_not_heard_twice(
    start: Callable[..., Process], redis_server: RedisServer
) -> None:
    other = start(RedisBus(redis_server.url))
    async with Proxy(redis_server.port) as proxy:
        process = start(RedisBus(f"redis://127.0.0.1:{proxy.port}"))
        ann, bob = await process.guest(), await other.guest()
        assert await ann.socket.members("lobby") == []
        proxy.to_redis[COMMANDS].clear()
        with pytest.raises(BusUnavailable):
            await ann.socket.broadcast("lobby", "hello")
        await until_back(process.bus)
        proxy.to_redis[COMMANDS].set()
        assert await bob.hears() == "hello"
        await ann.socket.broadcast("lobby", "end")
        assert await hears_until(ann, "end") == ["hello", "end"]
        await process.close()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_thawed_redis_finds_every_message_heard_once_and_in_order(
    process: Process, redis_server: RedisServer
) -> None:
    ann = await process.guest()
    redis_server.freeze()
    said = [f"{number}" for number in range(20)]
    results = await asyncio.gather(
        *(ann.socket.broadcast("lobby", text) for text in said), return_exceptions=True
    )
    assert {type(result) for result in results} == {BusUnavailable}
    redis_server.thaw()
    await until_back(process.bus)
    await ann.socket.broadcast("lobby", "end")
    assert await hears_until(ann, "end") == [*said, "end"]


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_subscription_that_has_gone_deaf_is_noticed_by_the_next_broadcast(
    start: Callable[..., Process], redis_server: RedisServer
) -> None:
    async with Proxy(redis_server.port) as proxy:
        process = start(RedisBus(f"redis://127.0.0.1:{proxy.port}", heartbeat=1000))
        ann = await process.guest()
        await ann.socket.broadcast("lobby", "one")
        proxy.from_redis[LISTENER].clear()
        with pytest.raises(BusUnavailable, match="no answer"):
            await ann.socket.broadcast("lobby", "hello")
        await until_back(process.bus)
        await ann.socket.broadcast("lobby", "end")
        assert await hears_until(ann, "end") == ["one", "hello", "end"]
        await process.close()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_the_loss_of_the_connection_for_commands_alone_is_not_noticed(
    start: Callable[..., Process],
    redis_server: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Proxy(redis_server.port) as proxy:
        process = start(RedisBus(f"redis://127.0.0.1:{proxy.port}"))
        ann = await process.guest()
        assert await ann.socket.members("lobby") == []
        proxy.clients[COMMANDS].transport.abort()
        await asyncio.sleep(0.1)
        await ann.socket.broadcast("lobby", "hello")
        assert await ann.hears() == "hello"
        assert caplog.text == ""
        await process.close()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_connection_that_has_gone_deaf_is_noticed_by_the_heartbeat(
    start: Callable[..., Process],
    redis_server: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Proxy(redis_server.port) as proxy:
        process = start(RedisBus(f"redis://127.0.0.1:{proxy.port}", heartbeat=HEARTBEAT))
        await process.guest()
        proxy.from_redis[LISTENER].clear()
        while "is back" not in caplog.text:
            await asyncio.sleep(0.05)
        await process.close()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_subscription_that_is_given_up_brings_nothing_any_more(
    start: Callable[..., Process], redis_server: RedisServer
) -> None:
    async with Proxy(redis_server.port) as proxy:
        process = start(RedisBus(f"redis://127.0.0.1:{proxy.port}", heartbeat=HEARTBEAT))
        ann = await process.guest()
        assert await ann.socket.members("lobby") == []
        proxy.from_redis[LISTENER].clear()
        joining = []
        while len(proxy.clients) == 2:  # the next beat's PING gets no answer, and these wait behind
            joining.append(asyncio.create_task(ann.socket.join(f"{len(joining)}")))
            await asyncio.sleep(0.02)
        await until_back(process.bus)
        async with redis.asyncio.Redis.from_url(redis_server.url) as admin:
            await admin.publish("rooms:lobby", b"a:1 1 hello")
        proxy.from_redis[LISTENER].set()
        await asyncio.sleep(0.05)
        await ann.socket.broadcast("lobby", "end")
        assert await hears_until(ann, "end") == ["hello", "end"]
        await asyncio.gather(*joining)
        await process.close()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_who_leaves_before_his_message_has_come_back_is_told_of_no_trouble(
    start: Callable[..., Process], redis_server: RedisServer
) -> None:
    async with Proxy(redis_server.port) as proxy:
        process = start(RedisBus(f"redis://127.0.0.1:{proxy.port}"))
        ann = await process.guest()
        assert await ann.socket.members("lobby") == []
        proxy.to_redis[COMMANDS].clear()
        proxy.from_redis[LISTENER].clear()
        broadcast = asyncio.create_task(ann.socket.broadcast("lobby", "goodbye"))
        leave = asyncio.create_task(ann.socket.leave("lobby"))
        await asyncio.sleep(0.1)  # Redis knows that she has left, and she does not
        proxy.to_redis[COMMANDS].set()
        await broadcast
        proxy.from_redis[LISTENER].set()
        await leave
        await process.close()


@pytest.mark.parametrize("name", ["ann", None])
@pytest.mark.gen_test
async def test_a_room_that_is_left_while_it_is_joined_is_left(
    process: Process, name: str | None
) -> None:
    ann = await process.guest()
    joining = asyncio.create_task(ann.socket.join("garden", name))
    await asyncio.sleep(0)
    await asyncio.gather(joining, ann.socket.leave("garden"))
    assert await ann.socket.members("garden") == []
    await ann.socket.broadcast("garden", "hello")


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_subscription_that_is_lost_is_noticed_by_who_waits_for_his_message(
    start: Callable[..., Process], redis_server: RedisServer
) -> None:
    async with Proxy(redis_server.port) as proxy:
        process = start(RedisBus(f"redis://127.0.0.1:{proxy.port}"))
        ann = await process.guest()
        assert await ann.socket.members("lobby") == []
        proxy.from_redis[LISTENER].clear()
        broadcast = asyncio.create_task(ann.socket.broadcast("lobby", "hello"))
        await asyncio.sleep(0.1)  # Redis has taken it
        proxy.clients[LISTENER].transport.abort()
        with pytest.raises(BusUnavailable, match="connection lost"):
            await broadcast
        assert await ann.hears() == "hello"
        await process.close()


@pytest.mark.gen_test
async def test_a_cancelled_broadcast_leaves_the_rest_in_order(
    process: Process, redis_server: RedisServer
) -> None:
    ann = await process.guest("lobby", "ann")
    redis_server.freeze()
    broadcast = asyncio.create_task(ann.socket.broadcast("lobby", "hello"))
    await asyncio.sleep(0.05)
    broadcast.cancel()
    await asyncio.wait([broadcast])
    redis_server.thaw()
    assert await ann.socket.members("lobby") == ["ann"]
    await ann.socket.broadcast("lobby", "end")
    assert await hears_until(ann, "end") == ["hello", "end"]


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ("rooms:lobby", b"\xff"),
        ("rooms:lobby", b"no opcode"),
        ("rooms:lobby", b"a:b 1hello"),
        ("rooms:lobby", b"a:1 hello"),
        ("rooms:", b"a:1 hello"),
        ("rooms:", b"a:1 1"),
    ],
)
@pytest.mark.gen_test
async def test_what_somebody_else_publishes_does_no_harm(
    process: Process,
    redis_url: str,
    caplog: pytest.LogCaptureFixture,
    channel: str,
    message: bytes,
) -> None:
    ann = await process.guest()
    async with redis.asyncio.Redis.from_url(redis_url) as admin:
        await admin.publish(channel, message)
    await ann.socket.broadcast("lobby", "end")
    assert await hears_until(ann, "end") == ["end"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith(" brought what no bus has sent")


@pytest.mark.gen_test
async def test_more_joins_at_once_than_a_connection_takes_wait_for_each_other(
    start: Callable[..., Process],
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_shared, "IN_FLIGHT", 100)
    monkeypatch.setattr(redis_module, "AT_ONCE", 50)
    monkeypatch.setattr(pubsub_module, "SLICE", 40)
    process = start(RedisBus(redis_url, heartbeat=1000))
    ann = await process.guest("lobby")
    rooms = [f"{number}" for number in range(300)]
    await asyncio.gather(*(ann.socket.join(room, "ann") for room in rooms))
    for room in rooms:
        await ann.socket.broadcast(room, room)
        assert await ann.hears() == room
    assert await ann.socket.members("299") == ["ann"]
    assert caplog.text == ""
