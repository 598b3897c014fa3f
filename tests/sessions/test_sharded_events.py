"""Sequences of events that a ring of Redis servers has to get through, within its guarantee."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from tornado.ioloop import IOLoop

from tests.redis_data import keep, put_back
from tests.sessions.test_sharded import (
    KEYS,
    RECORD,
    Shards,
    change,
    holders,
    on,
    owned_by,
    settle,
    store_on,
)
from tornado_ext.sessions import StoreUnavailable
from tornado_ext.sessions import sharded as module
from tornado_ext.sessions._sharding import upkeep
from tornado_ext.sessions._sharding.asking import PROMPT, Decision
from tornado_ext.sessions._sharding.node import Node
from tornado_ext.sessions._sharding.transfer import Transfer
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import RedisServer
from tornado_ext.testing.store_suite import TTL

HOUR = 3600.0  # seconds


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes look more often."""
    for name, seconds in {"INTERVAL": 0.05, "SHORT_INTERVAL": 0.02, "HEARD_FOR": 0.6}.items():
        monkeypatch.setattr(upkeep, name, seconds)


@pytest.fixture
def four(redis_servers: Callable[[int], list[RedisServer]]) -> Shards:
    return dict(zip("abcd", redis_servers(4), strict=True))


@pytest.fixture
def shards(four: Shards) -> Shards:
    return {name: four[name] for name in "abc"}


@pytest.fixture
def store(io_loop: IOLoop, shards: Shards) -> Iterator[ShardedRedisStore]:
    store = store_on(shards)
    io_loop.run_sync(lambda: settle(store))
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes stay marked."""
    monkeypatch.setattr(Transfer, "_settle_marks", lambda *_: asyncio.sleep(0, 0))


async def becomes(store: ShardedRedisStore, name: str, state: str) -> None:
    async with asyncio.timeout(10):
        while (await store.health())[name].state != state:
            await asyncio.sleep(0.01)


async def settle_all(store: ShardedRedisStore) -> None:
    """Wait until every node is ok, whatever marks another process has just set."""
    for _ in range(2):  # the first look may have been under way
        await store._replicas.upkeep().looked()
    await settle(store)


async def stand_still(store: ShardedRedisStore) -> None:
    """Have a process look at nothing until it is asked for something."""
    upkeep = store._replicas.upkeep()
    async with asyncio.timeout(10):
        while upkeep._timer is None:
            await asyncio.sleep(0.001)
    upkeep._timer.cancel()


def moved_to_d(before: ShardedRedisStore, after: ShardedRedisStore) -> tuple[str, str]:
    """Return a key that d takes over from one of its owners, and who keeps it."""
    keys = map(str, range(10_000))
    return next((key, before.owners(key)[0]) for key in keys if "d" in after.owners(key))


# Clocks.


@pytest.mark.parametrize("ahead", ["the other", "this one"])
@pytest.mark.gen_test
async def test_last_write_wins_though_a_clock_is_an_hour_ahead(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch, ahead: str
) -> None:
    other = store_on(shards)
    await settle(other)
    await store.create("key", RECORD, TTL)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + int(HOUR * 1e9))
    await (other if ahead == "the other" else store).save("key", change("a", b="2"))
    monkeypatch.undo()
    last = store if ahead == "the other" else other
    assert await last.save("key", change("b", a="3")) == ["b"]
    for each in (store, other):
        assert (await each.load("key") or RECORD).fields == {"a": "3"}
    one, another = (on(shards[n], "HGETALL", "session:key") for n in store.owners("key"))
    assert one == another
    await other.close()


@pytest.mark.gen_test
async def test_last_write_wins_though_who_decides_has_missed_one_of_a_clock_that_is_ahead(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    before = on(shards["a"], "HGET", f"session:{key}", ":a")
    other = store_on(shards)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + int(HOUR * 1e9))
    await other.save(key, change(a="2"))
    monkeypatch.undo()
    await other.close()
    on(shards["a"], "HSET", f"session:{key}", ":a", before)
    assert await store.save(key, change(a="3")) == []
    assert (await store.load(key) or RECORD).fields == {"a": "3"}


# A node that is marked.


@pytest.fixture
def marked(io_loop: IOLoop, shards: Shards, store: ShardedRedisStore, unsettled: None) -> str:
    """The key of a session, of which the first owner, a, has missed a write; b has it."""
    key = owned_by(store, "a", "b")

    async def miss() -> None:
        await store.create(key, RECORD, TTL)
        on(shards["a"], "CONFIG", "SET", "maxmemory", "1")
        await store.save(key, change(y="2"))
        on(shards["a"], "CONFIG", "SET", "maxmemory", "0")
        await becomes(store, "a", "marked")

    io_loop.run_sync(miss)
    return key


@pytest.mark.gen_test
async def test_marked_node_alone_is_not_believed(
    shards: Shards, store: ShardedRedisStore, marked: str
) -> None:
    shards["b"].kill()
    for verb, *args in ((store.load,), (store.save, change(x="1")), (store.delete,)):
        with pytest.raises(StoreUnavailable, match="'a' is marked, 'b' is away"):
            await verb(marked, *args)


@pytest.mark.gen_test
async def test_deletions_on_a_marked_node_do_not_undo_what_it_missed(
    shards: Shards, store: ShardedRedisStore, marked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTED_FOR", 0.0)
    names = [f"name{number}" for number in range(40)]
    await store.save(marked, change(*names))
    await asyncio.sleep(0.01)
    await store.save(marked, change("another"))
    monkeypatch.undo()
    await settle(store)
    shards["b"].kill()
    assert (await store.load(marked) or RECORD).fields == {"a": "1", "y": "2"}


@pytest.mark.gen_test
async def test_mark_that_is_set_while_its_node_answers_a_look_is_not_forgotten(
    store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = (store._replicas.nodes[name] for name in "ab")

    async def look(ring: str, others: Sequence[str], heard_for: float) -> dict[str, int]:
        said = await Node.look(b, ring, others, heard_for)
        store._replicas._missed(b, [a])
        return said

    monkeypatch.setattr(b, "look", look)
    await store._replicas.upkeep().look()
    assert a.marks == 1


@pytest.mark.gen_test
async def test_write_without_a_node_that_just_comes_back_is_not_forgotten_by_the_look_that_finds_it(
    shards: Shards, store: ShardedRedisStore, unsettled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    a, b = (store._replicas.nodes[name] for name in "ab")

    async def look(ring: str, others: Sequence[str], heard_for: float) -> dict[str, int]:
        said = await Node.look(b, ring, others, heard_for)
        assert await store.lease(key, 30)  # without a, which is still taken to be away
        return said

    await stand_still(store)
    a.away = "cut off"
    monkeypatch.setattr(b, "look", look)
    await store._replicas.upkeep().look()
    assert (a.away, a.marks) == ("", 1)


# A node that comes back.


@pytest.fixture
def filling(store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set it to have nodes filled from now on, after the store has begun."""
    fill, begins = Transfer._fill, asyncio.Event()

    async def fill_later(self: Transfer, node: Node, ring_id: str) -> bool:
        await begins.wait()
        return await fill(self, node, ring_id)

    monkeypatch.setattr(Transfer, "_fill", fill_later)
    return begins


@pytest.mark.usefixtures("filling")
@pytest.mark.gen_test
async def test_copy_of_a_node_that_catches_up_is_not_believed(
    shards: Shards, store: ShardedRedisStore
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    on(shards["b"], "DEL", f"session:{key}")  # as if it had ended there
    shards["a"].kill()
    shards["a"].restart()
    await becomes(store, "a", "catching up")
    assert await store.load(key) is None


@pytest.mark.usefixtures("filling")
@pytest.mark.gen_test
async def test_close_does_not_wait_until_nodes_are_filled_though_one_is_away(
    shards: Shards, store: ShardedRedisStore
) -> None:
    for name in "ac":
        on(shards[name], "FLUSHALL")
    while not on(shards["a"], "EXISTS", "claim"):
        await asyncio.sleep(0.01)
    shards["a"].kill()
    async with asyncio.timeout(3):
        await store.close()


@pytest.mark.gen_test
async def test_node_that_is_emptied_while_it_is_filled_is_filled_again(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in KEYS:
        await store.create(key, RECORD, TTL)
    fill_from = Transfer._fill_from
    emptied: list[object] = []

    async def fill_and_empty(self: Transfer, node: Node, other: Node, *args: str) -> bool:
        filled = await fill_from(self, node, other, *args)
        if other.name == "b" and not emptied:
            emptied.append(on(shards["a"], "FLUSHALL"))
        return filled

    monkeypatch.setattr(Transfer, "_fill_from", fill_and_empty)
    shards["a"].restart(empty=True)
    await becomes(store, "a", "catching up")
    await settle(store)
    assert emptied
    assert all(holders(shards, key) == set(store.owners(key)) for key in KEYS)


@pytest.mark.gen_test
async def test_node_that_is_restarted_while_it_is_filled_is_filled_again(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    fill_from, restarted = Transfer._fill_from, asyncio.Event()

    async def fill_and_restart(self: Transfer, node: Node, other: Node, *args: str) -> bool:
        filled = await fill_from(self, node, other, *args)
        if other.name == "c" and not restarted.is_set():
            restarted.set()
            on(shards["a"], "DEL", f"session:{key}")  # its data is a little old
            run_id = node.run_id
            shards["a"].kill()
            shards["a"].restart()
            while node.run_id == run_id:
                await asyncio.sleep(0.01)
        return filled

    monkeypatch.setattr(Transfer, "_fill_from", fill_and_restart)
    shards["a"].restart(empty=True)
    await restarted.wait()
    await settle(store)
    assert holders(shards, key) == {"a", "b"}


@pytest.mark.gen_test
async def test_marks_that_old_data_brings_along_do_not_keep_sessions_away(
    shards: Shards, store: ShardedRedisStore, filling: asyncio.Event
) -> None:
    filling.set()
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    shards["b"].kill()
    await store.save(key, change(a="2"))
    kept = keep(shards["a"])
    shards["b"].restart()
    await settle(store)
    await store.save(key, change(a="3"))
    filling.clear()
    shards["a"].kill()
    put_back(shards["a"], kept)
    shards["a"].restart()
    assert (await store.load(key) or RECORD).fields == {"a": "3"}
    filling.set()
    await settle(store)


@pytest.mark.gen_test
async def test_full_node_is_marked_for_as_long_as_it_is_full(
    shards: Shards, store: ShardedRedisStore
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    on(shards["a"], "CONFIG", "SET", "maxmemory", "1")
    await store.save(key, change(a="2"))
    for _ in range(5):
        await store._replicas.upkeep().looked()
        health = (await store.health())["a"]
        assert (health.state, health.why) == ("marked", "it is out of memory")


# Processes that stand still, or start late, while the ring changes.


@pytest.mark.gen_test
async def test_process_that_stood_still_while_the_ring_changed_looks_first(
    shards: Shards, four: Shards, store: ShardedRedisStore
) -> None:
    after = store_on(four)
    key, keeper = moved_to_d(store, after)
    await store.create(key, RECORD, TTL)
    await stand_still(store)
    await settle(after)
    assert await store.save(key, change(a="2")) == []
    await settle_all(after)
    four[keeper].kill()
    assert (await after.load(key) or RECORD).fields == {"a": "2"}
    await after.close()


@pytest.mark.gen_test
async def test_read_of_a_process_that_stood_still_sees_what_was_written_since(
    shards: Shards, four: Shards, store: ShardedRedisStore
) -> None:
    after = store_on(four)
    key, keeper = moved_to_d(store, after)
    await store.create(key, RECORD, TTL)
    await stand_still(store)
    await settle(after)
    await after.save(key, change(a="2"))
    four[keeper].kill()
    with pytest.raises(StoreUnavailable):  # it has no address of d, and does not guess
        await store.load(key)
    await after.close()


@pytest.mark.gen_test
async def test_read_in_the_middle_of_which_a_process_stood_still_is_done_again(
    store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = owned_by(store, "a", "b")
    await store.create(key, RECORD, TTL)
    a, upkeep = store._replicas.nodes["a"], store._replicas.upkeep()
    again: list[str] = []

    def ask(verb: str, name: str) -> "asyncio.Future[object]":
        upkeep.known_until = 0.0
        return Node.ask(a, verb, name)

    async def command(verb: str, name: str) -> object:
        again.append(verb)
        return await Node.command(a, verb, name)

    monkeypatch.setattr(a, "ask", ask)
    monkeypatch.setattr(a, "command", command)
    assert await store.load(key) == RECORD
    assert again == ["HGETALL"]


@pytest.mark.gen_test
async def test_process_that_stood_still_in_the_middle_of_a_write_does_not_acknowledge_it(
    shards: Shards, four: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = store_on(four)
    key, _ = moved_to_d(store, after)
    await store.create(key, RECORD, TTL)
    repeat = store._replicas.repeat

    async def repeat_later(*args: object) -> object:
        await stand_still(store)
        await settle(after)
        return await repeat(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store._replicas, "repeat", repeat_later)
    with pytest.raises(StoreUnavailable, match="the ring has changed"):
        await store.save(key, change(a="2"))
    await after.close()


@pytest.mark.gen_test
async def test_write_that_one_node_took_alone_is_not_acknowledged_if_it_was_restarted_meanwhile(
    store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create("key", RECORD, TTL)
    repeat = store._replicas.repeat

    async def repeat_later(decision: Decision, *args: object) -> object:
        decision.prompt_until, decision.run_id, decision.others = 0.0, "of its run before", []
        return await repeat(decision, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(store._replicas, "repeat", repeat_later)
    with pytest.raises(StoreUnavailable, match="may have lost what"):
        await store.save("key", change(a="2"))


@pytest.mark.gen_test
async def test_write_of_a_process_that_starts_with_the_old_ring_is_not_lost(
    shards: Shards, four: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = store_on(four)
    key, keeper = moved_to_d(store, after)
    await store.create(key, RECORD, TTL)
    await store.close()
    vouch, late = Node.vouch, store_on(shards)

    async def write_and_vouch(self: Node, *args: str) -> bool:
        if self.name == "d":  # it has been filled
            await late.save(key, change(a="2"))
            await late.close()
        return await vouch(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Node, "vouch", write_and_vouch)
    await settle(after)
    await settle_all(after)
    four[keeper].kill()
    assert (await after.load(key) or RECORD).fields == {"a": "2"}
    await after.close()


@pytest.mark.gen_test
async def test_write_is_given_back_to_a_node_that_was_emptied_and_filled_meanwhile(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create("key", RECORD, TTL)
    other = store_on(shards)
    await settle_all(other)
    repeat = store._replicas.repeat

    first = ""

    async def repeat_later(decision: Decision, *args: object) -> object:
        nonlocal first
        first = name = decision.node.name
        on(shards[name], "FLUSHALL")
        await becomes(other, name, "catching up")
        await settle(other)
        return await repeat(decision, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(store._replicas, "repeat", repeat_later)
    assert await store.save("key", change(a="2")) == []
    for name in store.owners("key"):
        if name != first:
            shards[name].kill()
    assert (await other.load("key") or RECORD).fields == {"a": "2"}
    await other.close()


@pytest.mark.gen_test
async def test_node_that_was_emptied_is_not_filled_before_prompt_writes_have_reached_the_others(
    shards: Shards, store: ShardedRedisStore
) -> None:
    on(shards["a"], "FLUSHALL")
    emptied = time.monotonic()
    await becomes(store, "a", "catching up")
    await settle(store)
    assert time.monotonic() - emptied >= PROMPT


@pytest.mark.gen_test
async def test_fenced_write_is_the_last_one_though_another_clock_is_ahead(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create("key", RECORD, TTL)
    fence = await store.lease("key", 30)
    await store.load("key")
    other, now = store_on(shards), time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + int(HOUR * 1e9))
    await other.save("key", change(a="2"))
    monkeypatch.undo()
    await store.save("key", replace(change(a="3"), fence=fence))
    assert (await other.load("key") or RECORD).fields == {"a": "3"}
    await other.close()


@pytest.mark.gen_test
async def test_session_that_can_not_be_read_keeps_nobody_from_logging_in(
    shards: Shards, store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", 0.0)
    user = replace(RECORD, user_id="7")
    await store.create("broken", user, TTL)
    for name in store.owners("broken"):
        on(shards[name], "DEL", "session:broken")
        on(shards[name], "SET", "session:broken", "no hash")
    await asyncio.sleep(0.01)
    await store.create("next", user, TTL)
    assert await store.load("next") == user


@pytest.mark.gen_test
async def test_process_that_is_too_slow_to_know_the_nodes_says_so(
    store: ShardedRedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "HEARD_FOR", 0.0)
    await store._replicas.upkeep().looked()
    await store._replicas.upkeep().looked()
    with pytest.raises(StoreUnavailable, match="too slow"):
        await store.load("key")


@pytest.mark.gen_test
async def test_marks_of_another_ring_are_not_ours(shards: Shards, store: ShardedRedisStore) -> None:
    on(shards["c"], "HSET", "missed:a", "session:x", "stamp")
    on(shards["c"], "HSET", "ring", "ring_id", "of another")
    await becomes(store, "c", "foreign")
    await store._replicas.upkeep().looked()
    assert (await store.health())["a"].state == "ok"
