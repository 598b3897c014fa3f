"""What a Redis keeps, and what its commands do to that, as far as the stores need them.

Keys and values are text. Each command is a method of `Keyspace` in lower case.
"""

import fnmatch
import zlib
from collections.abc import Callable
from typing import Any

from redis.exceptions import OutOfMemoryError, ResponseError

READS = {"dbsize", "exists", "get", "hexists", "hget", "hgetall", "hlen", "hmget", "hscan", "pttl"}
READS |= {"scan", "time", "type", "zrandmember", "zrange", "zrangebyscore", "zscore"}
DENY_OOM = {"hset", "set", "zadd"}  # may need memory
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


class Status(str):
    """A status reply, which Lua has as a table."""

    __slots__ = ()


class SortedSet(dict[str, float]):
    """The scores of members."""

    def range(self) -> list[str]:
        return sorted(self, key=lambda member: (self[member], member.encode()))


Value = str | dict[str, str] | SortedSet
Dump = dict[str, tuple[Value, int]]  # what is under each key, and its PTTL
Kind = type[Any]
KINDS: dict[Kind, str] = {str: "string", dict: "hash", SortedSet: "zset"}


class Keyspace:
    """The one database of a server."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Take a clock, in seconds since the epoch."""
        self.now = now
        self.values: dict[str, Value] = {}
        self.ends: dict[str, int] = {}  # milliseconds since the epoch
        self.full = False  # has reached maxmemory, and evicts nothing
        self.run_id = "0" * 40
        self.batch = 1_000_000  # keys that one SCAN looks at, at most

    def run(self, name: str, *args: str, dirty: bool = False) -> Any:
        """Run a command, in a script that has written if it is ``dirty``; return its reply."""
        verb = name.lower()
        if self.full and not dirty and verb in DENY_OOM:
            raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
        return getattr(self, verb)(*args)

    def dump(self) -> Dump:
        """Return a copy of all that is kept, each with its PTTL."""
        return {key: (_copy(self.values[key]), self.pttl(key)) for key in self._keys()}

    def restore(self, dumped: Dump) -> None:
        """Keep what was dumped; times to live go on from there."""
        self.values, self.ends = {}, {}
        for key, (value, left) in dumped.items():
            self.values[key] = _copy(value)
            if left >= 0:
                self.pexpire(key, str(left))

    # Any key.

    def exists(self, *keys: str) -> int:
        return len([key for key in keys if self._get(key) is not None])

    def type(self, key: str) -> Status:
        value = self._get(key)
        return Status("none" if value is None else KINDS[type(value)])

    def delete(self, *keys: str) -> int:
        found = self.exists(*keys)
        for key in keys:
            self._remove(key)
        return found

    def pttl(self, key: str) -> int:
        if self._get(key) is None:
            return -2
        return self.ends[key] - self._milliseconds() if key in self.ends else -1

    def pexpire(self, key: str, left: str) -> int:
        if self._get(key) is None:
            return 0
        self.ends[key] = self._milliseconds() + int(left)
        self._get(key)
        return 1

    def dbsize(self) -> int:
        return len(self._keys())

    def scan(self, cursor: str, *options: str) -> list[Any]:
        return self._scan(self._keys(), cursor, options)

    def time(self) -> list[str]:
        micros = round(self.now() * 1_000_000)
        return [str(micros // 1_000_000), str(micros % 1_000_000)]

    # Strings.

    def get(self, key: str) -> str | None:
        return self._typed(key, str)

    def set(self, key: str, value: str, *options: str) -> Status | None:
        flags = [option.upper() for option in options]
        if "NX" in flags and self.exists(key):
            return None
        self._remove(key)
        self.values[key] = value
        if "PX" in flags:
            self.pexpire(key, options[flags.index("PX") + 1])
        return Status("OK")

    # Hashes.

    def hset(self, key: str, *pairs: str) -> int:
        if not pairs or len(pairs) % 2:
            raise ResponseError("wrong number of arguments for 'hset' command")
        fields = self._made(key, dict)
        before = len(fields)
        fields.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(fields) - before

    def hget(self, key: str, field: str) -> str | None:
        return self._hash(key).get(field)

    def hmget(self, key: str, *fields: str) -> list[str | None]:
        found = self._hash(key)
        return [found.get(field) for field in fields]

    def hdel(self, key: str, *fields: str) -> int:
        return self._drop(key, self._hash(key), fields)

    def hgetall(self, key: str) -> list[str]:
        return [part for pair in self._hash(key).items() for part in pair]

    def hlen(self, key: str) -> int:
        return len(self._hash(key))

    def hexists(self, key: str, field: str) -> int:
        return int(field in self._hash(key))

    def hscan(self, key: str, cursor: str, *options: str) -> list[Any]:
        fields = self._hash(key)
        at, found = self._scan(list(fields), cursor, options)
        return [at, [part for name in found for part in (name, fields[name])]]

    # Sorted sets.

    def zadd(self, key: str, *args: str) -> int:
        if args[0] == "XX":  # of members that are there: of none, as the scripts use it
            return 0
        higher = args[0] == "GT"
        pairs = args[higher:]
        scores = self._made(key, SortedSet)
        before = len(scores)
        for text, member in zip(pairs[::2], pairs[1::2], strict=True):
            score = float(text)
            scores[member] = max(score, scores.get(member, score)) if higher else score
        return len(scores) - before

    def zrem(self, key: str, *members: str) -> int:
        return self._drop(key, self._sorted(key), members)

    def zrange(self, key: str, first: str, last: str, *options: str) -> list[str]:
        scores, end = self._sorted(key), int(last) + 1
        found = scores.range()[int(first) : end or None]
        if "WITHSCORES" not in [option.upper() for option in options]:
            return found
        return [part for member in found for part in (member, _number(scores[member]))]

    def zscore(self, key: str, member: str) -> str | None:
        score = self._sorted(key).get(member)
        return None if score is None else _number(score)

    def zrangebyscore(self, key: str, first: str, last: str) -> list[str]:
        scores = self._sorted(key)
        return [one for one in scores.range() if float(first) <= scores[one] <= float(last)]

    def zremrangebyscore(self, key: str, first: str, last: str) -> int:
        return self.zrem(key, *self.zrangebyscore(key, first, last))

    def zrandmember(self, key: str, count: str) -> list[str]:
        return self._sorted(key).range()[: int(count)]  # any will do

    # What they share.

    def _milliseconds(self) -> int:
        return int(self.now() * 1000)

    def _get(self, key: str) -> Value | None:
        if key in self.ends and self.ends[key] <= self._milliseconds():
            self._remove(key)
        return self.values.get(key)

    def _keys(self) -> list[str]:
        return [key for key in list(self.values) if self._get(key) is not None]

    def _remove(self, key: str) -> None:
        self.values.pop(key, None)
        self.ends.pop(key, None)

    def _typed(self, key: str, kind: Kind) -> Any:
        value = self._get(key)
        if value is not None and type(value) is not kind:
            raise ResponseError(WRONG_TYPE)
        return value

    def _hash(self, key: str) -> dict[str, str]:
        return self._typed(key, dict) or {}

    def _sorted(self, key: str) -> SortedSet:
        return self._typed(key, SortedSet) or SortedSet()

    def _made(self, key: str, kind: Kind) -> Any:
        if (value := self._typed(key, kind)) is None:
            value = self.values[key] = kind()
        return value

    def _drop(self, key: str, held: dict[str, Any], names: tuple[str, ...]) -> int:
        before = len(held)
        for name in names:
            held.pop(name, None)
        if not held:
            self._remove(key)
        return before - len(held)

    def _scan(self, names: list[str], cursor: str, options: tuple[str, ...]) -> list[Any]:
        """Go through names in the order of a hash of them: who comes late may be passed over."""
        told = dict(zip((word.upper() for word in options[::2]), options[1::2], strict=True))
        count = min(int(told.get("COUNT", "10")), self.batch)
        left = sorted((place, name) for name in names if (place := _place(name)) > int(cursor))
        part, rest = left[:count], left[count:]
        part += [pair for pair in rest if pair[0] == part[-1][0]]
        pattern = told.get("MATCH", "*")
        found = [name for _, name in part if fnmatch.fnmatchcase(name, pattern)]
        return [str(part[-1][0]) if len(part) < len(left) else "0", found]


setattr(Keyspace, "del", Keyspace.delete)  # which is no name in Python


def _place(name: str) -> int:
    return zlib.crc32(name.encode()) + 1


def _number(score: float) -> str:
    return f"{score:.17g}"


def _copy(value: Value) -> Value:
    return value if isinstance(value, str) else type(value)(value)
