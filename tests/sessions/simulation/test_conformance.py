"""The simulation's Redis does what a real one does with what the store sends to it."""

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import ResponseError

from tests.sessions.simulation.exploring import random_run
from tests.sessions.simulation.keyspace import Keyspace
from tests.sessions.simulation.lua import digest
from tests.sessions.simulation.network import SCRIPTS, TEXTS, Node
from tests.sessions.simulation.stand_ins import simulated
from tornado_ext.sessions._sharding import scripts
from tornado_ext.sessions.ring import _rebalance
from tornado_ext.testing import RedisServer

Command = tuple[str, ...]

RUNS = 100
COMMANDS = 1000
SHORT = {"5000": "5000000"}  # milliseconds, in place of what a busy machine may take for a test
MOMENT = "1"  # milliseconds
LATE = 30_000  # milliseconds by which the real one may be behind
# In an order of its own; and with keys that have ended, until it happens to look at them.
ANYHOW = "SCAN", "HSCAN", "DBSIZE"
# What is not the same each time.
FIXED = """
local real = redis
local redis = setmetatable({call = function(name, key, ...)
  if name == 'TIME' then return {'%d', '%d'} end
  if name == 'ZRANDMEMBER' then return real.call('ZRANGE', key, 0, ... - 1) end
  return real.call(name, key, ...)
end}, {__index = real})
"""
KEYS, FIELDS, NUMBERS = ["h", "z", "s"], ["f", "g", "h"], ["0", "1", "20", "-3"]
RAW = {  # a command, and what to take each of its arguments from
    "EXISTS": [KEYS], "DEL": [KEYS], "TYPE": [KEYS], "PTTL": [KEYS], "GET": [["s", "h"]],
    "PEXPIRE": [KEYS, ["100000", "0", "-1"]], "SET": [KEYS, FIELDS, ["NX"], ["PX"], ["90000"]],
    "HSET": [KEYS, FIELDS, FIELDS + NUMBERS], "HGET": [KEYS, FIELDS], "HDEL": [KEYS, FIELDS],
    "HMGET": [KEYS, FIELDS, FIELDS], "HGETALL": [KEYS], "HLEN": [KEYS], "HEXISTS": [KEYS, FIELDS],
    "ZADD": [KEYS, ["GT"], NUMBERS, FIELDS], "ZREM": [KEYS, FIELDS],
    "ZRANGE": [KEYS, NUMBERS, NUMBERS, ["WITHSCORES"]], "ZSCORE": [KEYS, FIELDS],
    "ZREMRANGEBYSCORE": [KEYS, ["-inf"], NUMBERS], "ZRANGEBYSCORE": [KEYS, NUMBERS, ["+inf"]],
}  # fmt: skip
READING = {
    "hash": ["HGETALL"],
    "string": ["GET"],
    "zset": ["ZRANGE", "0", "-1", "WITHSCORES"],
}


class Both:
    """A simulated Redis and a real one, which are sent the same."""

    def __init__(self, server: RedisServer) -> None:
        self._now = time.time()
        self._simulated = Keyspace(lambda: self._now)
        self._real = redis.Connection(port=server.port, decode_responses=True, protocol=2)
        self._ask("FLUSHALL")
        self._ask("CONFIG", "SET", "hash-max-listpack-entries", "10000")  # these keep their order
        self._ask("CONFIG", "SET", "hash-max-listpack-value", "10000")

    def full(self, is_full: bool) -> None:
        self._simulated.full = is_full
        self._ask("CONFIG", "SET", "maxmemory", "1" if is_full else "0")

    def send(self, command: Command) -> tuple[Any, Any]:
        """Return what each of them answers."""
        verb, *args = command
        self._now = time.time()
        if verb != "EVALSHA":
            return _result(self._simulated.run, verb, *args), self._ask(*command)
        text, count = TEXTS[args[0]], int(args[1])
        keys, argv = args[2 : 2 + count], args[2 + count :]
        seconds, micros = self._simulated.time()
        fixed = FIXED % (int(seconds), int(micros)) + text
        reply = _result(SCRIPTS.run, self._simulated, text, keys, *argv)
        return reply, self._ask("EVAL", fixed, str(count), *keys, *argv)

    def contents(self) -> tuple[Any, Any]:
        """Return what each of them keeps."""
        self._now = time.time()
        kept = {}
        for key in self._ask("KEYS", "*"):
            kind = self._ask("TYPE", key)
            verb, *args = READING[kind]
            kept[key] = self._ask(verb, key, *args), self._ask("PTTL", key)
            assert kept[key][0] == self._simulated.run(verb, key, *args)
        return {key: left for key, (_, left) in self._simulated.dump().items()}, {
            key: left for key, (_, left) in kept.items()
        }

    def _ask(self, *command: str) -> Any:
        self._real.send_command(*command)
        return _result(self._real.read_response)


def _result(do: Any, *args: Any) -> Any:
    try:
        return do(*args)
    except ResponseError as exc:
        return type(exc)


def agree(one: Any, other: Any) -> bool:
    """Tell whether replies are the same, but for the time that a key has left."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, int) and isinstance(other, int):
        return one == other or (min(one, other) > 1000 and abs(one - other) < LATE)
    return bool(one == other)


@pytest.fixture
def both(redis_server: RedisServer, redis_url: str) -> Iterator[Both]:  # which has it run
    both = Both(redis_server)
    yield both
    both.full(False)


def recorded(needed: set[str]) -> list[Command]:
    """Return what nodes were sent, in as many runs as send all of these scripts."""
    sent: list[Command] = []
    with simulated() as patch:
        run = Node.run

        def record(self: Node, args: Command) -> Any:
            if args[0] not in ANYHOW:
                sent.append(tuple(SHORT.get(arg, arg) for arg in args))
            return run(self, args)

        patch.setattr(Node, "run", record)
        for seed in range(RUNS):
            random_run(seed).failure()
            if needed <= {args[1] for args in sent if args[0] == "EVALSHA"}:
                return sent
    raise AssertionError("some scripts were never sent")


def test_what_the_store_sends_has_the_same_replies_and_leaves_the_same(both: Both) -> None:
    chance = random.Random(1)
    names = {**vars(scripts), **vars(_rebalance)}
    texts = [text for name, text in names.items() if name.isupper() and name[0] != "_"]
    sent = recorded({digest(text) for text in texts if "KEYS[" in str(text)})
    for number in range(COMMANDS):
        if number % 50 == 0:
            both.full(chance.random() < 0.2)
        command = chance.choice(sent)
        one, other = both.send(command)
        if command[-1] == MOMENT:
            time.sleep(0.005)  # for which it was to be kept, and a little more
        assert agree(one, other), (command, one, other)
    one, other = both.contents()
    assert one.keys() == other.keys()


def test_commands_have_the_same_replies_and_leave_the_same(both: Both) -> None:
    chance = random.Random(1)
    for _ in range(COMMANDS):
        verb = chance.choice(list(RAW))
        command = (verb, *map(chance.choice, RAW[verb]))
        one, other = both.send(command)
        assert agree(one, other), (command, one, other)
    one, other = both.contents()
    assert one.keys() == other.keys()


def test_a_scan_finds_what_is_there(both: Both) -> None:
    keyspace = Keyspace(time.time)
    keyspace.batch = 3
    for number in range(20):
        keyspace.hset("h", f"f{number}", "v")
        keyspace.set(f"k{number}", "v")
    cursor, found = "0", []
    while cursor != "0" or not found:
        cursor, part = keyspace.scan(cursor, "MATCH", "k*", "COUNT", "5")
        found += part
        keyspace.delete("k19")
    assert {*found} >= {f"k{number}" for number in range(19)}
