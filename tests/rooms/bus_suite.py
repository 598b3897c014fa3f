"""What every bus must do."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tornado.iostream import IOStream
from tornado.websocket import (
    WebSocketClosedError,
)

from tests.rooms.chat import (
    Process,
    hears_until,
)
from tornado_ext.rooms import LocalBus
from tornado_ext.rooms import bus as bus_module


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

    @pytest.mark.parametrize("room", ["", "\ud800"])
    @pytest.mark.gen_test
    async def test_a_room_needs_a_name_that_can_be_sent(self, process: Process, room: str) -> None:
        ann = await process.guest()
        for refused in (ann.socket.join(room), ann.socket.broadcast(room, "hello")):
            with pytest.raises(ValueError, match=r"needs a name|name of a room must be"):
                await refused
        await ann.socket.broadcast("lobby", "end")
        assert await ann.hears() == "end"

    @pytest.mark.gen_test
    async def test_a_member_needs_a_name_that_can_be_sent(self, process: Process) -> None:
        ann = await process.guest("lobby", "ann")
        with pytest.raises(ValueError, match="a name must be Unicode text"):
            await ann.socket.join("lobby", "\ud800")
        assert await ann.socket.members("lobby") == ["ann"]

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
