"""Rooms on both buses, with real WebSocket clients."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import redis.asyncio
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketHandler,
    websocket_connect,
)

from tests.redis_peers import Proxy
from tornado_ext._redis import TOTAL_TIMEOUT
from tornado_ext._settings import check_settings
from tornado_ext.errors import ConfigurationError
from tornado_ext.rooms import BusUnavailable, LocalBus, RedisBus, RoomMixin
from tornado_ext.rooms import bus as bus_module
from tornado_ext.sessions import SessionMixin
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import RedisServer

PATIENCE = 10  # seconds until a test that waits in vain fails
HEARTBEAT = 1.0  # seconds
LISTENER, COMMANDS = (
    0,
    1,
)  # the connections of a bus, in the order in which `guest` and `members` make them


class ChatSocket(RoomMixin, WebSocketHandler):
    _taken: Callable[[str | bytes], None]

    def open(self) -> None:
        self.closed = asyncio.Event()
        self.application.settings["opened"].put_nowait(self)

    def get_current_user(self) -> str | None:
        return self.get_argument("user", None)

    def on_message(self, message: str | bytes) -> None:
        self._taken(message)

    def on_close(self) -> None:  # without super(): nothing of the mixin depends on it
        self.closed.set()


class FailingSocket(RoomMixin, WebSocketHandler):
    async def open(self) -> None:
        await self.join("lobby", "failing")
        raise ValueError("no")


class WithSession(SessionMixin, RoomMixin, WebSocketHandler):
    async def open(self) -> None:
        await self.join("lobby")


class Guest(NamedTuple):
    """A client, and the handler that it has on the server."""

    client: WebSocketClientConnection
    socket: ChatSocket

    async def hears(self) -> str | bytes | None:
        return await asyncio.wait_for(self.client.read_message(), PATIENCE)

    async def goes(self) -> None:
        self.client.close()
        await asyncio.wait_for(self.socket.closed.wait(), PATIENCE)


class Process:
    """An app on a port of its own; two with a bus each stand for two processes."""

    def __init__(self, bus: LocalBus, **settings: Any) -> None:
        self.bus = bus
        self.clients: list[WebSocketClientConnection] = []
        self.opened: asyncio.Queue[ChatSocket] = asyncio.Queue()
        handlers: list[Any] = [("/", ChatSocket), ("/failing", FailingSocket)]
        settings |= {"room_bus": bus, "opened": self.opened}
        self.server = HTTPServer(Application(handlers, **settings))
        (listening,) = bind_sockets(0, "127.0.0.1")
        self.server.add_socket(listening)
        self.url = f"ws://127.0.0.1:{listening.getsockname()[1]}"

    async def guest(
        self, room: str | None = "lobby", name: str | None = None, user: str = ""
    ) -> Guest:
        path = f"/?user={user}" if user else "/"
        guest = Guest(await self.connect(path), await self.opened.get())
        if room is not None:
            await guest.socket.join(room, name)
        return guest

    async def connect(self, path: str = "/") -> WebSocketClientConnection:
        self.clients.append(await websocket_connect(self.url + path))
        return self.clients[-1]

    async def close(self) -> None:
        self.server.stop()
        for client in self.clients:
            client.close()
        await self.bus.close()
        await self.server.close_all_connections()


@pytest.fixture
def start(io_loop: IOLoop) -> Iterator[Callable[..., Process]]:
    """A function that serves an app with the bus and settings that it is given."""
    started: list[Process] = []

    def start(bus: LocalBus, **settings: Any) -> Process:
        started.append(Process(bus, **settings))
        return started[-1]

    yield start
    for process in started:
        io_loop.run_sync(process.close)


class BusSuite:
    """What every bus must do. Override the fixture `bus`."""

    @pytest.fixture
    def process(self, start: Callable[..., Process], bus: LocalBus) -> Process:
        return start(bus)

    @pytest.mark.gen_test
    async def test_a_broadcast_reaches_everyone_once_the_sender_included(
        self, process: Process
    ) -> None:
        ann, bob = await process.guest(), await process.guest()
        await ann.socket.broadcast("lobby", "hello")
        await bob.socket.broadcast("lobby", "end")
        assert [await ann.hears(), await ann.hears()] == ["hello", "end"]
        assert [await bob.hears(), await bob.hears()] == ["hello", "end"]

    @pytest.mark.gen_test
    async def test_messages_keep_their_order(self, process: Process) -> None:
        ann, bob = await process.guest(), await process.guest()
        said = [str(number) for number in range(100)]
        await asyncio.gather(*(ann.socket.broadcast("lobby", text) for text in said))
        assert [await bob.hears() for _ in said] == said

    @pytest.mark.gen_test
    async def test_a_message_stays_in_its_room(self, process: Process) -> None:
        ann, bob = await process.guest("lobby"), await process.guest("garden")
        await ann.socket.broadcast("lobby", "hello")
        await ann.socket.broadcast("garden", "end")
        assert await bob.hears() == "end"

    @pytest.mark.gen_test
    async def test_a_socket_may_be_in_several_rooms(self, process: Process) -> None:
        ann = await process.guest("lobby")
        await ann.socket.join("garden")
        await ann.socket.broadcast("lobby", "one")
        await ann.socket.broadcast("garden", "two")
        assert [await ann.hears(), await ann.hears()] == ["one", "two"]

    @pytest.mark.parametrize(
        ("message", "heard"),
        [
            ("text </b> ü 🎈", "text </b> ü 🎈"),
            ({"n": 1, "to": None}, '{"n": 1, "to": null}'),
            ([1, "a"], '[1, "a"]'),
        ],
    )
    @pytest.mark.gen_test
    async def test_text_is_sent_as_it_is_and_the_rest_as_json(
        self, process: Process, message: Any, heard: str
    ) -> None:
        ann = await process.guest()
        await ann.socket.broadcast("lobby", message)
        assert await ann.hears() == heard

    @pytest.mark.gen_test
    async def test_json_is_made_once_for_all(self, process: Process) -> None:
        class Counting(dict[str, int]):
            reads = 0

            def items(self) -> Any:
                self.reads += 1
                return super().items()

        guests = [await process.guest() for _ in range(3)]
        message = Counting(n=1)
        await guests[0].socket.broadcast("lobby", message)
        assert [await guest.hears() for guest in guests] == ['{"n": 1}'] * 3
        assert message.reads == 1

    @pytest.mark.gen_test
    async def test_a_message_that_json_does_not_know_is_refused(self, process: Process) -> None:
        ann = await process.guest()
        with pytest.raises(TypeError):
            await ann.socket.broadcast("lobby", {"a": object()})

    @pytest.mark.gen_test
    async def test_a_message_that_no_buffer_holds_is_refused(self, process: Process) -> None:
        ann = await process.guest()
        with pytest.raises(ValueError, match="1048577 bytes"):
            await ann.socket.broadcast("lobby", "x" * (2**20 + 1))
        await ann.socket.broadcast("lobby", "end")
        assert await ann.hears() == "end"

    @pytest.mark.gen_test
    async def test_joining_twice_is_joining_once(self, process: Process) -> None:
        ann = await process.guest()
        await ann.socket.join("lobby")
        await ann.socket.broadcast("lobby", "hello")
        await ann.socket.broadcast("lobby", "end")
        assert [await ann.hears(), await ann.hears()] == ["hello", "end"]

    @pytest.mark.gen_test
    async def test_who_has_left_hears_no_more(self, process: Process) -> None:
        ann, bob = await process.guest(), await process.guest()
        await bob.socket.leave("lobby")
        await ann.socket.broadcast("lobby", "hello")
        await bob.socket.join("lobby")
        await ann.socket.broadcast("lobby", "end")
        assert await bob.hears() == "end"

    @pytest.mark.gen_test
    async def test_leaving_a_room_that_was_not_joined_does_nothing(self, process: Process) -> None:
        ann = await process.guest("lobby", "ann")
        await ann.socket.leave("garden")
        assert await ann.socket.members("lobby") == ["ann"]

    @pytest.mark.gen_test
    async def test_members_are_listed_by_name_each_once(self, process: Process) -> None:
        ann = await process.guest("lobby", "ann")
        await process.guest("lobby", "zoë: ü")
        await process.guest("lobby", "ann")
        await process.guest("lobby")
        await process.guest("garden", "bob")
        assert await ann.socket.members("lobby") == ["ann", "zoë: ü"]
        assert await ann.socket.members("empty") == []

    @pytest.mark.gen_test
    async def test_joining_again_with_another_name_renames(self, process: Process) -> None:
        ann = await process.guest("lobby", "ann")
        await ann.socket.join("lobby", "anna")
        assert await ann.socket.members("lobby") == ["anna"]

    @pytest.mark.gen_test
    async def test_who_leaves_is_a_member_no_more(self, process: Process) -> None:
        ann, bob = await process.guest("lobby", "ann"), await process.guest("lobby", "bob")
        await bob.socket.leave("lobby")
        assert await ann.socket.members("lobby") == ["ann"]

    @pytest.mark.gen_test
    async def test_a_name_stays_while_one_of_its_sockets_does(self, process: Process) -> None:
        first, second = await process.guest("lobby", "ann"), await process.guest("lobby", "ann")
        await first.socket.leave("lobby")
        assert await second.socket.members("lobby") == ["ann"]

    @pytest.mark.gen_test
    async def test_a_socket_that_closes_has_left_when_on_close_is_called(
        self, process: Process
    ) -> None:
        ann, bob = await process.guest("lobby", "ann"), await process.guest("lobby", "bob")
        await bob.socket.join("garden", "bob")
        asked: asyncio.Queue[asyncio.Task[list[str]]] = asyncio.Queue()

        def on_close() -> None:
            asked.put_nowait(asyncio.create_task(ann.socket.members("lobby")))

        bob.socket.on_close = on_close  # type: ignore[method-assign]
        bob.client.close()
        assert await (await asked.get()) == ["ann"]
        assert await ann.socket.members("garden") == []

    @pytest.mark.gen_test
    async def test_a_socket_whose_open_fails_leaves(
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        ann = await process.guest("lobby", "ann")
        failing = await process.connect("/failing")
        assert await failing.read_message() is None
        assert await ann.socket.members("lobby") == ["ann"]
        assert "ValueError: no" in caplog.text

    @pytest.mark.gen_test
    async def test_a_closed_socket_can_not_join(self, process: Process) -> None:
        ann, bob = await process.guest("lobby", "ann"), await process.guest(None)
        await bob.goes()
        with pytest.raises(WebSocketClosedError):
            await bob.socket.join("lobby", "bob")
        assert await ann.socket.members("lobby") == ["ann"]

    @pytest.mark.gen_test
    async def test_a_socket_that_is_closing_does_not_disturb_the_others(
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        ann, bob = await process.guest(), await process.guest()
        ann.socket.close()
        await bob.socket.broadcast("lobby", "hello")
        assert await bob.hears() == "hello"
        assert caplog.text == ""

    @pytest.mark.gen_test
    async def test_a_broadcast_can_leave_out_one_socket(self, process: Process) -> None:
        ann, bob = await process.guest(), await process.guest()
        await ann.socket.broadcast("lobby", "typing", except_=ann.socket)
        await ann.socket.broadcast("lobby", "end")
        assert await ann.hears() == "end"
        assert [await bob.hears(), await bob.hears()] == ["typing", "end"]

    @pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 100_000])
    @pytest.mark.gen_test
    async def test_bytes_arrive_as_bytes(self, process: Process, size: int) -> None:
        ann = await process.guest()
        await ann.socket.broadcast("lobby", b"\xff" * size)
        assert await ann.hears() == b"\xff" * size

    @pytest.mark.gen_test
    async def test_what_one_loop_turn_brings_leaves_in_one_write(
        self, process: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        guests = [await process.guest() for _ in range(3)]
        sockets = {guest.socket._ext_outgoing._stream for guest in guests}
        writes = []
        write = IOStream.write_to_fd
        monkeypatch.setattr(
            IOStream, "write_to_fd", lambda self, data: (writes.append(self), write(self, data))[1]
        )
        for text in ("one", "two", "three"):  # what has arrived in this turn
            process.bus._deliver("lobby", process.bus._packed(text, None))
        assert await hears_until(guests[0], "three") == ["one", "two", "three"]
        assert sorted(map(id, sockets)) == sorted(id(one) for one in writes if one in sockets)

    @pytest.mark.gen_test
    async def test_who_comes_or_goes_in_a_turn_hears_what_was_said_while_he_was_there(
        self, process: Process
    ) -> None:
        ann, bob, cid = [await process.guest(room) for room in ("lobby", "lobby", None)]
        process.bus._deliver("lobby", process.bus._packed("one", None))
        await bob.socket.leave("lobby")
        process.bus._deliver("lobby", process.bus._packed("two", None))
        await cid.socket.join("lobby")
        await bob.socket.join("garden")
        await ann.socket.broadcast("lobby", "three")
        await ann.socket.broadcast("garden", "end")
        assert [await ann.hears() for _ in range(3)] == ["one", "two", "three"]
        assert [await bob.hears(), await bob.hears()] == ["one", "end"]
        assert await cid.hears() == "three"

    @pytest.mark.gen_test
    async def test_rooms_that_speak_in_turn_are_heard_in_order(self, process: Process) -> None:
        ann = await process.guest("lobby")
        await ann.socket.join("garden")
        said = [(room, f"{room} {number}") for number in range(3) for room in ("lobby", "garden")]
        for room, text in said:
            process.bus._deliver(room, process.bus._packed(text, None))
        assert [await ann.hears() for _ in said] == [text for _, text in said]

    @pytest.mark.gen_test
    async def test_a_user_is_disconnected_and_nobody_else(self, process: Process) -> None:
        ann, again = await process.guest(user="7"), await process.guest(None, user="7")
        bob, nobody = await process.guest(user="8"), await process.guest()
        await process.bus.disconnect_user(7)
        for guest in (ann, again):
            assert await guest.hears() is None
            assert guest.client.close_code == 4401
        await bob.socket.broadcast("lobby", "end")
        assert await bob.hears() == await nobody.hears() == "end"

    @pytest.mark.gen_test
    async def test_the_sockets_of_one_session_are_disconnected(self, process: Process) -> None:
        phone, desk = await process.guest(user="7"), await process.guest(user="7")
        phone.socket._ext_user, desk.socket._ext_user = ("7", "phone"), ("7", "desk")
        await process.bus.disconnect_user("7", session="phone")
        assert await phone.hears() is None
        await desk.socket.broadcast("lobby", "end")
        assert await desk.hears() == "end"

    @pytest.mark.gen_test
    async def test_health_counts_sockets_and_rooms(self, process: Process) -> None:
        await process.guest("lobby")
        await process.guest(None)
        assert await process.bus.health() == {"ok": True, "why": "", "sockets": 2, "rooms": 1}

    @pytest.mark.gen_test
    async def test_a_room_needs_a_name(self, process: Process) -> None:
        ann = await process.guest(None)
        with pytest.raises(ValueError, match="needs a name"):
            await ann.socket.join("")

    @pytest.mark.gen_test
    async def test_closing_the_bus_closes_the_sockets(
        self, process: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus_module, "BATCH", 1)
        ann, bob = await process.guest("lobby"), await process.guest(None)
        await ann.socket.join("garden")
        heard = [asyncio.ensure_future(guest.hears()) for guest in (ann, bob)]
        await process.bus.close()
        assert await asyncio.gather(*heard) == [None, None]
        assert ann.client.close_code == bob.client.close_code == 1012
        assert ann.socket.closed.is_set()


class TestLocalBus(BusSuite):
    @pytest.fixture
    def bus(self) -> LocalBus:
        return LocalBus()

    @pytest.mark.gen_test
    async def test_on_close_itself_finds_that_the_socket_has_left(self, process: Process) -> None:
        ann = await process.guest("lobby", "ann")
        found: asyncio.Queue[list[str]] = asyncio.Queue()

        def on_close() -> None:
            with pytest.raises(StopIteration) as returned:
                process.bus.members("lobby").send(None)
            found.put_nowait(returned.value.value)

        ann.socket.on_close = on_close  # type: ignore[method-assign]
        ann.client.close()
        assert await found.get() == []


class TestRedisBus(BusSuite):
    @pytest.fixture
    def bus(self, redis_url: str) -> LocalBus:
        return RedisBus(redis_url, heartbeat=HEARTBEAT)


class TestTwoProcesses:
    """Two apps, each with a bus and a port of its own, on one Redis."""

    @pytest.fixture
    def processes(self, start: Callable[..., Process], redis_url: str) -> tuple[Process, Process]:
        return (
            start(RedisBus(redis_url, heartbeat=HEARTBEAT)),
            start(RedisBus(redis_url, heartbeat=HEARTBEAT)),
        )

    @pytest.mark.gen_test
    async def test_a_message_reaches_both_once(self, processes: tuple[Process, Process]) -> None:
        ann, bob = [await process.guest() for process in processes]
        await ann.socket.broadcast("lobby", {"from": "ann"})
        await bob.socket.broadcast("lobby", "end")
        for guest in (ann, bob):
            assert await hears_until(guest, "end") == ['{"from": "ann"}', "end"]

    @pytest.mark.gen_test
    async def test_all_hear_what_many_say_at_once_in_one_order(
        self, processes: tuple[Process, Process]
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
        self, processes: tuple[Process, Process]
    ) -> None:
        bob = await processes[1].guest()
        await processes[0].bus.publish("lobby", "hello")
        assert await bob.hears() == "hello"

    @pytest.mark.gen_test
    async def test_a_broadcast_can_leave_out_one_socket_of_both(
        self, processes: tuple[Process, Process]
    ) -> None:
        ann, bob = [await process.guest() for process in processes]
        await ann.socket.broadcast("lobby", "typing", except_=ann.socket)
        await ann.socket.broadcast("lobby", "end")
        assert await hears_until(ann, "end") == ["end"]
        assert await hears_until(bob, "end") == ["typing", "end"]

    @pytest.mark.gen_test
    async def test_a_user_is_disconnected_on_both(self, processes: tuple[Process, Process]) -> None:
        guests = [await process.guest(user="7") for process in processes]
        await processes[0].bus.disconnect_user("7")
        for guest in guests:
            assert await guest.hears() is None
            assert guest.client.close_code == 4401

    @pytest.mark.gen_test
    async def test_members_are_those_of_both(self, processes: tuple[Process, Process]) -> None:
        ann = await processes[0].guest("lobby", "ann")
        bob = await processes[1].guest("lobby", "bob")
        assert await ann.socket.members("lobby") == ["ann", "bob"]
        await bob.goes()
        assert await ann.socket.members("lobby") == ["ann"]

    @pytest.mark.gen_test
    async def test_a_name_in_both_stays_while_one_does(
        self, processes: tuple[Process, Process]
    ) -> None:
        here, there = [await process.guest("lobby", "ann") for process in processes]
        await there.goes()
        assert await here.socket.members("lobby") == ["ann"]

    @pytest.mark.gen_test
    async def test_members_stay_for_longer_than_a_heartbeat(
        self, processes: tuple[Process, Process]
    ) -> None:
        ann = await processes[0].guest("lobby", "ann")
        await processes[1].guest("lobby", "bob")
        await asyncio.sleep(1.5 * HEARTBEAT)
        assert await ann.socket.members("lobby") == ["ann", "bob"]

    @pytest.mark.gen_test
    async def test_who_was_on_a_process_that_closed_is_no_member(
        self, processes: tuple[Process, Process]
    ) -> None:
        ann = await processes[0].guest("lobby", "ann")
        await processes[1].guest("lobby", "bob")
        await processes[1].close()
        assert await ann.socket.members("lobby") == ["ann"]

    @pytest.mark.gen_test(timeout=PATIENCE)
    async def test_who_was_on_a_process_that_was_killed_is_no_member_after_a_heartbeat(
        self, processes: tuple[Process, Process], redis_url: str
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
    async def test_another_prefix_is_another_app(
        self, start: Callable[..., Process], redis_url: str
    ) -> None:
        ann = await start(RedisBus(redis_url, prefix="one:")).guest("lobby", "ann")
        bob = await start(RedisBus(redis_url, prefix="two:")).guest("lobby", "bob")
        await ann.socket.broadcast("lobby", "hello")
        await bob.socket.broadcast("lobby", "end")
        assert await bob.hears() == "end"
        assert await ann.socket.members("lobby") == ["ann"]


class TestRedisTrouble:
    """One app, or two, and a Redis that fails."""

    @pytest.fixture
    def process(self, start: Callable[..., Process], redis_url: str) -> Process:
        return start(RedisBus(redis_url, heartbeat=HEARTBEAT))

    @pytest.mark.gen_test
    async def test_a_killed_redis_delivers_here_and_tells_the_sender(
        self, process: Process, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        ann, bob = await process.guest(), await process.guest()
        redis_server.kill()
        for text in ("one", "two"):
            with pytest.raises(BusUnavailable, match=f"127.0.0.1:{redis_server.port}"):
                await ann.socket.broadcast("lobby", text)
        assert [await bob.hears(), await bob.hears()] == ["one", "two"]
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith(f"Redis at 127.0.0.1:{redis_server.port}/0 is away: ")

    @pytest.mark.gen_test
    async def test_a_frozen_redis_delivers_here_and_tells_the_sender(
        self, process: Process, redis_server: RedisServer
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
        self, process: Process, redis_server: RedisServer, away: str
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
        self, process: Process, redis_server: RedisServer
    ) -> None:
        ann = await process.guest(user="7")
        redis_server.kill()
        with pytest.raises(BusUnavailable):
            await process.bus.disconnect_user("7")
        assert await ann.hears() is None
        assert ann.client.close_code == 4401

    @pytest.mark.gen_test
    async def test_the_url_sets_how_long_a_broadcast_waits(
        self, start: Callable[..., Process], redis_server: RedisServer, redis_url: str
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
    async def test_a_redis_that_dies_is_noticed_by_who_waits_for_it(
        self, process: Process, redis_server: RedisServer
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
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        ann = await process.guest()
        broadcast = asyncio.create_task(ann.socket.broadcast("lobby", "hello"))
        await asyncio.sleep(0)
        time.sleep(2 * TOTAL_TIMEOUT)
        await broadcast
        assert caplog.text == ""

    @pytest.mark.gen_test
    async def test_a_redis_that_was_never_there_is_not_waited_for(
        self, process: Process, redis_server: RedisServer
    ) -> None:
        redis_server.kill()
        ann = await process.guest("lobby", "ann")
        with pytest.raises(BusUnavailable, match="not connected"):
            await ann.socket.broadcast("lobby", "hello")
        assert await ann.hears() == "hello"

    @pytest.mark.gen_test
    async def test_members_are_unknown_while_redis_is_away(
        self, process: Process, redis_server: RedisServer
    ) -> None:
        ann = await process.guest("lobby", "ann")
        redis_server.freeze()
        with pytest.raises(BusUnavailable):
            await ann.socket.members("lobby")

    @pytest.mark.gen_test
    async def test_rooms_can_be_joined_and_left_while_redis_is_away(
        self, process: Process, redis_server: RedisServer
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
        self,
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
        assert f"Redis at 127.0.0.1:{redis_server.port}/0 is back" in caplog.text

    @pytest.mark.gen_test(timeout=PATIENCE)
    async def test_what_redis_brings_too_late_is_not_heard_twice(
        self, start: Callable[..., Process], redis_server: RedisServer
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
        self, process: Process, redis_server: RedisServer
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
        self, start: Callable[..., Process], redis_server: RedisServer
    ) -> None:
        async with Proxy(redis_server.port) as proxy:
            process = start(RedisBus(f"redis://127.0.0.1:{proxy.port}", heartbeat=1000))
            ann = await process.guest()
            proxy.from_redis[LISTENER].clear()
            with pytest.raises(BusUnavailable, match="no answer"):
                await ann.socket.broadcast("lobby", "hello")
            await until_back(process.bus)
            await ann.socket.broadcast("lobby", "end")
            assert await hears_until(ann, "end") == ["hello", "end"]
            await process.close()

    @pytest.mark.gen_test(timeout=PATIENCE)
    async def test_the_loss_of_the_connection_for_commands_alone_is_not_noticed(
        self,
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
        self,
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
    async def test_who_leaves_before_his_message_has_come_back_is_told_of_no_trouble(
        self, start: Callable[..., Process], redis_server: RedisServer
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

    @pytest.mark.gen_test
    async def test_a_room_that_is_left_while_it_is_joined_is_left(self, process: Process) -> None:
        ann = await process.guest()
        joining = asyncio.create_task(ann.socket.join("garden", "ann"))
        await asyncio.sleep(0)
        await asyncio.gather(joining, ann.socket.leave("garden"))
        assert await ann.socket.members("garden") == []
        await ann.socket.broadcast("garden", "hello")

    @pytest.mark.gen_test
    async def test_a_cancelled_broadcast_leaves_the_rest_in_order(
        self, process: Process, redis_server: RedisServer
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

    @pytest.mark.gen_test
    async def test_a_redis_that_runs_no_scripts_carries_messages_all_the_same(
        self,
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
        self,
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

    @pytest.mark.gen_test
    async def test_a_message_of_somebody_elses_does_no_harm(
        self, process: Process, redis_url: str
    ) -> None:
        ann = await process.guest()
        async with redis.asyncio.Redis.from_url(redis_url) as admin:
            await admin.publish("rooms:lobby", b"\xff")
        await ann.socket.broadcast("lobby", "end")
        assert (await hears_until(ann, "end"))[-1] == "end"


class TestConnections:
    @pytest.mark.gen_test
    async def test_a_bus_has_two_connections_however_many_sockets(
        self, start: Callable[..., Process], redis_url: str
    ) -> None:
        process = start(RedisBus(redis_url))
        guests = [await process.guest("lobby", f"{number}") for number in range(5)]
        await asyncio.gather(*(guest.socket.broadcast("lobby", "hello") for guest in guests))
        async with redis.asyncio.Redis.from_url(redis_url) as admin:
            assert len(await admin.client_list()) == 2 + 1

    @pytest.mark.gen_test
    async def test_a_room_that_everybody_left_is_not_listened_to(
        self, start: Callable[..., Process], redis_url: str
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
        self, start: Callable[..., Process], redis_url: str
    ) -> None:
        await start(RedisBus(redis_url)).guest("lobby", "ann")
        async with redis.asyncio.Redis.from_url(redis_url) as admin:
            assert await admin.keys() == [b"rooms:lobby"]
            assert 0 < await admin.ttl("rooms:lobby") <= 86400

    @pytest.mark.gen_test
    async def test_closing_leaves_no_task_and_no_connection(
        self, start: Callable[..., Process], redis_url: str
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
        self, start: Callable[..., Process], redis_server: RedisServer, redis_url: str
    ) -> None:
        before = asyncio.all_tasks()
        bus = RedisBus(redis_url)
        redis_server.freeze()
        with pytest.raises(BusUnavailable):
            await bus.publish("lobby", "hello")
        await bus.close()
        assert asyncio.all_tasks() == before

    @pytest.mark.gen_test
    async def test_closing_a_bus_that_was_not_used_does_nothing(self) -> None:
        before = asyncio.all_tasks()
        await RedisBus("redis://127.0.0.1:1").close()
        assert asyncio.all_tasks() == before

    @pytest.mark.gen_test
    async def test_a_closed_bus_says_so(self, redis_url: str) -> None:
        bus = RedisBus(redis_url)
        await bus.publish("lobby", "hello")
        await bus.close()
        with pytest.raises(BusUnavailable, match="closed"):
            await bus.publish("lobby", "hello")

    def test_one_bus_serves_one_loop_after_another(self, redis_url: str) -> None:
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
        self, redis_servers: Callable[..., list[RedisServer]]
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


class TestWithSessions:
    @pytest.mark.gen_test
    async def test_a_socket_that_needs_no_session_opens_without_its_store(
        self, start: Callable[..., Process], redis_servers: Callable[..., list[RedisServer]]
    ) -> None:
        (server,) = redis_servers(1)
        process = start(LocalBus(), session_store=RedisStore(server.url))
        process.server.request_callback.add_handlers(".*", [("/with", WithSession)])  # type: ignore[attr-defined]
        server.kill()
        request = HTTPRequest(process.url + "/with", headers={"Cookie": "session=" + "x" * 43})
        client = await websocket_connect(request)
        await process.bus.publish("lobby", "hello")
        assert await client.read_message() == "hello"
        client.close()


class TestSettings:
    @pytest.mark.parametrize("bus", [None, "redis://127.0.0.1"])
    @pytest.mark.gen_test
    async def test_room_bus_must_be_a_bus(self, bus: Any) -> None:
        process = Process(LocalBus())
        guest = await process.guest(None)
        guest.socket.settings["room_bus"] = bus
        with pytest.raises(ConfigurationError, match="the setting 'room_bus' must be"):
            await guest.socket.join("lobby")
        guest.socket.settings["room_bus"] = process.bus
        await process.close()

    def test_room_bus_is_checked_at_the_start(self) -> None:
        with pytest.raises(ConfigurationError, match="the setting 'room_bus' must be"):
            check_settings(Application([("/", ChatSocket)]))

    @pytest.mark.parametrize(
        ("url", "why"),
        [
            ("http://127.0.0.1", "url"),
            ("redis://127.0.0.1:port", "url"),
            ("redis://127.0.0.1?colour=red", "url"),
            (None, "url must be a string, not None"),
        ],
    )
    def test_a_wrong_url_is_refused(self, url: Any, why: str) -> None:
        with pytest.raises(ConfigurationError, match=f"RedisBus: {why}"):
            RedisBus(url)

    @pytest.mark.parametrize("heartbeat", [0, -1, float("nan"), float("inf")])
    def test_a_wrong_heartbeat_is_refused(self, heartbeat: float) -> None:
        with pytest.raises(ConfigurationError, match="heartbeat must be above 0"):
            RedisBus("redis://127.0.0.1", heartbeat=heartbeat)

    def test_redis_is_needed_for_a_redis_bus_alone(self) -> None:
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


BOB = """
import asyncio, sys
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tests.test_rooms import HEARTBEAT, Process
from tornado_ext.rooms import RedisBus

async def main():
    await Process(RedisBus(sys.argv[1], heartbeat=HEARTBEAT)).guest("lobby", "bob")
    print("joined", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


async def forbid(server: RedisServer, command: str) -> None:
    async with redis.asyncio.Redis.from_url(server.url) as admin:
        await admin.acl_setuser("default", enabled=True, commands=[f"-{command}"])


async def hears_until(guest: Guest, text: str) -> list[str | bytes | None]:
    """Return what a guest hears, up to ``text``."""
    heard = [await guest.hears()]
    while heard[-1] != text:
        assert heard[-1] is not None, "closed"
        heard.append(await guest.hears())
    return heard


async def until_back(*buses: LocalBus) -> None:
    """Return when each has Redis again."""
    for bus in buses:
        while True:
            try:
                await bus.publish("nowhere", "hello")
                break
            except BusUnavailable:
                await asyncio.sleep(0.05)
