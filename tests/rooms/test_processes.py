"""Two apps, each with a bus and a port of its own, on one Redis."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.rooms.chat import (
    HEARTBEAT,
    PATIENCE,
    Process,
    hears_until,
)
from tests.rooms.raw import raw
from tornado_ext.rooms import RedisBus
from tornado_ext.rooms import bus as bus_module


@pytest.fixture
def processes(start: Callable[..., Process], redis_url: str) -> tuple[Process, Process]:
    return (
        start(RedisBus(redis_url, heartbeat=HEARTBEAT)),
        start(RedisBus(redis_url, heartbeat=HEARTBEAT)),
    )


@pytest.mark.gen_test
async def test_a_message_reaches_both_once(processes: tuple[Process, Process]) -> None:
    ann, bob = [await process.guest() for process in processes]
    await ann.socket.broadcast("lobby", {"from": "ann"})
    await bob.socket.broadcast("lobby", "end")
    for guest in (ann, bob):
        assert await hears_until(guest, "end") == ['{"from": "ann"}', "end"]


@pytest.mark.gen_test
async def test_all_hear_what_many_say_at_once_in_one_order(
    processes: tuple[Process, Process],
) -> None:
    ann, bob = [await process.guest() for process in processes]
    await asyncio.gather(
        *(ann.socket.broadcast("lobby", f"ann {number}") for number in range(50)),
        *(bob.socket.broadcast("lobby", f"bob {number}") for number in range(50)),
    )
    await ann.socket.broadcast("lobby", "end")
    heard = await hears_until(ann, "end")
    assert len(heard) == 101
    assert await hears_until(bob, "end") == heard


@pytest.mark.gen_test
async def test_a_process_without_sockets_in_the_room_can_broadcast(
    processes: tuple[Process, Process],
) -> None:
    bob = await processes[1].guest()
    await processes[0].bus.publish("lobby", "hello")
    assert await bob.hears() == "hello"


@pytest.mark.gen_test
async def test_a_broadcast_can_leave_out_one_socket_of_both(
    processes: tuple[Process, Process],
) -> None:
    ann, bob = [await process.guest() for process in processes]
    await ann.socket.broadcast("lobby", "typing", except_=ann.socket)
    await ann.socket.broadcast("lobby", "end")
    assert await hears_until(ann, "end") == ["end"]
    assert await hears_until(bob, "end") == ["typing", "end"]


@pytest.mark.gen_test
async def test_a_user_is_disconnected_on_both(processes: tuple[Process, Process]) -> None:
    guests = [await process.guest(user="7") for process in processes]
    await processes[0].bus.disconnect_user("7")
    for guest in guests:
        assert await guest.hears() is None
        assert guest.client.close_code == 4401


@pytest.mark.gen_test
async def test_members_are_those_of_both(processes: tuple[Process, Process]) -> None:
    ann = await processes[0].guest("lobby", "ann")
    bob = await processes[1].guest("lobby", "bob")
    assert await ann.socket.members("lobby") == ["ann", "bob"]
    await bob.goes()
    assert await ann.socket.members("lobby") == ["ann"]


@pytest.mark.gen_test
async def test_a_name_in_both_stays_while_one_does(processes: tuple[Process, Process]) -> None:
    here, there = [await process.guest("lobby", "ann") for process in processes]
    await there.goes()
    assert await here.socket.members("lobby") == ["ann"]


@pytest.mark.gen_test
async def test_members_stay_for_longer_than_a_heartbeat(processes: tuple[Process, Process]) -> None:
    ann = await processes[0].guest("lobby", "ann")
    await processes[1].guest("lobby", "bob")
    await asyncio.sleep(1.5 * HEARTBEAT)
    assert await ann.socket.members("lobby") == ["ann", "bob"]


@pytest.mark.gen_test
async def test_who_was_on_a_process_that_closed_is_no_member(
    processes: tuple[Process, Process],
) -> None:
    ann = await processes[0].guest("lobby", "ann")
    await processes[1].guest("lobby", "bob")
    await processes[1].close()
    assert await ann.socket.members("lobby") == ["ann"]


@pytest.mark.gen_test
async def test_who_does_not_answer_a_process_that_closes_is_no_member(
    start: Callable[..., Process], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "CLOSE_TIMEOUT", 0.1)
    here, there = [start(RedisBus(redis_url, heartbeat=1000)) for _ in range(2)]
    ann = await here.guest("lobby", "ann")
    mute = await raw(there)
    await (await there.opened.get()).join("lobby", "bob")
    assert await ann.socket.members("lobby") == ["ann", "bob"]
    await there.bus.close()
    assert await ann.socket.members("lobby") == ["ann"]
    mute.close()


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_who_was_on_a_process_that_was_killed_is_no_member_after_a_heartbeat(
    processes: tuple[Process, Process], redis_url: str
) -> None:
    ann = await processes[0].guest("lobby", "ann")
    command = [sys.executable, "-c", BOB, redis_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert await asyncio.to_thread(other.stdout.readline) == b"joined\n"
            assert await ann.socket.members("lobby") == ["ann", "bob"]
        finally:
            other.kill()
    while "bob" in await ann.socket.members("lobby"):
        await asyncio.sleep(0.05)
    assert await ann.socket.members("lobby") == ["ann"]


@pytest.mark.gen_test
async def test_another_prefix_is_another_app(start: Callable[..., Process], redis_url: str) -> None:
    ann = await start(RedisBus(redis_url, prefix="one:")).guest("lobby", "ann")
    bob = await start(RedisBus(redis_url, prefix="two:")).guest("lobby", "bob")
    await ann.socket.broadcast("lobby", "hello")
    await bob.socket.broadcast("lobby", "end")
    assert await bob.hears() == "end"
    assert await ann.socket.members("lobby") == ["ann"]


BOB = """
import asyncio, sys
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tests.rooms.chat import HEARTBEAT, Process
from tornado_ext.rooms import RedisBus

async def main():
    await Process(RedisBus(sys.argv[1], heartbeat=HEARTBEAT)).guest("lobby", "bob")
    print("joined", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@pytest.mark.gen_test
async def test_a_user_is_disconnected_though_somebody_left_or_joined_a_room_without_a_name(
    processes: tuple[Process, Process],
) -> None:
    ann, eve = await processes[0].guest(user="7"), await processes[0].guest()
    await eve.socket.leave("")
    with pytest.raises(ValueError, match="needs a name"):
        await eve.socket.join("")
    await eve.goes()
    assert await ann.socket.members("lobby") == []  # what eve's end asked of Redis is done
    await processes[1].bus.disconnect_user("7")
    assert await ann.hears() is None
    assert ann.client.close_code == 4401
