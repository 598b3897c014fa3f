"""Bringing a node up to date: what it missed, or all that it is to have."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from tornado.log import app_log

from tornado_ext.sessions._sharding import scripts
from tornado_ext.sessions._sharding.asking import PROMPT
from tornado_ext.sessions._sharding.node import MARKED, Key, Node, NodeFailed, mark_key
from tornado_ext.sessions.errors import SessionCorrupt

if TYPE_CHECKING:
    from tornado_ext.sessions._sharding.replicas import Replicas

CLAIM_FOR = 5.0  # seconds for which a node is claimed by a process that brings it up to date
BATCH = 32  # keys that are copied together: less than a millisecond of the event loop, or of Redis
AT_ONCE = 4  # batches
SCANNED = 256  # keys
KINDS = "session", "user"

Pace = Callable[[int, float], Awaitable[None]]  # takes keys that were seen, and since when


class Transfer:
    """Copies keys between nodes, at its pace."""

    def __init__(self, replicas: "Replicas", pace: Pace) -> None:
        """Await ``pace`` after each batch."""
        self._replicas = replicas
        self._nodes = list(replicas.nodes.values())
        self._ring = replicas.ring.description
        self._pace = pace
        self._claimant = secrets.token_hex(8)
        self._numbers = count()  # of its fillings

    async def bring_up_to_date(self, node: Node, ring_id: str) -> bool:
        """Do what a node needs, unless another process does it; tell whether it was done.

        :raises NodeFailed: if it or another fails. What was done is done.
        """
        if not await self._claim(node, CLAIM_FOR):
            return False
        try:
            filled = node.state(self._ring) != MARKED and await self._fill(node, ring_id)
            return await self._settle_marks(node) > 0 or filled
        finally:
            with suppress(NodeFailed):  # it ends by itself; and who is cancelled is to end
                await self._claim(node, 0.001)

    async def _claim(self, node: Node, seconds: float) -> bool:
        lasts = int(seconds * 1000)
        return bool(await node.run(scripts.CLAIM, ["claim"], self._claimant, lasts))

    async def _fill(self, node: Node, ring_id: str) -> bool:
        """Give a node all of its keys that others have, then its marker; tell whether it has it.

        Where it stopped is kept on the node, so that another process goes on from there.
        """
        if not self._may_fill(node):
            return False
        of_these = self._of_these()
        kept = await node.command("HGETALL", "filling")
        cursors = dict(zip(kept[::2], kept[1::2], strict=True))
        plan = cursors.pop("plan", "")
        if plan.rpartition(" ")[0] != of_these:
            cursors, plan = {}, f"{of_these} {self._claimant}.{next(self._numbers)}"
            await node.command("DEL", "filling")
            await node.command("HSET", "filling", "plan", plan)
            if self._replicas.ring.replicas > 1 and any(each.marker for each in self._nodes):
                # What it took and lost is with the others by then, or is not acknowledged.
                await asyncio.sleep(PROMPT)
                if not self._may_fill(node):
                    return False
        for other in self._others(node):
            if not await self._fill_from(node, other, cursors.get(other.name, "0"), plan):
                return False
        if of_these != self._of_these():
            return False
        ring_id = ring_id or await self._new_ring_id()
        return await node.vouch(plan, ring_id, self._ring, self._epoch())

    def _others(self, node: Node) -> list[Node]:
        return [other for other in self._nodes if other is not node]

    def _may_fill(self, node: Node) -> bool:
        others = self._others(node)
        heard = {ring for each in self._nodes for ring in each.rings}
        if any(other.away or other.foreign for other in others) or heard != {self._ring}:
            return False
        # Until the others are complete, it vouches for what it has had in its ring.
        return not node.complete or all(other.complete for other in others)

    def _of_these(self) -> str:
        return " ".join([self._ring, *(node.run_id for node in self._nodes)])

    async def _fill_from(self, node: Node, other: Node, cursor: str, plan: str) -> bool:
        """Tell whether the node still has what it was filled with by this plan."""
        if cursor == "done":
            return True
        async for next_cursor, keys in self.pages(other, cursor):
            owned = [k for k in keys if node.name in self._replicas.ring.owners(k.hashed)]
            await self.copy(owned, other, [node])
            come = other.name, next_cursor or "done"
            if not await node.run(scripts.FILLED, ["filling"], plan, *come):
                return False
        return True

    async def pages(self, node: Node, cursor: str = "0") -> AsyncIterator[tuple[str, list[Key]]]:
        """Yield all keys of sessions and indexes, some at a time, each time with the next cursor.

        The last one is empty.
        """
        prefix = self._replicas.prefix
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", prefix) + "*"
        while cursor:
            cursor, found = await node.scan(cursor, pattern, SCANNED)
            cursor = "" if cursor == "0" else cursor
            names = [name.removeprefix(prefix) for name in found]
            yield cursor, [Key.parsed(name) for name in names if name.split(":")[0] in KINDS]

    async def copy(self, keys: Sequence[Key], source: Node, targets: Sequence[Node]) -> None:
        """Merge what ``source`` has of these keys into others."""
        now = asyncio.get_running_loop().time
        for first in range(0, len(keys), AT_ONCE * BATCH):
            started, some = now(), keys[first : first + AT_ONCE * BATCH]
            batches = [some[at : at + BATCH] for at in range(0, len(some), BATCH)]
            for target in targets:
                copying = (self._copy(batch, source, target) for batch in batches)
                await asyncio.gather(self._claim(target, CLAIM_FOR), *copying)
            await self._pace(len(some), started)

    async def _copy(self, batch: Sequence[Key], source: Node, target: Node) -> None:
        try:
            await self._replicas.copy_all(batch, source, target)
        except SessionCorrupt as exc:
            if len(batch) == 1:
                app_log.error("%s is not copied to node %r: %s", batch[0], target.name, exc)
            else:  # one of them: the others are copied without it
                for key in batch:
                    await self._copy([key], source, target)

    async def _settle_marks(self, node: Node) -> int:
        """Return how many marks there were."""
        settled = 0
        for other in self._nodes:
            if other is not node and not other.away and not other.foreign:
                settled += await self._settle_marks_of(node, other)
        return settled

    async def _settle_marks_of(self, node: Node, other: Node) -> int:
        cursor, settled = "", 0
        while cursor != "0":
            marks = await other.command("HSCAN", mark_key(node.name), cursor or 0, "COUNT", BATCH)
            cursor, pairs = marks
            stamps = dict(zip(pairs[::2], pairs[1::2], strict=True))
            await self.copy([Key.parsed(name) for name in stamps], other, [node])
            key = mark_key(node.name)
            await asyncio.gather(
                *(other.run(scripts.UNMARK, [key], *mark) for mark in stamps.items())
            )
            settled += len(stamps)
        return settled

    async def _new_ring_id(self) -> str:
        """Return the id of a ring that is new: the first node keeps it."""
        first = min(self._nodes, key=lambda node: node.name)
        await first.command("SET", "ring-id", secrets.token_hex(8), "NX")
        return str(await first.command("GET", "ring-id"))

    def _epoch(self) -> int:
        """Return that of the ring: one more than the last one, unless it is that of this ring."""
        markers = [node.marker for node in self._nodes if node.marker]
        last = max((marker.epoch for marker in markers), default=0)
        return last if (last, self._ring) in [(m.epoch, m.ring) for m in markers] else last + 1
