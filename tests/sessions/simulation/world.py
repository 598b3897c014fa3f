"""Processes that run the real store, and their nodes, in a time and an order that are chosen."""

import asyncio
import contextvars
import math
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tests.sessions.simulation.clockwork import Loop
from tests.sessions.simulation.deeds import Deeds
from tests.sessions.simulation.history import Broken, Deed, Session
from tests.sessions.simulation.keyspace import Dump
from tests.sessions.simulation.network import EPOCH, Connection, Node, Server
from tornado_ext.sessions._sharding.copies import copy_of, record_of
from tornado_ext.sessions.codec import key_of
from tornado_ext.sessions.ring import Ring
from tornado_ext.sessions.sharded import ShardedRedisStore

Step = tuple[Any, ...]  # the name of a method of `World` or `Deeds`, and its arguments
Choose = Callable[[int], int]  # one of so many

MOMENT = 1e-5  # seconds that every move takes
UNHURRIED = 0.05  # seconds that a command may be on its way where nothing is wrong
KNOWN_AFTER = 1.5  # seconds in which every process learns what another has seen
KEPT_KEYS = "ring", "ring-id"  # of a node that has become one of a ring
PATIENCE = 30.0  # seconds in which all is well again

PROCESS: "contextvars.ContextVar[Process]" = contextvars.ContextVar("process")


class Process:
    """A process that runs the store."""

    def __init__(self, world: "World", ring: Iterable[str], skew: float) -> None:
        self.world, self.ring, self.skew = world, "".join(ring), skew
        self.alive = True
        self.servers: list[Server] = []  # the store's first
        self.running: set[asyncio.Task[None]] = set()
        self.context = contextvars.copy_context()
        self.store = self.context.run(self._make_store)

    def _make_store(self) -> ShardedRedisStore:
        PROCESS.set(self)
        return ShardedRedisStore({name: name for name in self.ring})

    def server(self, url: str, _argument: str, on_connect: Callable[[str], None]) -> Server:
        """Return what the store takes for a Redis server."""
        self.servers.append(Server(self.world.nodes[url], on_connect))
        return self.servers[-1]

    def server_at(self, name: str) -> Server | None:
        """Return that of the store at a node, if its ring has that."""
        return next((server for server in self.servers if server.node.name == name), None)

    def begin(self, deed: Coroutine[Any, Any, None]) -> None:
        task = self.world.loop.create_task(deed, context=self.context)
        self.running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self.running.discard(task)
        if self.alive and not task.cancelled() and (error := task.exception()) is not None:
            self.world.errors.append(error)

    def die(self) -> None:
        """Do nothing more; what was sent is on its way."""
        self.alive = False
        self.world.orphans |= asyncio.all_tasks(self.world.loop)  # destroyed where they are ended
        self.running.clear()
        for server in self.servers:
            server.alive = False


class World:
    """Takes steps: those that are methods of `Deeds` are done by a process."""

    def __init__(
        self,
        choose: Choose,
        *,
        nodes: str = "abcd",
        ring: str = "abc",
        skews: Sequence[float] = (0,),
        data: Mapping[str, Dump] | None = None,
    ) -> None:
        """Begin with the data of nodes that have been a ring, or with none."""
        self.choose = choose
        self.orderly = False  # what serves no deed comes first, and time goes on only if it must
        self.chance = random.Random(1)
        self.loop = Loop()
        self.nodes = {name: Node(name, self.loop) for name in nodes}
        for name, dump in (data or {}).items():
            self.nodes[name].keyspace.restore(dump)
        self.rings = [ring]  # in force, perhaps; all processes go to the last one
        self.disturbed = dict.fromkeys(nodes, -KNOWN_AFTER)  # when each was last not well
        self.errors: list[BaseException] = []
        self.deeds = 0
        self.sessions: dict[str, Session] = {}
        self.revoked: dict[str | None, list[Deed]] = {}  # by user
        self.trace: list[str] = []
        self.taken_at = 0.0  # when the last step was taken
        self.orphans: set[asyncio.Task[Any]] = set()
        self.leaving: list[Process] = []
        self.processes: list[Process] = []
        self.processes += [self._process(ring, skew) for skew in skews]

    def time(self) -> float:
        return EPOCH + self.loop.time()

    # Running.

    def play(self, steps: Iterable[Step]) -> None:
        """Take the steps, in order; raise `Broken` if the store does what it may not."""
        with self.loop.running():
            self._play(steps)

    def _play(self, steps: Iterable[Step]) -> None:
        left, since = deque(steps), self.loop.time()
        self.loop.run_ready()
        while left or self.busy():
            ready = list(self._deliverable())
            if self.orderly and (upkeep := [one for one in ready if one.sent[0].is_upkeep]):
                self._move([upkeep[0].deliver])
                continue
            moves: list[Callable[[], None]] = [one.deliver for one in ready]
            if left and self.may(left[0]):
                moves.append(lambda: self._take(left.popleft()))
                since = self.loop.time()
            elif self.loop.time() > since + PATIENCE:
                raise Broken(f"nothing becomes of {left[0] if left else 'the last steps'}")
            if not moves or (not self.orderly and self._may_wait(ready)):
                moves.append(self._wait)
            self._move(moves)

    def end(self) -> None:
        """Do nothing more, whatever is still under way."""
        for process in self.processes + self.leaving:
            process.die()
        for task in self.orphans:
            task.cancel()
        with self.loop.running():
            self.loop.run_ready()

    def busy(self) -> bool:
        return any(process.running for process in self.processes + self.leaving)

    def _move(self, moves: Sequence[Callable[[], None]]) -> None:
        moves[self.choose(len(moves)) if len(moves) > 1 else 0]()
        self.loop.advance(self.loop.time() + MOMENT)
        self.loop.run_ready()
        for error in self.errors:
            raise error

    def _deliverable(self) -> Iterator[Connection]:
        for node in self.nodes.values():
            for connection in node.connections:
                if connection.can_deliver:
                    yield connection

    def _may_wait(self, ready: Sequence[Connection]) -> bool:
        """Tell whether the clock may go on to the next timer: nothing may be late for it."""
        due = self.loop.next_timer()
        sent = [one.waited_for_since for one in ready]
        return due is not None and due < min(sent, default=math.inf) + UNHURRIED

    def _wait(self) -> None:
        due = self.loop.next_timer()
        if due is None:
            raise Broken("nobody does anything")
        for name in self.rings[0]:
            if not self._complete(self.nodes[name]):
                self._disturb(name)
        self.loop.advance(due)

    def _take(self, step: Step) -> None:
        self.taken_at = self.loop.time()
        self.trace.append(f"{self.taken_at:.3f} {step}")
        name, *args = step
        if hasattr(self, name):
            getattr(self, name)(*args)
        else:
            at, *rest = args
            process = self.processes[at]
            process.begin(getattr(Deeds(self, process), name)(*rest))

    # The guarantee: one node is away at a time, and one change of the ring is under way.

    def may(self, step: Step) -> bool:
        """Tell whether a step is within the guarantee now; else it has to wait."""
        name, *args = step
        if name in ("kill", "freeze", "fill", "lag", "cut"):
            return self._well(but=args[0]) and (self._one_ring() or not self._shrinks())
        if name == "replace" and args[1] != self.rings[-1]:
            return self._one_ring() and (len(args[1]) > len(self.rings[-1]) or self._well())
        if name == "settle":
            return not self.busy() and self._one_ring() and self._well()
        if name == "after":
            return self.loop.time() >= self.taken_at + args[0]
        if name == "inspect":
            return not any(node.held() for node in self.nodes.values())
        return name != "quiet" or not self.busy()

    def _shrinks(self) -> bool:
        return len(self.rings[-1]) < len(self.rings[0])

    def _well(self, but: str = "") -> bool:
        """Tell whether every node but one has all that it should, and all processes know it."""
        since = max(self.disturbed[name] for name in "".join(self.rings) if name != but)
        return self.loop.time() >= since + KNOWN_AFTER

    def _complete(self, node: Node) -> bool:
        if not node.up or node.frozen or node.keyspace.full:
            return False
        if any(not one.late for one in node.held()):
            return False
        marks = f"missed:{node.name}"
        for other in self.nodes.values():
            if marks in other.keyspace.values and other.up:
                return False
        return node.keyspace.hget("ring", "run_id") == node.keyspace.run_id

    def _one_ring(self) -> bool:
        """Tell whether all processes and nodes have come to the last ring."""
        ring = self.rings[-1]
        if any(process.ring != ring for process in self.processes + self.leaving):
            return False
        description = _description(self.processes[0].store.ring)
        if any(self.nodes[n].keyspace.hget("ring", "ring") != description for n in ring):
            return False
        self.rings = [ring]
        return True

    def inspect(self) -> None:
        """Look at each copy by itself, as if all other nodes were gone."""
        context, ring = self.processes[0].context, self.processes[0].store.ring
        self.deeds += 1
        for session in self.sessions.values():
            for name in ring.owners(session.key):
                copy = copy_of(self.nodes[name].keyspace.hgetall(f"session:{session.key}"))
                record, _ = context.run(record_of, copy)
                session.check(record, self.deeds, f" on {name}")
                if record is not None and not record.replaced and session.user is not None:
                    self._inspect_index(session, ring.owners(key_of(session.user)))

    def _inspect_index(self, session: Session, owners: Iterable[str]) -> None:
        for name in owners:
            index = self.nodes[name].keyspace.zrange(
                f"user:{key_of(session.user or '')}", "0", "-1"
            )
            if session.key not in index:
                raise Broken(f"{session.name} is not in the index of its user on {name}")

    # Faults.

    def kill(self, name: str) -> None:
        self._disturb(name)
        node = self.nodes[name]
        for connection in list(node.connections):
            connection.lose(self.choose(len(connection.sent) + 1) if connection.sent else 0)
        node.kill()

    def back(self, name: str, data: str) -> None:
        if not self.nodes[name].up:
            self._disturb(name)
            self.nodes[name].start(data)

    def snapshot(self, name: str) -> None:
        self.nodes[name].save()

    def freeze(self, name: str) -> None:
        self._disturb(name)
        self.nodes[name].frozen = True

    def thaw(self, name: str) -> None:
        self._disturb(name)
        self.nodes[name].frozen = False

    def fill(self, name: str) -> None:
        self._disturb(name)
        self.nodes[name].keyspace.full = True

    def make_room(self, name: str) -> None:
        self._disturb(name)
        self.nodes[name].keyspace.full = False

    def lag(self, name: str, at: int, seconds: float) -> None:
        """Have what a process sends to a node arrive late, when it has given up waiting."""
        self._disturb(name)
        if server := self.processes[at].server_at(name):
            server.hold(seconds)

    def cut(self, name: str, at: int) -> None:
        """Break a connection."""
        self._disturb(name)
        server = self.processes[at].server_at(name)
        if server and (connection := server.connection):
            connection.lose(self.choose(2) if connection.sent else 0)

    def die(self, at: int) -> None:
        """End a process, and begin another in its place."""
        process = self.processes[at]
        process.die()
        self.processes[at] = self._process(process.ring, process.skew)

    def replace(self, at: int, ring: str) -> None:
        """Begin a process with another ring; that in its place ends when it has finished."""
        if ring != self.rings[-1]:
            self.rings.append(ring)
        old = self.processes[at]
        self.processes[at] = self._process(ring, old.skew)
        self.leaving.append(old)
        self.loop.create_task(self._leave(old), context=old.context)

    async def _leave(self, process: Process) -> None:
        while process.running:
            await asyncio.sleep(0.05)
        await process.store.close()
        process.die()
        self.leaving.remove(process)

    def _process(self, ring: str, skew: float) -> Process:
        process = Process(self, ring, skew)
        process.begin(Deeds(self, process).wake())
        return process

    def _disturb(self, name: str) -> None:
        self.disturbed[name] = self.loop.time()

    # Time.

    def wait(self, seconds: float) -> None:
        self.processes[0].begin(asyncio.sleep(seconds))

    def quiet(self) -> None:
        """Come after all that was begun has ended."""

    settle = quiet

    def after(self, seconds: float) -> None:
        """Come so long after the step before."""


@lru_cache(maxsize=100)
def _description(ring: Ring) -> str:
    return ring.description


@lru_cache(maxsize=10)
def data_of(ring: str) -> Mapping[str, Dump]:
    """Return what nodes have that have become a ring."""
    world = World(lambda count: 0, nodes=ring, ring=ring)
    world.disturbed = dict.fromkeys(ring, 0.0)
    world.play([("settle",)])
    world.end()
    dumps = {name: node.keyspace.dump() for name, node in world.nodes.items()}
    return {n: {key: dump[key] for key in dump if key in KEPT_KEYS} for n, dump in dumps.items()}
