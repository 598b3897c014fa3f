"""What each process does for the nodes: look at them, and bring up to date those that need it."""

import asyncio
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from tornado.log import app_log

from tornado_ext.sessions._sharding import scripts
from tornado_ext.sessions._sharding.node import (
    CATCHING_UP,
    MARKED,
    MOVING,
    OK,
    Key,
    Node,
    NodeFailed,
    mark_key,
)
from tornado_ext.sessions.errors import SessionCorrupt
from tornado_ext.sessions.ring import Ring

if TYPE_CHECKING:
    from tornado_ext.sessions._sharding.replicas import Replicas

INTERVAL = 1.0  # seconds between two looks at nodes that are all ok
SHORT_INTERVAL = 0.25  # seconds, while they are not
HASTE = 0.02  # seconds until the next look when something has happened
HEARD_FOR = 4.0  # seconds for which a ring is in force after a process told that it has it
CLAIM_FOR = 5.0  # seconds for which a node is claimed by a process that brings it up to date
BATCH = 32  # keys that are copied together: some milliseconds of the event loop
SCANNED = 512  # keys
KINDS = "session", "user"


class Upkeep:
    """Looks after the nodes on one event loop, once a second and when something happens."""

    def __init__(self, replicas: "Replicas", loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._replicas = replicas
        self._nodes = list(replicas.nodes.values())
        self._ring = replicas.ring.description
        self._ring_id = ""
        self._claimant = secrets.token_hex(8)
        self._timer: asyncio.TimerHandle | None = None
        self._look: asyncio.Task[None] | None = None
        self._work: asyncio.Task[None] | None = None
        self._looked: asyncio.Future[None] = loop.create_future()
        self._hurried = False
        self._told: dict[str, str] = {}  # states that were logged

    def begin(self) -> None:
        """Look at the nodes, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._look is None:
            self._look = self.loop.create_task(self._look_at_all())

    def hurry(self) -> None:
        """Look at the nodes soon: something has happened."""
        self._hurried = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self.loop.call_later(HASTE, self.begin)

    async def known(self) -> None:
        """Wait until the nodes were looked at for the first time."""
        if not self._told:
            await self.looked()

    async def looked(self) -> None:
        """Wait until the nodes were looked at once more."""
        self.hurry()
        await asyncio.shield(self._looked)

    async def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        tasks = [task for task in (self._look, self._work) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._looked.cancel()

    # Looking.

    async def _look_at_all(self) -> None:
        self._hurried = False
        try:
            await asyncio.gather(*map(self._look_at, self._nodes))
            self._judge()
        except Exception:  # whatever it is, the nodes are looked at again
            app_log.exception("the nodes of the sessions can't be judged")
        self._looked.set_result(None)
        self._looked = self.loop.create_future()
        needy = [n for n in self._nodes if n.state(self._ring) in (MARKED, CATCHING_UP, MOVING)]
        if needy and (self._work is None or self._work.done()):
            self._work = self.loop.create_task(self._bring_up_to_date(needy))
        calm = self._replicas.calm and not self._hurried
        self._look = None
        self._timer = self.loop.call_later(INTERVAL if calm else SHORT_INTERVAL, self.begin)

    async def _look_at(self, node: Node) -> None:
        others = [other.name for other in self._nodes if other is not node]
        try:
            await node.look(self._ring, others, HEARD_FOR)
        except (NodeFailed, SessionCorrupt) as exc:
            node.away = node.away or str(exc)

    def _judge(self) -> None:
        """Know the nodes by what they said of themselves and of each other."""
        markers = {node: node.marker for node in self._nodes if node.marker and not node.away}
        ids = Counter(marker.ring_id for marker in markers.values())
        self._ring_id = max(ids, key=lambda each: (ids[each], each), default=self._ring_id)
        for node in self._nodes:
            node.marks = sum(other.against.get(node.name, 0) for other in self._nodes)
            node.foreign = ""
            if (marker := markers.get(node)) is not None:
                if marker.node != node.name:
                    node.foreign = f"it holds the data of node {marker.node!r}"
                elif marker.ring_id != self._ring_id:
                    node.foreign = "it holds the data of another ring"
        described = {marker.ring for marker in markers.values()} - {self._ring}
        replicas, known = self._replicas, self._replicas.old_rings
        replicas.old_rings = {text: known.get(text) or Ring.described(text) for text in described}
        states = {node.name: node.state(self._ring) for node in self._nodes}
        replicas.calm = all(state == OK for state in states.values())
        self._log(states)

    def _log(self, states: dict[str, str]) -> None:
        for node in self._nodes:
            state = states[node.name]
            if state != self._told.get(node.name, OK):
                log = app_log.info if state == OK else app_log.warning
                log("session node %r is %s%s", node.name, state, node.why and f": {node.why}")
            self._told[node.name] = state

    # Bringing up to date.

    async def _bring_up_to_date(self, needy: list[Node]) -> None:
        for node in needy:
            try:
                await self._bring(node)
            except NodeFailed as exc:
                app_log.warning("session node %r is not up to date yet: %s", node.name, exc)
        self.hurry()

    async def _bring(self, node: Node) -> None:
        if not await self._claim(node):
            return
        try:
            if node.state(self._ring) != MARKED:
                await self._fill(node)
            await self._settle_marks(node)
        finally:
            await self._unclaim(node)

    async def _claim(self, node: Node) -> bool:
        lasts = int(CLAIM_FOR * 1000)
        return bool(await node.run(scripts.CLAIM, ["catching-up"], self._claimant, lasts))

    async def _unclaim(self, node: Node) -> None:
        await node.run(scripts.CLAIM, ["catching-up"], self._claimant, 1)

    async def _fill(self, node: Node) -> None:
        """Give a node all of its keys that others have, then its marker."""
        others = [other for other in self._nodes if other is not node]
        heard = {ring for other in self._nodes for ring in other.rings}
        if any(other.away or other.foreign for other in others) or heard != {self._ring}:
            return
        runs = {other: other.run_id for other in self._nodes}
        for other in others:
            async for keys in self._keys_for(node, other):
                await self._copy(keys, other, node)
        if all(other.run_id == run_id for other, run_id in runs.items()):
            await node.vouch(await self._ring_id_of_all(), self._ring)
            if strangers := {
                name for ring in self._replicas.old_rings.values() for name in ring.weights
            }.difference(self._replicas.nodes):
                await node.command("DEL", *map(mark_key, strangers))

    async def _ring_id_of_all(self) -> str:
        """Return the id of the ring; one of a new ring is that which the first node keeps."""
        if not self._ring_id:
            first = min(self._nodes, key=lambda node: node.name)
            await first.command("SET", "ring-id", secrets.token_hex(8), "NX")
            self._ring_id = await first.command("GET", "ring-id")
        return self._ring_id

    async def _keys_for(self, node: Node, other: Node) -> AsyncIterator[list[Key]]:
        prefix = self._replicas.prefix
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", prefix) + "*"
        cursor = "0"
        while True:
            cursor, found = await other.scan(cursor, pattern, SCANNED)
            names = [name.removeprefix(prefix) for name in found]
            keys = [Key.parsed(name) for name in names if name.split(":")[0] in KINDS]
            owned = [key for key in keys if node.name in self._replicas.ring.owners(key.hashed)]
            for first in range(0, len(owned), BATCH):
                yield owned[first : first + BATCH]
            if cursor == "0":
                return

    async def _settle_marks(self, node: Node) -> None:
        for other in self._nodes:
            if other is node or other.away or other.foreign:
                continue
            cursor = "0"
            while True:
                marks = await other.command("HSCAN", mark_key(node.name), cursor, "COUNT", BATCH)
                cursor, pairs = marks
                stamps = dict(zip(pairs[::2], pairs[1::2], strict=True))
                await self._copy([Key.parsed(name) for name in stamps], other, node)
                for name, stamp in stamps.items():
                    await other.run(scripts.UNMARK, [mark_key(node.name)], name, stamp)
                if cursor == "0":
                    break

    async def _copy(self, keys: Sequence[Key], source: Node, target: Node) -> None:
        started = time.perf_counter()
        copying = (self._replicas.copy(key, source, target) for key in keys)
        for key, result in zip(
            keys, await asyncio.gather(*copying, return_exceptions=True), strict=True
        ):
            if isinstance(result, SessionCorrupt):
                app_log.error("%s is not copied to node %r: %s", key, target.name, result)
            elif isinstance(result, BaseException):
                raise result
        await self._claim(target)
        # Half of the time is for requests.
        await asyncio.sleep(time.perf_counter() - started)
