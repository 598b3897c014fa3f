"""MemoryStore."""

import asyncio
import multiprocessing
import os
import time
import tracemalloc
from collections.abc import Callable

import pytest
from tornado.ioloop import IOLoop
from tornado.process import fork_processes

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions import Change, MemoryStore, Record, SessionTooLarge
from tornado_ext.sessions.memory import BUCKET
from tornado_ext.testing.store_suite import StoreSuite

TTL = 60.0  # seconds


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time go on by so many seconds, for everybody but the event loop."""
    real, offset = time.monotonic, 0.0

    def advance(seconds: float) -> None:
        nonlocal offset
        offset += seconds
        monkeypatch.setattr(time, "monotonic", lambda: real() + offset)

    return advance


def made_by(process: Callable[[], object]) -> int:
    """Fork, run ``process`` in the child, and return 0 if it raised `ConfigurationError`."""
    pid = os.fork()
    if not pid:
        try:
            process()
        except ConfigurationError as exc:
            os._exit(0 if "several processes" in str(exc) else 2)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.gen_test
async def test_expired_records_are_forgotten_as_new_ones_come(
    clock: Callable[[float], None],
) -> None:
    store = MemoryStore()
    for number in range(100):
        await store.create(f"old{number}", Record(user_id="7"), TTL)
    clock(TTL + 2 * BUCKET)
    for number in range(30):
        await store.create(f"new{number}", Record(), TTL)
    assert len(store) == 30
    assert store._users == {}
    assert len(store._buckets) == len(store._due) == 1


@pytest.mark.gen_test
async def test_renewed_record_is_not_forgotten(clock: Callable[[float], None]) -> None:
    store = MemoryStore()
    await store.create("key", Record(), TTL)
    await store.save("key", Change({}, (), 0.0, 10 * BUCKET))
    clock(TTL + 2 * BUCKET)
    await store.create("new", Record(), TTL)
    assert await store.load("key") is not None


@pytest.mark.gen_test
async def test_full_store_drops_what_was_used_longest_ago(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore(max_sessions=3)
    for key in "abc":
        await store.create(key, Record(user_id=key), TTL)
    await store.load("a")
    for key in "de":
        await store.create(key, Record(user_id=key), TTL)
    assert [key for key in "abcde" if await store.load(key)] == ["a", "d", "e"]
    assert await store.sessions_of("b") == []
    assert caplog.text.count("MemoryStore is full") == 1


@pytest.mark.gen_test
async def test_logins_and_logouts_leave_nothing_behind() -> None:
    store = MemoryStore()
    for number in range(1000):
        await store.create(f"key{number}", Record(user_id=f"{number}"), TTL)
        await store.delete(f"key{number}")
    assert len(store) == len(store._users) == 0
    assert len(store._due) == len(store._buckets) <= 2


@pytest.mark.gen_test
async def test_clock_that_is_set_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    await store.create("key", Record({"a": "1"}), TTL)
    now = time.time()
    for jump in (-1e6, 1e6):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        assert await store.load("key") == Record({"a": "1"})


def test_idle_session_of_five_small_keys_takes_1536_bytes_at_most(io_loop: IOLoop) -> None:
    store, sessions = MemoryStore(), 2000

    async def fill() -> None:
        for number in range(sessions):
            texts = {name: f'"{name} {number}"' for name in "abcde"}
            times = time.time(), time.time()
            record = Record(texts, *times, f"user{number}", ends_at=time.time() + 1e6)
            await store.create(f"{number:064}", record, 1e6)

    tracemalloc.start()
    io_loop.run_sync(fill)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / sessions < 1536


def test_store_of_a_parent_process_is_refused_in_its_children() -> None:
    store = MemoryStore()
    assert made_by(lambda: asyncio.run(store.load("key"))) == 0
    assert asyncio.run(store.load("key")) is None


def test_store_of_one_of_several_processes_is_refused_when_it_is_made() -> None:
    def serve() -> None:
        fork_processes(2, max_restarts=0)
        MemoryStore()

    context = multiprocessing.get_context("fork")
    process = context.Process(target=serve)
    process.start()
    process.join(20)
    assert process.exitcode not in (0, None)


@pytest.mark.gen_test
async def test_limits_are_arguments() -> None:
    store = MemoryStore(max_bytes=10, max_keys=2)
    await store.create("key", Record({"a": "1", "b": "2"}), TTL)
    for texts in ({"c": "3"}, {"a": "1" * 9}):
        with pytest.raises(SessionTooLarge, match="2 keys and 10 bytes"):
            await store.save("key", Change(texts, (), 0.0, TTL))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9", None])
@pytest.mark.parametrize("name", ["max_sessions", "max_bytes", "max_keys"])
def test_wrong_limit_is_named(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be a whole number above 0"):
        MemoryStore(**{name: value})  # type: ignore[arg-type]
