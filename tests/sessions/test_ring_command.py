"""python -m tornado_ext.sessions.ring, on real Redis servers."""

import asyncio
import io
import random
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import NamedTuple

import pytest
from tornado.ioloop import IOLoop
from tornado.log import app_log

from tests.sessions.test_sharded import (
    KEYS,
    RECORD,
    Shards,
    change,
    on,
    settle,
    store_on,
)
from tests.sessions.test_sharded_servers import restrict
from tornado_ext.sessions._sharding import upkeep
from tornado_ext.sessions._sharding.node import Key, Node
from tornado_ext.sessions._sharding.replicas import Replicas
from tornado_ext.sessions.ring import Ring, _rebalance
from tornado_ext.sessions.ring.__main__ import main
from tornado_ext.sessions.ring._progress import Progress
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import RedisServer
from tornado_ext.testing.store_suite import TTL

HEARD_FOR = 0.6  # seconds


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Awaitable[Ended]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let processes look more often."""
    for name, seconds in {"INTERVAL": 0.05, "SHORT_INTERVAL": 0.02, "HEARD_FOR": HEARD_FOR}.items():
        monkeypatch.setattr(upkeep, name, seconds)
    level = app_log.level
    yield
    app_log.setLevel(level)


@pytest.fixture
def four(redis_servers: Callable[[int], list[RedisServer]]) -> Shards:
    return dict(zip("abcd", redis_servers(4), strict=True))


@pytest.fixture
def shards(four: Shards) -> Shards:
    return three_of(four)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command, in a thread of its own."""

    async def run(*arguments: str) -> Ended:
        code = await asyncio.to_thread(exit_code, *arguments)
        return Ended(code, *capsys.readouterr())

    return run


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def three_of(four: Shards) -> Shards:
    return {name: four[name] for name in "abc"}


def nodes(shards: Shards) -> list[str]:
    """Return the nodes as arguments."""
    return [f"{name}={server.url}" for name, server in shards.items()]


async def filled(shards: Shards, keys: list[str] = KEYS) -> None:
    """Make sessions, and have nobody with this ring."""
    store = store_on(shards)
    await settle(store)
    await asyncio.gather(*(store.create(key, RECORD, TTL) for key in keys))
    await store.close()
    for shard in shards.values():
        on(shard, "DEL", "rings")  # or wait until it is forgotten


def kept_by(shards: Shards, prefix: str = "") -> dict[str, set[str]]:
    """Return the keys of the sessions that each node has."""
    return {
        name: {str(key).rpartition(":")[2] for key in on(shard, "KEYS", f"{prefix}session:*")}  # type: ignore[attr-defined]
        for name, shard in shards.items()
    }


def owned_by(shards: Shards, store: ShardedRedisStore) -> dict[str, set[str]]:
    """Return the keys of the sessions that each node owns."""
    return {name: {key for key in KEYS if name in store.owners(key)} for name in shards}


# status


@pytest.mark.gen_test(timeout=20)
async def test_ring_that_is_well_is_shown(run: Run, shards: Shards) -> None:
    await filled(shards)
    ended = await run("status", f"a*2={shards['a'].url}", *nodes(shards)[1:])
    assert [line.split()[:4] for line in ended.out.splitlines()] == [
        ["node", "state", "weight", "share"],
        ["a", "moving", "2", "42%"],
        ["b", "moving", "1", "29%"],
        ["c", "moving", "1", "29%"],
    ]
    ended = await run("status", *nodes(shards))
    assert (ended.code, ended.err) == (0, "")
    for name, line in zip("abc", ended.out.splitlines()[1:], strict=True):
        sessions = str(len(kept_by(shards)[name]))
        assert line.split()[:5] == [name, "ok", "1", line.split()[3], sessions]
        assert line.endswith("MB  noeviction")


@pytest.mark.gen_test(timeout=20)
async def test_node_that_is_not_ok_is_shown_with_its_reason(run: Run, shards: Shards) -> None:
    await filled(shards)
    on(shards["a"], "HSET", "missed:b", "session:1", "1")
    on(shards["a"], "CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "64mb")
    shards["c"].kill()
    ended = await run("status", *nodes(shards))
    assert ended.code == 1
    _, a, b, c = ended.out.splitlines()
    assert a.split()[1] == "ok"
    assert a.endswith("of 64.0 MB  allkeys-lru")
    assert b.split()[1:4] == ["marked:", "1", "marks"]
    assert "away: " in c
    assert "onnect" in c


@pytest.mark.gen_test(timeout=20)
async def test_status_changes_nothing(run: Run, shards: Shards) -> None:
    ended = await run("status", *nodes(shards))
    assert ended.code == 1
    assert ended.out.count("catching up") == 3
    assert [on(shard, "DBSIZE") for shard in shards.values()] == [0, 0, 0]


@pytest.mark.gen_test(timeout=20)
async def test_rings_that_processes_have_are_told(run: Run, four: Shards) -> None:
    store = store_on(three_of(four))
    await settle(store)
    ended = await run("status", *nodes(four))
    assert ended.code == 1
    assert ended.out.endswith("Processes have another ring: a b c, replicas 2.\n")
    await store.close()


@pytest.mark.gen_test(timeout=20)
async def test_node_that_was_not_ok_a_moment_ago_is_not_well(
    run: Run, shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(shards)
    on(shards["a"], "HSET", "missed:b", "session:1", "1")
    look = upkeep.Upkeep.look

    async def look_and_unmark(self: upkeep.Upkeep) -> None:
        await look(self)
        on(shards["a"], "DEL", "missed:b")

    monkeypatch.setattr(upkeep.Upkeep, "look", look_and_unmark)
    assert (await run("status", *nodes(shards))).code == 1
    assert (await run("status", *nodes(shards))).code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["status"], "NODES"),
        (["status", "a"], "argument NODES: 'a' is not NAME=URL"),
        (["status", "redis://:secret@host"], "argument NODES: 'host' is not NAME=URL"),
        (["status", "a*x=redis://h"], "the weight of 'a' must be a whole number, not 'x'"),
        (["status", "a*0=redis://h"], r"weights['a'] must be a whole number above 0, not 0"),
        (["status", "a=redis://h", "a=redis://g"], "nodes has 'a' more than once"),
        (["status", "a=redis://h", "b=redis://h"], "'a' and 'b' have the same address"),
        (["status", "a=http://h"], "nodes['a'] is not a Redis URL"),
        (["status", "a=redis://h", "--replicas", "2"], "replicas is 2, and there are 1 nodes"),
        (["status", "a=redis://h", "--replicas", "two"], "argument --replicas"),
        (["rebalance", "a=redis://h", "--rate", "0"], "argument --rate: '0' is not a number"),
        (["rebalance", "a=redis://h", "--rate", "fast"], "argument --rate: 'fast' is not"),
        (["rebalance", "a=redis://h", "--from", "b"], "argument --from: 'b' is not NAME=URL"),
        (["rebalance", "a=redis://h", "--from", "a=redis://g"], "--from has 'a', which is one of"),
        (["rebalance", "a=redis://h", "--from", "b=redis://h"], "--from has 'b', which is one of"),
        (["repair"], "invalid choice: 'repair'"),
    ],
)
def test_wrong_argument_is_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert exit_code(*arguments) == 2
    complaint = capsys.readouterr().err
    assert sentence in complaint
    assert complaint.count("\n") == 1
    assert "secret" not in complaint


# rebalance


@pytest.mark.parametrize("names", ["abcd", "abc", "bcd"])
@pytest.mark.gen_test(timeout=20)
async def test_every_node_gets_what_it_owns_and_no_more(run: Run, four: Shards, names: str) -> None:
    before = four if names == "bcd" else three_of(four)
    await filled(before)
    on(four["b"], "HSET", "missed:z", "session:1", "1")
    after = {name: four[name] for name in names}
    weighted = [f"{names[0]}*2={after[names[0]].url}", *nodes(after)[1:]]
    ended = await run("rebalance", *weighted)
    assert ended.code == 0, ended
    assert re.search(r"removing other copies: [0-9,]+ keys, 100%, \d+ s\n$", ended.err)
    store = store_on(after, weights={names[0]: 2})
    assert {health.state for health in (await store.health()).values()} == {"ok"}
    assert kept_by(after) == owned_by(after, store)
    for key in KEYS:
        assert await store.load(key) == RECORD
    assert on(four["b"], "EXISTS", "missed:z") == 0
    await store.close()


@pytest.mark.gen_test(timeout=20)
async def test_keys_with_a_prefix_are_rebalanced(run: Run, four: Shards) -> None:
    before = store_on(three_of(four), key_prefix="app:")
    await settle(before)
    for key in KEYS:
        await before.create(key, RECORD, TTL)
    await before.close()
    for shard in four.values():
        on(shard, "DEL", "app:rings")
    assert (await run("rebalance", *nodes(four), "--key-prefix", "app:")).code == 0
    store = store_on(four, key_prefix="app:")
    assert kept_by(four, "app:") == owned_by(four, store)


@pytest.mark.gen_test(timeout=20)
async def test_rights_of_the_page_will_do(run: Run, four: Shards) -> None:
    urls = restrict(four)
    arguments = [f"{name}={url}" for name, url in urls.items()]
    left = arguments.pop()
    before = ShardedRedisStore(urls, key_prefix="shop:")
    await settle(before)
    await before.create("key", RECORD, TTL)
    await before.close()
    for shard in four.values():
        on(shard, "DEL", "shop:rings")
    ended = await run("rebalance", *arguments, "--key-prefix", "shop:", "--from", left)
    assert ended.code == 0, ended
    ended = await run("status", *arguments, "--key-prefix", "shop:")
    assert (ended.code, ended.out.count("noeviction")) == (0, 3)


@pytest.mark.gen_test(timeout=20)
async def test_keys_of_others_stay(run: Run, shards: Shards) -> None:
    await filled(shards)
    theirs = {"session:theirs": "string", "missed:calls": "hash", "user:1": "string"}
    for shard in shards.values():
        on(shard, "SET", "session:theirs", "1")
        on(shard, "SET", "user:1", "1")
        on(shard, "HSET", "missed:calls", "ann", "1")
    assert (await run("rebalance", *nodes(shards))).code == 0
    for shard in shards.values():
        assert {name: on(shard, "TYPE", name) for name in theirs} == theirs


@pytest.mark.parametrize("victim", "bd")
@pytest.mark.gen_test(timeout=40)
async def test_rebalance_under_load_loses_nothing(
    run: Run, four: Shards, victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "HEARD_FOR", 1.0)  # writers may keep each other from looking
    await filled(three_of(four))
    stores = [store_on(four), store_on(four)]
    acknowledged: dict[str, dict[str, str] | None] = {key: {"a": "1"} for key in KEYS}
    done = asyncio.Event()

    async def write(first: int) -> None:
        count = 0
        while not done.is_set():
            count += 1
            store, key = random.choice(stores), random.choice(KEYS[first::4])
            fields = acknowledged[key]
            if fields is None:
                assert await store.load(key) is None
            elif count % 40 == 0:
                await store.delete(key)
                acknowledged[key] = None
            else:
                assert await store.save(key, change(b=str(count))) is not None
                fields["b"] = str(count)

    writers = [asyncio.create_task(write(first)) for first in range(4)]
    ended = await run("rebalance", *nodes(four), "--rate", "200")
    done.set()
    await asyncio.gather(*writers)
    assert ended.code == 0, ended
    assert kept_by(four) == owned_by(four, stores[0])
    four[victim].kill()
    for key, fields in acknowledged.items():
        record = await stores[1].load(key)
        assert (record and record.fields) == fields
    await asyncio.gather(*(store.close() for store in stores))


@pytest.mark.gen_test(timeout=20)
async def test_two_nodes_that_left_at_once_give_what_they_have(run: Run, four: Shards) -> None:
    await filled(four)
    ab, cd = ({name: four[name] for name in names} for names in ("ab", "cd"))
    leaving = [argument for node in nodes(cd) for argument in ("--from", node)]
    ended = await run("rebalance", *nodes(ab), *leaving)
    assert ended.code == 0, ended
    for shard in cd.values():
        shard.kill()
    store = store_on(ab)
    for key in KEYS:
        assert await store.load(key) == RECORD
    await store.close()


@pytest.mark.gen_test(timeout=20)
async def test_node_that_left_counts_as_new_when_it_returns(run: Run, shards: Shards) -> None:
    await filled(shards)
    ab = {name: shards[name] for name in "ab"}
    assert (await run("rebalance", *nodes(ab), "--from", nodes(shards)[2])).code == 0
    assert on(shards["c"], "EXISTS", "ring", "leaving") == 0
    ended = await run("status", *nodes(shards))
    assert ended.out.splitlines()[3].split()[:3] == ["c", "catching", "up:"]


@pytest.mark.gen_test(timeout=20)
async def test_node_of_another_ring_is_not_emptied(
    run: Run, shards: Shards, redis_servers: Callable[[int], list[RedisServer]]
) -> None:
    await filled(shards)
    other = dict(zip("de", redis_servers(2), strict=True))
    await filled(other)
    for node in (nodes(other)[0], f"f={other['e'].url}"):
        ended = await run("rebalance", *nodes(shards), "--from", node)
        assert ended.code == 1
        assert "holds nothing of a node" in ended.err


@pytest.mark.parametrize("trouble", ["away", "foreign", "another ring"])
@pytest.mark.gen_test(timeout=20)
async def test_rebalance_is_refused_while_the_ring_is_in_no_state_for_it(
    run: Run, four: Shards, trouble: str
) -> None:
    await filled(three_of(four))
    before = kept_by(four)
    store = store_on(three_of(four))
    if trouble == "another ring":
        await settle(store)
        sentence = "processes have another ring (a b c, replicas 2): restart them with this one"
    elif trouble == "foreign":
        on(four["c"], "HSET", "ring", "node", "x")
        sentence = "node 'c' is foreign: it holds the data of node 'x'"
    else:
        four["c"].kill()
        sentence = "node 'c' is away: "
    ended = await run("rebalance", *nodes(four))
    assert ended.code == 1
    assert sentence in ended.err
    assert ended.err.count("\n") == 1
    after = kept_by({name: four[name] for name in "abd"})
    assert after == {name: before[name] for name in "abd"}
    assert on(four["d"], "EXISTS", "ring", "rings") == 0
    await store.close()


@pytest.mark.gen_test(timeout=20)
async def test_rebalance_does_not_wait_for_a_node_that_is_full(run: Run, four: Shards) -> None:
    await filled(three_of(four))
    on(four["c"], "CONFIG", "SET", "maxmemory", "1")
    ended = await run("rebalance", *nodes(four))
    assert ended.code == 1
    assert ended.err.endswith(": node 'c' is moving: it is out of memory\n")


@pytest.mark.gen_test(timeout=20)
async def test_nothing_more_is_removed_once_another_ring_was_heard_of(
    run: Run, four: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(three_of(four))
    monkeypatch.setattr(_rebalance.Work, "fill", filled_and_then(_rebalance.Work.fill, four))
    ended = await run("rebalance", *nodes(four))
    assert ended.code == 1
    assert "another ring" in ended.err
    shards = three_of(four)
    assert kept_by(shards) == owned_by(shards, store_on(shards))


def filled_and_then(
    fill: Callable[[_rebalance.Work], Awaitable[None]], shards: Shards
) -> Callable[[_rebalance.Work], Awaitable[None]]:
    """Return `Work.fill`, after which a process with another ring is heard of by all nodes."""

    async def fill_and_tell(self: _rebalance.Work) -> None:
        await fill(self)
        for shard in shards.values():
            (seconds, _) = on(shard, "TIME")  # type: ignore[misc]
            on(shard, "ZADD", "rings", (int(seconds) + 10) * 1000, "another")  # goes on to tell it

    return fill_and_tell


@pytest.fixture
def work(io_loop: IOLoop, shards: Shards) -> Iterator[_rebalance.Work]:
    """What rebalance does, before it has looked at any node."""
    replicas = Replicas({name: shard.url for name, shard in shards.items()}, Ring("abc"), "")

    async def make() -> _rebalance.Work:
        return _rebalance.Work(replicas, 1e6, Progress(io.StringIO()))

    yield io_loop.run_sync(make)
    io_loop.run_sync(replicas.close)


@pytest.mark.gen_test
async def test_marks_against_nodes_of_the_ring_are_not_removed(
    shards: Shards, work: _rebalance.Work
) -> None:
    for name in "bz":
        on(shards["a"], "HSET", f"missed:{name}", "session:1", "1")
    await work._remove_marks(work._nodes[0])
    assert on(shards["a"], "KEYS", "*") == ["missed:b"]


@pytest.mark.gen_test
async def test_nothing_is_removed_until_all_nodes_are_ok(
    work: _rebalance.Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill() -> None:
        raise _rebalance.Refused("they are not")

    monkeypatch.setattr(work, "fill", fill)
    with pytest.raises(_rebalance.Refused, match="they are not"):
        await work._remove(work._nodes[0], [])


@pytest.mark.gen_test(timeout=20)
async def test_rate_is_kept(run: Run, shards: Shards) -> None:
    await filled(shards)
    began = asyncio.get_running_loop().time()
    assert (await run("rebalance", *nodes(shards), "--rate", "100")).code == 0
    assert asyncio.get_running_loop().time() - began > 2 * len(KEYS) / 100


@pytest.mark.gen_test(timeout=40)
async def test_interrupted_rebalance_goes_on_where_it_was(
    run: Run, four: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"key{number}" for number in range(300)]
    await filled(three_of(four), keys)
    command = [sys.executable, "-m", "tornado_ext.sessions.ring", "rebalance", *nodes(four)]
    with subprocess.Popen(
        [*command, "--rate", "300"], stderr=subprocess.PIPE, text=True
    ) as process:
        while "a" not in on(four["d"], "HKEYS", "filling"):  # type: ignore[operator]
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.splitlines()[1:] == [
        "python -m tornado_ext.sessions.ring: interrupted; what was done is done, and the same "
        "command goes on"
    ]
    on(four["d"], "DEL", "claim")  # or wait until it ends
    begun = []
    pages = _rebalance.PacedTransfer.pages

    def recorded(
        self: _rebalance.PacedTransfer, node: Node, cursor: str = "0"
    ) -> AsyncIterator[tuple[str, list[Key]]]:
        begun.append((node.name, cursor))
        return pages(self, node, cursor)

    monkeypatch.setattr(_rebalance.PacedTransfer, "pages", recorded)
    ended = await run("rebalance", *nodes(four), "--rate", "100000")
    assert ended.code == 0, ended
    assert begun[0] != ("a", "0")
    store = store_on(four)
    four["a"].kill()
    for key in keys[::10]:
        assert await store.load(key) == RECORD
    await store.close()


# Progress.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal() -> None:
    out = Terminal()
    with Progress(out) as progress:
        progress.begin("copying", 40)
        progress.advance(10)
        progress.end()
    first, last = out.getvalue().split("\r")[1], out.getvalue().split("\r")[-1]
    assert "[..............................] 0 keys,   0%" in first
    assert "[##############################] 10 keys, 100%, 0 s \n" in last


def test_progress_is_a_line_now_and_then_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    with Progress(out) as progress:
        progress.begin("copying", 40)
        progress.advance(1)
        monkeypatch.setattr("tornado_ext.sessions.ring._progress.SAID", 0.0)
        progress.advance(9)
    assert out.getvalue() == "copying: 0 keys,   0%, 0 s\ncopying: 10 keys,  25%, 0 s\n"
