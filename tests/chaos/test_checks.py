"""Each count of the runner goes up when the app does what it is for, and stays when it does not."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import aclosing
from itertools import count

import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application

from tests.chaos.app import make_app
from tests.chaos.clients import Load
from tests.chaos.ledger import Counts
from tests.chaos.wire import Wire
from tornado_ext.sessions import Change, MemoryStore, Record, StoreUnavailable

SOME = 5  # calls, of which a fault spoils one
REQUESTS = 400


class Faulty(MemoryStore):
    """A store with a fault that shows now and then."""

    calls = count(1)

    def spoils(self) -> bool:
        return next(self.calls) % SOME == 0


class Loses(Faulty):
    async def save(self, key: str, change: Change) -> Collection[str] | None:
        return [] if self.spoils() else await super().save(key, change)


class Forgets(Faulty):
    async def load(self, key: str) -> Record | None:
        return None if self.spoils() else await super().load(key)


class Undoes(MemoryStore):
    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        if replaced_for:
            return await super().delete(key, replaced_for=replaced_for)
        return await self.load(key)


class Refuses(Faulty):
    async def save(self, key: str, change: Change) -> Collection[str] | None:
        if self.spoils():
            raise StoreUnavailable("refused")
        return await super().save(key, change)


class Unfair(Faulty):
    async def lease(self, key: str, seconds: float) -> int | None:
        return next(self.calls)

    async def save(self, key: str, change: Change) -> Collection[str] | None:
        unfenced = Change(change.fields, change.deleted, change.seen_at, change.ttl)
        await asyncio.sleep(0.002)
        return await super().save(key, unfenced)


@pytest.fixture(params=[MemoryStore])
def app(request: pytest.FixtureRequest) -> Application:
    return make_app(request.param())


@pytest.fixture
def load(app: Application, http_server: HTTPServer, http_port: int) -> Load:
    return Load(Wire([http_port]), rate=1500, browsers=24)


Drive = Callable[[], Awaitable[Counts]]


@pytest.fixture
def drive(load: Load) -> Drive:
    """Have the clients at work for so many requests, and look at all in the end."""

    async def drive() -> Counts:
        async with aclosing(load.wire):
            await load.fill(30)
            async with load.running():
                while load.requests < REQUESTS:
                    await asyncio.sleep(0.01)
            await load.look_at_all()
        return load.counts

    return drive


@pytest.mark.gen_test
async def test_an_app_that_keeps_its_promises_breaks_none(drive: Drive, load: Load) -> None:
    assert (await drive()).broken() == []
    assert load.ended


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("app", "counted"),
    [
        (Loses, "writes_lost"),
        (Forgets, "lost"),
        (Forgets, "idle_lost"),
        (Undoes, "logouts_undone"),
        (Refuses, "failed"),
        (Unfair, "writes_lost"),
    ],
    indirect=["app"],
)
async def test_a_fault_is_counted(drive: Drive, counted: str) -> None:
    counts = await drive()
    assert getattr(counts, counted) > 0
    assert any(note.startswith(f"{counted}: ") for note in counts.notes)
