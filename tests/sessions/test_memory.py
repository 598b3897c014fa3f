"""MemoryStore."""

import time

import pytest
from tornado.ioloop import IOLoop

from tornado_ext.sessions import MemoryStore, Record
from tornado_ext.sessions import memory as module
from tornado_ext.testing.store_suite import StoreSuite


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


def test_expired_records_are_swept(io_loop: IOLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()

    async def fill() -> None:
        await store.create("old", Record(), 0.001)
        time.sleep(0.002)
        monkeypatch.setattr(module, "SWEEP_INTERVAL", 0)
        await store.create("new", Record(), 60)

    io_loop.run_sync(fill)
    assert list(store._records) == ["new"]
