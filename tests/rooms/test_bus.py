"""The bus of one process."""

import asyncio

import pytest

from tests.rooms.bus_suite import BusSuite
from tests.rooms.chat import (
    Process,
)
from tornado_ext.rooms import LocalBus


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
