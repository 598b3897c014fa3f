"""A server of the ring, and what this process knows of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, NamedTuple

from tornado_ext._redis import RedisServer
from tornado_ext.sessions._sharding import scripts
from tornado_ext.sessions.errors import SessionCorrupt, StoreTimeout, StoreUnavailable

OK, MARKED, CATCHING_UP, MOVING = "ok", "marked", "catching up", "moving"
AWAY, FOREIGN = "away", "foreign"


class Key(NamedTuple):
    """What is kept on several nodes: a session, or the index of a user."""

    kind: str
    hashed: str  # where it is on the ring

    def __str__(self) -> str:
        """Return it as marks name it."""
        return f"{self.kind}:{self.hashed}"

    @classmethod
    def parsed(cls, text: str) -> "Key":
        """Return what ``str`` has made of a key."""
        return cls(*text.split(":", 1))


class Write(NamedTuple):
    """What scripts that write have in common."""

    key: Key
    stamp: str
    ttl: int  # milliseconds


@dataclass(frozen=True, slots=True)
class Marker:
    """What a node says of itself: when it was complete last, it was ``run``, of ``ring``."""

    node: str
    ring_id: str
    run_id: str
    ring: str  # its description
    epoch: int  # how many rings came before that one
    filling: str  # the last one that gave it what it had lost; each has a name of its own

    @classmethod
    def read(cls, said: Mapping[str, str]) -> "Marker":
        """Return the marker in a hash; one of no ring if it is none."""
        epoch = said.get("epoch", "")
        if not epoch.isdecimal():
            return NO_MARKER
        texts = {
            name: said.get(name, "") for name in ("node", "ring_id", "run_id", "ring", "filling")
        }
        return cls(epoch=int(epoch), **texts)


NO_MARKER = Marker("", "", "", "", 0, "")


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """How a node of a `ShardedRedisStore` is, in the eyes of this process."""

    state: str
    """One of those that docs/sharding.md lists: ``ok``, ``marked``, ``away``, ..."""
    why: str
    """What is wrong, in words; empty if there is nothing to say."""
    evicts: str
    """The ``maxmemory-policy`` by which it drops sessions when it is full; empty if it does not."""


class NodeFailed(StoreUnavailable):
    """A node did not take a command; if it was sent, it may still be carried out."""


class NodeFull(NodeFailed):
    """A node has no memory for what it was to keep; it is not away."""


class Node:
    """One Redis server. What fails on it, other than for lack of memory, makes it away."""

    def __init__(self, name: str, url: str, prefix: str, changed: Callable[[], None]) -> None:
        """Take a name and a URL; ``changed`` is called when there is something to look at."""
        self.name = name
        self.server = RedisServer(url, f"nodes[{name!r}]", self._connected)
        self.away = "not asked yet"  # why it is, or ''
        self.foreign = ""  # why it is, or ''
        self.full = False  # it takes nothing new
        self.outdated = False  # it has this ring from before other nodes had another one
        self.marker: Marker | None = None
        self.rings: tuple[str, ...] = ()  # that processes have told it they have
        self.against: dict[str, int] = {}  # how many marks it has against each other node
        self.marks = 0  # that other nodes have against it
        self.run_id = ""
        self._prefix = prefix
        self._changed = changed

    def __repr__(self) -> str:
        return f"<Node {self.name!r} at {self.server.name}: {self.why or 'answers'}>"

    @property
    def complete(self) -> bool:
        """True if it has lost nothing that it was given."""
        known = self.marker is not None and self.marker.run_id == self.run_id
        return known and not self.foreign and not self.outdated

    @property
    def trusted(self) -> bool:
        """True if it also was given everything."""
        return not self.away and not self.marks and self.complete

    def state(self, ring: str) -> str:
        """Return its state in a process whose ring has this description."""
        if self.away or self.foreign:
            return AWAY if self.away else FOREIGN
        if not self.complete:
            return CATCHING_UP
        if self.marks:
            return MARKED
        return OK if self.marker is None or self.marker.ring == ring else MOVING

    @property
    def why(self) -> str:
        """Why it is in this state, where there is something to say."""
        if self.away or self.foreign:
            return self.away or self.foreign
        if self.outdated:
            return "it was out of the ring, and is in it again"
        if not self.complete:
            return "it was restarted" if self.marker else "it is new, or came back empty"
        if self.full:
            return "it is out of memory"
        return f"{self.marks} marks against it" if self.marks else ""

    # Commands. All raise NodeFailed, but for a key that holds something else: SessionCorrupt.

    async def command(self, verb: str, key: str, *args: str | float) -> Any:
        """Return the reply to a command on one key."""
        return await self._call(self.server.ask, verb, self._prefix + key, *args)

    async def scan(self, cursor: str, pattern: str, count: int) -> tuple[str, list[str]]:
        """Return the next cursor, and some keys with the prefix."""
        reply = await self._call(self.server.ask, "SCAN", cursor, "MATCH", pattern, "COUNT", count)
        return reply[0], reply[1]

    async def size(self) -> int:
        """Return how many keys it has, with any prefix."""
        return int(await self._call(self.server.ask, "DBSIZE"))

    async def memory(self) -> dict[str, str]:
        """Return what it says of its memory, by name."""
        lines = str(await self._call(self.server.ask, "INFO", "memory")).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def ask(self, verb: str, key: str, *args: str | float) -> "asyncio.Future[Any]":
        """Return the future of a reply; this and it may raise what `failure` knows."""
        return self.server.ask(verb, self._prefix + key, *args)

    async def run(self, script: str, keys: Sequence[str], *args: str | float) -> Any:
        """Return what a script returns."""
        prefixed = [self._prefix + key for key in keys]
        return await self._call(self.server.script, script, prefixed, *args)

    async def _call(self, ask: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        try:
            return await ask(*args)
        except Exception as exc:
            raise self.failure(exc) from exc

    async def write(
        self, script: str, write: Write, marks: Sequence[str], *args: str | float
    ) -> Any:
        """Run one of the scripts that write, and set marks against these nodes with it."""
        keys = [str(write.key), *map(mark_key, marks)]
        return await self.run(script, keys, write.ttl, str(write.key), write.stamp, *args)

    async def mark(self, write: Write, nodes: Sequence[str]) -> None:
        """Remember that ``nodes`` did not take a write that this one took."""
        keys = [mark_key(node) for node in nodes]
        await self.run(scripts.MARK, keys, write.ttl, str(write.key), write.stamp)

    def failure(self, exc: Exception) -> Exception:
        """Return the error of ours for one of a command, and know the node by it."""
        if isinstance(exc, UnicodeDecodeError) or "WRONGTYPE" in str(exc):
            return SessionCorrupt(f"node {self.name!r} holds what is no session's copy: {exc}")
        if "command not allowed when used memory" in str(exc):
            return NodeFull(f"node {self.name!r} is out of memory")
        known, self.away = self.away, str(exc) or repr(exc)
        if not known:
            self._changed()
        timeout = isinstance(exc, (TimeoutError, StoreTimeout))
        verb = "did not answer in time" if timeout else f"failed: {exc}"
        return NodeFailed(f"node {self.name!r} {verb}")

    async def health(self, ring: str) -> NodeHealth:
        """Return its state and, if it answers, its eviction policy."""
        policy = ""
        with suppress(NodeFailed):
            policy = (await self.memory())["maxmemory_policy"].replace("noeviction", "")
        return NodeHealth(self.state(ring), self.why, policy)

    def _connected(self, run_id: str) -> None:
        if run_id != self.run_id:
            self.run_id = run_id
            self._changed()

    async def look(self, ring: str, others: Sequence[str], heard_for: float) -> dict[str, int]:
        """Learn what it says of itself; return how many marks it has against other nodes."""
        keys = ["ring", "rings", *map(mark_key, others)]
        marker, rings, marks, full = await self.run(scripts.LOOK, keys, ring, int(heard_for * 1000))
        said = dict(zip(marker[::2], marker[1::2], strict=True))
        self.marker = Marker.read(said) if said else None
        self.rings = tuple(rings)
        self.full = bool(full)
        return dict(zip(others, marks, strict=True))

    async def filling(self) -> str:
        """Return after which filling it has lost nothing, by what it says now."""
        return str(await self.command("HGET", "ring", "filling") or "")

    async def vouch(self, plan: str, ring_id: str, ring: str, epoch: int) -> bool:
        """Write the marker of a node that was filled by this plan; tell whether it still has it."""
        kept = self.marker.filling if self.marker and self.complete else ""
        filling = kept or plan.rpartition(" ")[2]
        said = asdict(Marker(self.name, ring_id, self.run_id, ring, epoch, filling))
        marker = chain.from_iterable(said.items())
        return bool(await self.run(scripts.VOUCH, ["ring", "filling"], plan, *marker))


def mark_key(node: str) -> str:
    """Return where marks against a node are."""
    return f"missed:{node}"
