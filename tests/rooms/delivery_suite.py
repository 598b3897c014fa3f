"""What every bus must do with messages."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tornado.iostream import IOStream

from tests.rooms.chat import (
    Process,
    hears_until,
)
from tornado_ext.rooms import LocalBus


class DeliverySuite:
    """Of every bus. Override the fixture `bus`."""

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

    @pytest.fixture
    def writes(self, monkeypatch: pytest.MonkeyPatch) -> list[IOStream]:
        """Which streams were written to, in turn."""
        writes: list[IOStream] = []
        write = IOStream.write_to_fd

        def write_to_fd(self: IOStream, data: memoryview) -> int:
            writes.append(self)
            return write(self, data)

        monkeypatch.setattr(IOStream, "write_to_fd", write_to_fd)
        return writes

    @pytest.mark.parametrize("rooms", [["lobby"] * 3, ["lobby", "garden", "lobby"]])
    @pytest.mark.gen_test
    async def test_what_one_loop_turn_brings_leaves_in_one_write(
        self, process: Process, writes: list[IOStream], rooms: list[str]
    ) -> None:
        guests = [await process.guest() for _ in range(3)]
        for guest in guests:
            await guest.socket.join("garden")
        writes.clear()
        for number, room in enumerate(rooms):
            process.bus._deliver(room, process.bus._packed(f"{number}", None))
        assert await hears_until(guests[0], "2") == ["0", "1", "2"]
        for guest in guests:
            assert writes.count(guest.socket._ext_outgoing._stream) == 1

    @pytest.mark.gen_test
    async def test_when_a_broadcast_returns_the_sockets_here_have_been_written_to(
        self, process: Process, writes: list[IOStream]
    ) -> None:
        ann = await process.guest()
        writes.clear()
        await ann.socket.broadcast("lobby", "hello")
        assert ann.socket._ext_outgoing._stream in writes

    @pytest.mark.gen_test
    async def test_a_socket_whose_stream_breaks_does_not_disturb_the_others(
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        ann, bob = await process.guest(), await process.guest()
        process.bus._deliver("lobby", process.bus._packed("hello", None))
        ann.socket._ext_outgoing._stream.close()
        assert await bob.hears() == "hello"
        assert caplog.text == ""

    @pytest.mark.parametrize("code", [1012, 4401])
    @pytest.mark.gen_test
    async def test_what_was_said_before_a_socket_is_closed_is_heard(
        self, process: Process, code: int
    ) -> None:
        ann = await process.guest(user="7")
        process.bus._deliver("lobby", process.bus._packed("goodbye", None))
        if code == 4401:
            process.bus._deliver("", b'["7", null]')
        else:
            await process.bus.close()
        assert [await ann.hears(), await ann.hears()] == ["goodbye", None]
        assert ann.client.close_code == code

    @pytest.mark.gen_test
    async def test_rooms_that_speak_in_turn_are_heard_in_order(self, process: Process) -> None:
        ann = await process.guest("lobby")
        await ann.socket.join("garden")
        said = [(room, f"{room} {number}") for number in range(3) for room in ("lobby", "garden")]
        for room, text in said:
            process.bus._deliver(room, process.bus._packed(text, None))
        assert [await ann.hears() for _ in said] == [text for _, text in said]
