"""One app, or two, and a Redis that fails."""

import asyncio
from collections.abc import Callable

import pytest

from tests.rooms.chat import (
    HEARTBEAT,
    PATIENCE,
    Process,
    forbid,
    hears_until,
    until_back,
)
from tornado_ext._redis import TOTAL_TIMEOUT
from tornado_ext.rooms import BusUnavailable, RedisBus
from tornado_ext.testing import RedisServer


@pytest.mark.gen_test
async def test_a_killed_redis_delivers_here_and_tells_the_sender(
    process: Process, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    ann, bob = await process.guest(), await process.guest()
    redis_server.kill()
    for text in ("one", "two"):
        with pytest.raises(BusUnavailable, match=f"127.0.0.1:{redis_server.port}"):
            await ann.socket.broadcast("lobby", text)
    assert [await bob.hears(), await bob.hears()] == ["one", "two"]
    await asyncio.sleep(0.5)  # for some attempts to connect
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"Redis at 127.0.0.1:{redis_server.port}/0 is away: ")


@pytest.mark.gen_test
async def test_a_frozen_redis_delivers_here_and_tells_the_sender(
    process: Process, redis_server: RedisServer
) -> None:
    ann, bob = await process.guest(), await process.guest()
    redis_server.freeze()
    for text in ("one", "two"):
        with pytest.raises(BusUnavailable):
            await ann.socket.broadcast("lobby", text)
    assert [await bob.hears(), await bob.hears()] == ["one", "two"]


@pytest.mark.parametrize("away", ["kill", "freeze"])
@pytest.mark.gen_test
async def test_health_tells_that_redis_is_away(
    process: Process, redis_server: RedisServer, away: str
) -> None:
    await process.guest()
    assert (await process.bus.health())["ok"] is True
    getattr(redis_server, away)()
    health = await process.bus.health()
    assert health["ok"] is False
    assert f"127.0.0.1:{redis_server.port}" in str(health["why"])
    assert health["sockets"] == 1


@pytest.mark.gen_test
async def test_a_user_is_disconnected_here_though_redis_is_away(
    process: Process, redis_server: RedisServer
) -> None:
    ann = await process.guest(user="7")
    redis_server.kill()
    with pytest.raises(BusUnavailable):
        await process.bus.disconnect_user("7")
    assert await ann.hears() is None
    assert ann.client.close_code == 4401


@pytest.mark.gen_test
async def test_the_url_sets_how_long_a_broadcast_waits(
    start: Callable[..., Process], redis_server: RedisServer, redis_url: str
) -> None:
    process = start(RedisBus(f"{redis_url}?socket_timeout=2"))
    ann = await process.guest()
    await ann.socket.members("lobby")
    redis_server.freeze()
    broadcast = asyncio.create_task(ann.socket.broadcast("lobby", "hello"))
    await asyncio.sleep(2 * TOTAL_TIMEOUT)
    redis_server.thaw()
    await broadcast
    assert await ann.hears() == "hello"


@pytest.mark.gen_test
async def test_a_redis_that_was_never_there_is_not_waited_for(
    process: Process, redis_server: RedisServer
) -> None:
    redis_server.kill()
    ann = await process.guest("lobby", "ann")
    with pytest.raises(BusUnavailable, match="not connected"):
        await ann.socket.broadcast("lobby", "hello")
    assert await ann.hears() == "hello"
    assert process.bus._redis._strays == set()  # type: ignore[attr-defined]


@pytest.mark.gen_test
async def test_members_are_unknown_while_redis_is_away(
    process: Process, redis_server: RedisServer
) -> None:
    ann = await process.guest("lobby", "ann")
    redis_server.freeze()
    with pytest.raises(BusUnavailable):
        await ann.socket.members("lobby")


@pytest.mark.gen_test
async def test_rooms_can_be_joined_and_left_while_redis_is_away(
    process: Process, redis_server: RedisServer
) -> None:
    redis_server.kill()
    ann, bob = await process.guest(), await process.guest()
    await bob.socket.leave("lobby")
    with pytest.raises(BusUnavailable):
        await ann.socket.broadcast("lobby", "hello")
    await bob.socket.join("lobby")
    with pytest.raises(BusUnavailable):
        await ann.socket.broadcast("lobby", "end")
    assert await hears_until(ann, "end") == ["hello", "end"]
    assert await bob.hears() == "end"


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_restarted_redis_is_used_again(
    process: Process,
    start: Callable[..., Process],
    redis_server: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = start(RedisBus(redis_server.url, heartbeat=HEARTBEAT))
    ann, bob = await process.guest("lobby", "ann"), await other.guest("lobby", "bob")
    redis_server.kill()
    cid = await other.guest("lobby", "cid")
    redis_server.restart(empty=True)
    await until_back(process.bus, other.bus)
    await ann.socket.broadcast("lobby", "hello")
    assert [await guest.hears() for guest in (ann, bob, cid)] == ["hello"] * 3
    assert await ann.socket.members("lobby") == ["ann", "bob", "cid"]
    assert caplog.text.count(f"Redis at 127.0.0.1:{redis_server.port}/0 is away") == 2
    assert caplog.text.count(f"Redis at 127.0.0.1:{redis_server.port}/0 is back") == 2


@pytest.mark.gen_test
async def test_health_tells_that_redis_lets_nobody_listen(
    start: Callable[..., Process], redis_servers: Callable[..., list[RedisServer]]
) -> None:
    (server,) = redis_servers(1)
    await forbid(server, "subscribe")
    health = await start(RedisBus(server.url)).bus.health()
    assert health["ok"] is False
    assert "no permissions" in str(health["why"])


@pytest.mark.gen_test
async def test_a_redis_that_runs_no_scripts_carries_messages_all_the_same(
    start: Callable[..., Process],
    redis_servers: Callable[..., list[RedisServer]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (server,) = redis_servers(1)
    await forbid(server, "eval")
    ann = await start(RedisBus(server.url, heartbeat=HEARTBEAT)).guest("lobby", "ann")
    while "lists no members: this user has no permissions" not in caplog.text:
        await asyncio.sleep(0.05)
    await ann.socket.join("garden", "ann")
    await ann.socket.broadcast("garden", "hello")
    assert await ann.hears() == "hello"


@pytest.mark.gen_test
async def test_what_redis_refuses_to_publish_is_delivered_here(
    start: Callable[..., Process],
    redis_servers: Callable[..., list[RedisServer]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (server,) = redis_servers(1)
    ann = await start(RedisBus(server.url)).guest("lobby", "ann")
    await forbid(server, "publish")
    with pytest.raises(BusUnavailable, match="no permissions"):
        await ann.socket.broadcast("lobby", "hello")
    assert await ann.hears() == "hello"
    assert await ann.socket.members("lobby") == ["ann"]
    assert caplog.text == ""
