"""What every bus must do."""

import asyncio

import pytest
from tornado.websocket import (
    WebSocketClosedError,
)

from tests.rooms.chat import (
    Process,
)
from tests.rooms.delivery_suite import DeliverySuite
from tests.rooms.raw import close_code, raw
from tornado_ext.rooms import bus as bus_module


class BusSuite(DeliverySuite):
    """What every bus must do. Override the fixture `bus`."""

    @pytest.mark.gen_test
    async def test_a_socket_may_be_in_several_rooms(self, process: Process) -> None:
        ann = await process.guest("lobby")
        await ann.socket.join("garden")
        await ann.socket.broadcast("lobby", "one")
        await ann.socket.broadcast("garden", "two")
        assert [await ann.hears(), await ann.hears()] == ["one", "two"]

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
    async def test_closing_the_bus_closes_the_sockets_in_batches(
        self, process: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus_module, "BATCH", 2)
        guests = [await process.guest(room) for room in ("lobby", "lobby", None)]
        await guests[0].socket.join("garden")
        closing = asyncio.create_task(process.bus.close())
        await asyncio.sleep(0)
        assert [guest.socket.ws_connection for guest in guests].count(None) == 2
        for guest in guests:
            assert await guest.hears() is None
            assert guest.client.close_code == 1012
        await closing
        assert all(guest.socket.closed.is_set() for guest in guests)

    @pytest.mark.gen_test
    async def test_closing_the_bus_waits_for_a_client_but_not_for_ever(
        self, process: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus_module, "CLOSE_TIMEOUT", 0.5)
        answering, mute = await raw(process), await raw(process)
        socket = await process.opened.get()
        closing = asyncio.create_task(process.bus.close())
        assert await close_code(mute) == await close_code(answering) == 1012
        await answering.write(b"\x88\x80\0\0\0\0")
        await socket.closed.wait()
        assert not closing.done()
        await closing
        mute.close()
