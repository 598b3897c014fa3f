"""Rooms on both buses, with real WebSocket clients."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketHandler,
    websocket_connect,
)

from tornado_ext.rooms import LocalBus, RedisBus, RoomMixin

PATIENCE = 10  # seconds until a test that waits in vain fails
HEARTBEAT = 1.0  # seconds


class ChatSocket(RoomMixin, WebSocketHandler):
    def open(self) -> None:
        self.closed = asyncio.Event()
        self.application.settings["opened"].put_nowait(self)

    def on_close(self) -> None:  # without super(): nothing of the mixin depends on it
        self.closed.set()


class FailingSocket(RoomMixin, WebSocketHandler):
    async def open(self) -> None:
        await self.join("lobby", "ann")
        raise ValueError("no")


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

    def __init__(self, bus: LocalBus) -> None:
        self.bus = bus
        self.clients: list[WebSocketClientConnection] = []
        self.opened: asyncio.Queue[ChatSocket] = asyncio.Queue()
        handlers: list[Any] = [("/", ChatSocket), ("/failing", FailingSocket)]
        self.server = HTTPServer(Application(handlers, room_bus=bus, opened=self.opened))
        (listening,) = bind_sockets(0, "127.0.0.1")
        self.server.add_socket(listening)
        self.url = f"ws://127.0.0.1:{listening.getsockname()[1]}"

    async def guest(self, room: str | None = "lobby", name: str | None = None) -> Guest:
        guest = Guest(await self.connect(), await self.opened.get())
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
def start(io_loop: IOLoop) -> Iterator[Callable[[LocalBus], Process]]:
    """A function that serves an app with the bus that it is given."""
    started: list[Process] = []

    def start(bus: LocalBus) -> Process:
        started.append(Process(bus))
        return started[-1]

    yield start
    for process in started:
        io_loop.run_sync(process.close)


class BusSuite:
    """What every bus must do. Override the fixture `bus`."""

    @pytest.fixture
    def process(self, start: Callable[[LocalBus], Process], bus: LocalBus) -> Process:
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
        await bob.goes()
        assert await ann.socket.members("lobby") == ["ann"]
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
        self, process: Process
    ) -> None:
        ann, bob = await process.guest(), await process.guest()
        ann.socket.close()
        await bob.socket.broadcast("lobby", "hello")
        assert await bob.hears() == "hello"

    @pytest.mark.gen_test
    async def test_a_client_that_does_not_read_is_dropped_and_nobody_else(
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        deaf = await process.guest("lobby", "deaf")  # its client stops at its first 16 messages
        ann = await process.guest("lobby", "ann")
        for number in range(200):
            await ann.socket.broadcast("lobby", f"{number} " + "x" * 2**18)
            assert str(await ann.hears()).startswith(f"{number} ")
            if deaf.socket.closed.is_set():
                break
        assert deaf.socket.closed.is_set()
        assert await ann.socket.members("lobby") == ["ann"]
        assert "Dropped the WebSocket of 127.0.0.1: Reached maximum write buffer" in caplog.text

    @pytest.mark.gen_test
    async def test_closing_the_bus_closes_the_sockets(self, process: Process) -> None:
        ann = await process.guest("lobby")
        await ann.socket.join("garden")
        heard = asyncio.ensure_future(ann.hears())
        await process.bus.close()
        assert await heard is None
        assert ann.client.close_code == 1012
        assert ann.socket.closed.is_set()


class TestLocalBus(BusSuite):
    @pytest.fixture
    def bus(self) -> LocalBus:
        return LocalBus()


class TestRedisBus(BusSuite):
    @pytest.fixture
    def bus(self, redis_url: str) -> LocalBus:
        return RedisBus(redis_url, heartbeat=HEARTBEAT)
