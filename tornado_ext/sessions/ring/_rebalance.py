"""Giving every node of a ring what it owns, and no more."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from tornado_ext.errors import TornadoExtError
from tornado_ext.sessions._sharding import upkeep as timing
from tornado_ext.sessions._sharding.node import (
    AWAY,
    FOREIGN,
    OK,
    Key,
    Node,
    NodeFailed,
    mark_key,
)
from tornado_ext.sessions._sharding.replicas import Replicas
from tornado_ext.sessions._sharding.transfer import KINDS, SCANNED, Transfer
from tornado_ext.sessions._sharding.upkeep import Upkeep
from tornado_ext.sessions.ring._progress import Progress
from tornado_ext.sessions.ring._status import other_rings, states_of, words
from tornado_ext.sessions.scripts import NOW

ATTEMPTS = 3  # to remove copies
LOOKED = 0.1  # seconds between two looks at how far other processes are
MARKS = mark_key("")

# KEYS: a copy on a node that does not own it, the marker, the rings. ARGV: this ring, and
# for how long others are remembered. Removes the copy if the node is of this ring and has heard of
# no other: who has another waits for as long before any node is complete in it. Returns 1 if it was
# removed, 0 if it is no copy, -1 if another ring was heard of.
REMOVE = (
    NOW
    + """
local heard = redis.call('ZRANGEBYSCORE', KEYS[3], now - ARGV[2], '+inf')
if #heard ~= 1 or heard[1] ~= ARGV[1] or redis.call('HGET', KEYS[2], 'ring') ~= ARGV[1] then
  return -1
end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'zset' then return redis.call('DEL', KEYS[1]) end
if kind ~= 'hash' then return 0 end
for _, name in ipairs({'made', 'gone'}) do
  if redis.call('HEXISTS', KEYS[1], name) == 1 then return redis.call('DEL', KEYS[1]) end
end
return 0
"""
)


class Refused(TornadoExtError):
    """The ring is in no state for it. The message says what is to be done first."""


async def rebalance(
    replicas: Replicas, leaving: Sequence[Node], rate: float, progress: Progress
) -> int:
    """Copy what nodes lack, then remove copies from nodes that do not own them; return how many.

    :arg leaving: nodes that are not in the ring any more, to give what they have to the others.
    :arg rate: keys to go through in a second, at most.
    :raises Refused: if a node is away, foreign or full, or processes have another ring.
    :raises NodeFailed: if a node fails meanwhile. What was done is done.
    """
    await states_of(replicas)
    refuse(replicas)
    work = Work(replicas, rate, progress)
    try:
        for node in leaving:
            await work.empty(node)
        await work.fill()
        return await work.remove_strays()
    finally:
        await work.close()


def refuse(replicas: Replicas) -> None:
    """Raise `Refused` if nothing may be done."""
    for name, node in replicas.nodes.items():
        state = node.state(replicas.ring.description)
        if state in (AWAY, FOREIGN) or node.full:
            raise Refused(f"node {name!r} is {state}: {node.why}")
    for ring in other_rings(replicas):
        raise Refused(
            f"processes have another ring ({words(ring)}): restart them with this one first"
        )


class PacedTransfer(Transfer):
    """Goes through so many keys in a second, and tells how far it is."""

    def __init__(self, replicas: Replicas, rate: float, progress: Progress) -> None:
        super().__init__(replicas, self.keep_rate)
        self._rate = rate
        self._progress = progress

    async def pages(self, node: Node, cursor: str = "0") -> AsyncIterator[tuple[str, list[Key]]]:
        """Yield keys as `Transfer` does, and go on when it is time."""
        started = asyncio.get_running_loop().time()
        async for next_cursor, keys in super().pages(node, cursor):
            yield next_cursor, keys
            self._progress.advance(len(keys))
            await self.keep_rate(len(keys), started)
            started = asyncio.get_running_loop().time()

    async def keep_rate(self, keys: int, since: float) -> None:
        """Wait until so many keys may have been gone through."""
        await asyncio.sleep(since + keys / self._rate - asyncio.get_running_loop().time())


class Work:
    """What is done to the nodes, while they are looked at as each process does."""

    def __init__(self, replicas: Replicas, rate: float, progress: Progress) -> None:
        self._replicas = replicas
        self._nodes = list(replicas.nodes.values())
        self._ring = replicas.ring.description
        self._progress = progress
        self._transfer = PacedTransfer(replicas, rate, progress)
        self._upkeep = Upkeep(replicas, asyncio.get_running_loop(), self._transfer)

    async def close(self) -> None:
        """Look no more."""
        await self._upkeep.close()

    async def empty(self, node: Node) -> None:
        """Give the nodes of the ring what one that has left it has; it counts as new after that.

        Where this stopped is kept on that node.
        """
        await node.look("", (), timing.HEARD_FOR)
        ids = {other.marker.ring_id for other in self._nodes if other.marker}
        marker = node.marker
        if marker is None or marker.node != node.name or marker.ring_id not in ids:
            raise Refused(
                f"--from: {node.name!r} holds nothing of a node {node.name!r} of this ring"
            )
        plan = f"{self._ring} {node.run_id}"
        kept = await node.command("HMGET", "leaving", "plan", "cursor")
        self._progress.begin(f"copying from {node.name}", await node.size())
        async for cursor, keys in self._transfer.pages(node, kept[1] if kept[0] == plan else "0"):
            for owners, group in self._by_owners(keys).items():
                await self._transfer.copy(group, node, [self._replicas.nodes[n] for n in owners])
            with suppress(NodeFailed):  # it may be full
                await node.command("HSET", "leaving", "plan", plan, "cursor", cursor or "0")
        for key in ("ring", "leaving"):
            await node.command("DEL", key)
        self._progress.end()

    def _by_owners(self, keys: Sequence[Key]) -> dict[tuple[str, ...], list[Key]]:
        groups = defaultdict(list)
        for key in keys:
            groups[self._replicas.ring.owners(key.hashed)].append(key)
        return groups

    async def fill(self) -> None:
        """Bring all nodes up to date, or wait while other processes do that."""
        self._upkeep.begin()
        await self._upkeep.looked()
        needy = [node for node in self._nodes if node.state(self._ring) != OK]
        if not needy:
            return
        sizes = [await size_of([n for n in self._nodes if n is not node]) for node in needy]
        self._progress.begin("copying to those that lack", sum(sizes))
        while any(node.state(self._ring) != OK for node in self._nodes):
            await self._check()
            self._progress.advance(0)
            await asyncio.sleep(LOOKED)
        self._progress.end()

    async def _check(self) -> None:
        """Raise `Refused` if a node stays away, or another ring was heard of."""
        try:
            refuse(self._replicas)
        except Refused:
            await self._upkeep.looked()
            await self._upkeep.looked()  # the first may have been under way
            refuse(self._replicas)

    async def remove_strays(self) -> int:
        """Remove copies from nodes that do not own them, and marks against nodes that are gone."""
        await asyncio.sleep(timing.HEARD_FOR)  # until every process knows that all are complete
        removed = 0
        self._progress.begin("removing other copies", await size_of(self._nodes))
        for node in self._nodes:
            async for _, keys in self._transfer.pages(node):
                strays = [k for k in keys if node.name not in self._replicas.ring.owners(k.hashed)]
                removed += await self._remove(node, strays)
            await self._remove_marks(node)
        self._progress.end()
        return removed

    async def _remove(self, node: Node, keys: Sequence[Key]) -> int:
        if any(other.state(self._ring) != OK for other in self._nodes):
            await self.fill()
        args = self._ring, int(timing.HEARD_FOR * 1000)
        removed = 0
        for _ in range(ATTEMPTS):
            removing = (node.run(REMOVE, [str(key), "ring", "rings"], *args) for key in keys)
            results: list[int] = await asyncio.gather(*removing)
            removed += results.count(1)
            if -1 not in results:
                return removed
            await self._upkeep.looked()  # this one may not have been heard of for a while
            refuse(self._replicas)
        raise Refused(f"node {node.name!r} has heard of another ring: nothing more is removed")

    async def _remove_marks(self, node: Node) -> None:
        cursor = "0"
        while True:
            cursor, found = await node.scan(cursor, f"*{MARKS}*", SCANNED)
            for name in (each.removeprefix(self._replicas.prefix) for each in found):
                if name.startswith(MARKS) and name[len(MARKS) :] not in self._replicas.nodes:
                    _, marks = await node.command("HSCAN", name, 0, "COUNT", 1)
                    if marks and marks[0].split(":")[0] in KINDS:
                        await node.command("DEL", name)
            if cursor == "0":
                return


async def size_of(nodes: Sequence[Node]) -> int:
    """Return how many keys these have."""
    return sum([await node.size() for node in nodes])
