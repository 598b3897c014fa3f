"""What each process does for the nodes: look at them, and bring up to date those that need it."""

import asyncio
import math
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from tornado.log import app_log

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions._sharding.node import (
    CATCHING_UP,
    MARKED,
    MOVING,
    NO_MARKER,
    OK,
    Node,
    NodeFailed,
)
from tornado_ext.sessions._sharding.transfer import Transfer
from tornado_ext.sessions.errors import SessionCorrupt, StoreUnavailable
from tornado_ext.sessions.ring import Ring

if TYPE_CHECKING:
    from tornado_ext.sessions._sharding.replicas import Replicas

INTERVAL = 1.0  # seconds between two looks at nodes that are all ok
SHORT_INTERVAL = 0.25  # seconds, while they are not
LONGEST_PAUSE = 0.02  # seconds between two copies of some hundred keys
HASTE = 0.02  # seconds until the next look when something has happened
HEARD_FOR = 4.0  # seconds for which a ring is in force after a process told that it has it
NEEDY = MARKED, CATCHING_UP, MOVING  # who is brought up to date, in this order


class Upkeep:
    """Looks after the nodes on one event loop, once a second and when something happens."""

    def __init__(
        self,
        replicas: "Replicas",
        loop: asyncio.AbstractEventLoop,
        transfer: Transfer | None = None,
        *,
        silent: bool = False,
    ) -> None:
        """Take a `Transfer` with a pace of its own; ``silent`` is not heard of by the nodes."""
        self.loop = loop
        self._replicas = replicas
        self._nodes = list(replicas.nodes.values())
        self._ring = replicas.ring.description
        self._ring_id = ""
        self._rings = {self._ring: replicas.ring}  # by description: to make one takes milliseconds
        self._says = "" if silent else self._ring
        self._transfer = transfer or Transfer(replicas, self._half_of_the_time)
        self._timer: asyncio.TimerHandle | None = None
        self._look: asyncio.Task[None] | None = None
        self._work: asyncio.Task[None] | None = None
        self._looked: asyncio.Future[None] = loop.create_future()
        self._hurried = False
        self._told: dict[str, str] = {}  # states that were logged
        self.known_until = -math.inf  # loop time; a ring may change once it is not heard of

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

    def marks_are_newer(self) -> None:
        """Have a look that is under way forget none of the marks that are known by now."""
        self._hurried = True

    async def known(self) -> float:
        """Wait until the nodes were looked at; return until when this holds, in loop time.

        :raises StoreUnavailable: if every look takes so long that it tells nothing any more.
        """
        deadline = self.loop.time() + 2 * HEARD_FOR
        while self.loop.time() >= self.known_until:
            if self.loop.time() >= deadline:
                raise StoreUnavailable("this process is too slow to know the nodes of the sessions")
            await self.looked()
        return self.known_until

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

    async def look(self) -> None:
        """Look at every node once, and judge them."""
        before = [node.away for node in self._nodes]
        answered = await asyncio.gather(*map(self._look_at, self._nodes))
        # All at once: what one says may be against another.
        for node, away, answers in zip(self._nodes, before, answered, strict=True):
            if answers and node.away == away:  # it has not failed since it answered
                node.away = ""
        self._judge()

    async def _look_at_all(self) -> None:
        self._hurried, began = False, self.loop.time()
        try:
            await self.look()
        except Exception:  # whatever it is, the nodes are looked at again
            app_log.exception("the nodes of the sessions can't be judged")
        self.known_until = began + HEARD_FOR
        self._looked.set_result(None)
        self._looked = self.loop.create_future()
        needy = [n for state in NEEDY for n in self._nodes if n.state(self._ring) == state]
        if needy and (self._work is None or self._work.done()):
            self._work = self.loop.create_task(self._bring_up_to_date(needy))
        calm = self._replicas.calm and not self._hurried
        self._look = None
        self._timer = self.loop.call_later(INTERVAL if calm else SHORT_INTERVAL, self.begin)

    async def _look_at(self, node: Node) -> bool:
        """Learn what a node says; tell whether it answers."""
        others = [other.name for other in self._nodes if other is not node]
        try:
            against = await node.look("" if node.foreign else self._says, others, HEARD_FOR)
        except NodeFailed as exc:
            node.away = node.away or str(exc)
            return False
        except SessionCorrupt:  # it answers, with what is no marker
            node.marker = NO_MARKER
            return True
        if self._hurried:  # some may have been set after this was said
            against = {name: max(against[name], node.against.get(name, 0)) for name in others}
        node.against = against
        return True

    def _judge(self) -> None:
        """Know the nodes by what they said of themselves and of each other."""
        markers = {node: node.marker for node in self._nodes if node.marker and not node.away}
        ids = Counter(marker.ring_id for marker in markers.values())
        self._ring_id = max(ids, key=lambda each: (ids[each], each), default=self._ring_id)
        rings = self._described()
        for node in self._nodes:
            node.foreign = ""
            if (marker := markers.get(node)) is not None:
                if marker.ring not in rings:
                    node.foreign = "its marker can't be read"
                elif marker.node != node.name:
                    node.foreign = f"it holds the data of node {marker.node!r}"
                elif marker.ring_id != self._ring_id:
                    node.foreign = "it holds the data of another ring"
        ours = [node for node in self._nodes if not node.foreign]
        for node in self._nodes:
            node.marks = sum(other.against.get(node.name, 0) for other in ours)
        own = {node: marker for node, marker in markers.items() if not node.foreign}
        epoch = max((marker.epoch for marker in own.values()), default=0)
        for node, marker in own.items():
            node.outdated = marker.ring == self._ring and marker.epoch < epoch
        replicas = self._replicas
        in_force = {text for node in ours for text in said_by(node)}
        replicas.other_rings = {
            text: rings[text] for text in in_force & rings.keys() - {self._ring}
        }
        states = {node.name: node.state(self._ring) for node in self._nodes}
        replicas.calm = set(states.values()) == {OK}
        self._log(states)

    def _described(self) -> dict[str, Ring]:
        """Return the rings that nodes and processes have."""
        said = {text for node in self._nodes for text in said_by(node)}
        for text in said - self._rings.keys():
            with suppress(ValueError, ConfigurationError):
                self._rings[text] = Ring.described(text)
        return {text: self._rings[text] for text in said & self._rings.keys()}

    def _log(self, states: dict[str, str]) -> None:
        in_use = any(node.marker for node in self._nodes)  # or a ring that is made now
        for node in self._nodes:
            state = states[node.name]
            if state != self._told.get(node.name, OK):
                usual = state == OK or (state == CATCHING_UP and not in_use)
                log = app_log.info if usual else app_log.warning
                log("session node %r is %s%s", node.name, state, node.why and f": {node.why}")
            self._told[node.name] = state

    async def _bring_up_to_date(self, needy: list[Node]) -> None:
        for node in needy:
            try:
                if await self._transfer.bring_up_to_date(node, self._ring_id):
                    self.hurry()
            except NodeFailed as exc:
                app_log.warning("session node %r is not up to date yet: %s", node.name, exc)

    async def _half_of_the_time(self, _keys: int, since: float) -> None:
        """Leave as much time for requests; where others have the CPU, waiting leaves them none."""
        await asyncio.sleep(min(self.loop.time() - since, LONGEST_PAUSE))


def said_by(node: Node) -> set[str]:
    """Return the rings that a node that answers has, and has heard of."""
    if node.away:
        return set()
    return {*node.rings, node.marker.ring} if node.marker else {*node.rings}
