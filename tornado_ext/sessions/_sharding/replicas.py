"""Reads that can be believed, and writes that reach every owner or leave marks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions._sharding import scripts
from tornado_ext.sessions._sharding.asking import PROMPT, Decision, answers_of, decided
from tornado_ext.sessions._sharding.node import OK, Key, Node, NodeFailed, NodeFull, Write
from tornado_ext.sessions._sharding.upkeep import Upkeep
from tornado_ext.sessions.errors import SessionCorrupt, StoreUnavailable
from tornado_ext.sessions.ring import Ring

LONGEST_TIMEOUT = 2.0  # seconds; to look at the nodes takes as long, and is to be done often
PATIENCE = 0.5  # seconds for which a request waits for a node that can vouch


class Replicas:
    """The nodes of a ring, and who of them keeps what."""

    def __init__(self, urls: Mapping[str, str], ring: Ring, prefix: str) -> None:
        self.ring = ring
        self.nodes = {name: Node(name, url, prefix, self._changed) for name, url in urls.items()}
        self.prefix = prefix
        self.calm = False  # all nodes are ok, and have this ring
        # That nodes or processes have, by description: changed from, or to, or unheard of yet.
        self.other_rings: dict[str, Ring] = {}
        self._upkeep: Upkeep | None = None
        addresses: dict[str, str] = {}
        for name, node in self.nodes.items():
            if (other := addresses.setdefault(node.server.name, name)) != name:
                raise ConfigurationError(
                    f"nodes {other!r} and {name!r} have the same address, {node.server.name}: "
                    "give more to one server by its weight"
                )
            if node.server.timeout > LONGEST_TIMEOUT:
                raise ConfigurationError(
                    f"nodes[{name!r}] has a socket_timeout of {node.server.timeout:g} seconds: "
                    f"a node that takes more than {LONGEST_TIMEOUT:g} is to count as away"
                )

    # Who keeps what.

    def owners(self, key: Key) -> dict[str, Node | None]:
        """Return the owners of ``key`` in every ring that is in force; None for unknown nodes."""
        names = [*self.ring.owners(key.hashed)]
        for ring in self.other_rings.values():
            names += ring.owners(key.hashed)
        return {name: self.nodes.get(name) for name in names}

    def _is_calm_here(self) -> bool:
        """Tell whether all nodes were ok a moment ago, and are looked after on this event loop."""
        upkeep = self._upkeep
        if not self.calm or upkeep is None or upkeep.loop is not asyncio.get_running_loop():
            return False
        return upkeep.loop.time() < upkeep.known_until

    def _owners_here(self, key: Key) -> list[Node]:
        return [self.nodes[name] for name in self.ring.owners(key.hashed)]

    def vouches(self, node: Node, key: Key) -> bool:
        """Tell whether what ``node`` has of ``key`` is all that there is."""
        if not node.trusted or node.marker is None:
            return False
        ring = self.other_rings.get(node.marker.ring, self.ring)
        return node.name in ring.owners(key.hashed)

    # Reading.

    async def read(self, key: Key, verb: str, *args: str | float) -> dict[Node, Any]:
        """Return what the owners answer to a command, when it can be believed.

        :raises StoreUnavailable: if it can't, for half a second.
        """
        if self._is_calm_here() and (quick := await self._read_calmly(key, verb, *args)):
            return quick
        now = asyncio.get_running_loop().time
        deadline = now() + PATIENCE
        while True:
            known_until = await self.upkeep().known()
            owners = list(self.owners(key).values())
            present = [node for node in owners if node and not node.away and not node.foreign]
            answers = await answers_of(present, lambda node: node.command(verb, str(key), *args))
            if now() >= known_until:
                continue
            if any(self.vouches(node, key) for node in answers) or (
                len(answers) == len(owners) and all(node.complete for node in answers)
            ):
                return answers
            await self.progress(deadline)

    async def _read_calmly(self, key: Key, verb: str, *args: str | float) -> dict[Node, Any] | None:
        """Return what all owners answer where all nodes are ok; None if one fails."""
        nodes, name = self._owners_here(key), str(key)
        asked: list[asyncio.Future[Any]] = []
        node = nodes[0]
        try:
            for node in nodes:
                asked.append(node.ask(verb, name, *args))  # noqa: PERF401  # the first may be sent
            answers = {}
            for node, reply in zip(nodes, asked, strict=True):
                answers[node] = await reply
        except BaseException as exc:
            for reply in asked:
                reply.cancel()
            if not isinstance(exc, Exception):
                raise
            if isinstance(failure := node.failure(exc), SessionCorrupt):
                raise failure from exc
            return None
        return answers if self._is_calm_here() else None

    async def progress(self, deadline: float) -> None:
        """Wait until the nodes were looked at once more; StoreUnavailable after ``deadline``."""
        try:
            async with asyncio.timeout_at(deadline):
                await self.upkeep().looked()
        except TimeoutError:
            states = ", ".join(
                f"{name!r} is {node.state(self.ring.description)}"
                for name, node in self.nodes.items()
                if node.state(self.ring.description) != OK
            )
            raise StoreUnavailable(f"no node can vouch for a session: {states}") from None

    # Writing.

    async def decide(
        self,
        key: Key,
        ask: Callable[[Node, list[str]], Awaitable[Any]],
        doubtful: Callable[[Any], bool] = lambda _: False,
    ) -> Decision:
        """Have one owner take a write, together with marks against those that are away.

        A ``doubtful`` verdict may come from a node that missed what another has: it counts when
        all say so.

        :raises StoreUnavailable: if none does that can vouch.
        """
        deadline = asyncio.get_running_loop().time() + PATIENCE
        refused: dict[str, NodeFailed] = {}
        doubts: dict[str, Decision] = {}
        while True:
            known_until = await self.upkeep().known()
            owners = self.owners(key)
            present = [
                node
                for node in owners.values()
                if node and not node.away and not node.foreign and node.name not in refused
            ]
            vouching = [node for node in present if self.vouches(node, key)]
            if not vouching and len(present) == len(owners) and all(n.complete for n in present):
                vouching = present if await self._level(key, present) else []
            node = next((node for node in vouching if node.name not in doubts), None)
            if node is None:
                if doubts:
                    return next(iter(doubts.values()))
                if full := [exc for exc in refused.values() if isinstance(exc, NodeFull)]:
                    raise full[0]
                await self.progress(deadline)
                refused.clear()  # those that do not answer are away
                continue
            others = [other for other in present if other is not node]
            absent = [name for name in owners if self.nodes.get(name) not in present]
            prompt_until = asyncio.get_running_loop().time() + PROMPT
            try:
                verdict = await decided(node, ask(node, absent))
            except NodeFailed as exc:
                refused[node.name] = exc
                continue
            decision = Decision(
                node=node,
                verdict=verdict,
                others=others,
                run_id=node.run_id,
                filling=node.marker.filling if node.marker else "",
                prompt_until=prompt_until,
                owners=owners.keys(),
                known_until=known_until,
            )
            if not doubtful(verdict):
                self._missed(node, [self.nodes[name] for name in absent if name in self.nodes])
                return decision
            doubts[node.name] = decision

    async def repeat(
        self, decision: Decision, write: Write, ask: Callable[[Node], Awaitable[Any]]
    ) -> list[Any]:
        """Have the other owners take it too; mark those that fail. Return what they say.

        :raises StoreUnavailable: if one has failed, and the mark against it was not set.
        """
        answers = await answers_of(decision.others, ask)
        if failed := [node for node in decision.others if node not in answers]:
            await self.mark(decision.node, write, failed)
        now = asyncio.get_running_loop().time()
        if now >= decision.known_until:
            await self._check_owners(decision, write.key)
        if now >= decision.prompt_until:
            await self._keep(decision, write.key, list(answers))
        return list(answers.values())

    async def _check_owners(self, decision: Decision, key: Key) -> None:
        await self.upkeep().known()
        if not self.owners(key).keys() <= decision.owners:
            raise StoreUnavailable("the ring has changed while this process stood still")

    async def _keep(self, decision: Decision, key: Key, takers: Sequence[Node]) -> None:
        """Give what was written back to the node that decided, if it may have lost it."""
        node = decision.node
        if (await node.filling(), node.run_id) == (decision.filling, decision.run_id):
            return
        if not takers:
            raise StoreUnavailable(f"node {node.name!r} may have lost what it took alone")
        await self.copy(key, takers[0], node)

    async def mark(self, node: Node, write: Write, failed: Sequence[Node]) -> None:
        """Have ``node`` remember that others did not take a write that it took."""
        self._missed(node, failed)
        await node.mark(write, [other.name for other in failed])

    async def tell(self, key: Key, ask: Callable[[Node], Awaitable[Any]]) -> None:
        """Have those owners do something that answer; StoreUnavailable if none does."""
        await self.upkeep().known()
        present = [n for n in self.owners(key).values() if n and not n.away and not n.foreign]
        if not await answers_of(present, ask):
            raise StoreUnavailable(f"no node that keeps {key} answers")

    async def complete(self, key: Key, source: Node, target: Node) -> int:
        """Merge what ``source`` has just taken into ``target``, which had nothing of it.

        :raises StoreUnavailable: if it is not there any more.
        :raises NodeFailed: if ``target`` fails.
        """
        try:
            result = await self.copy(key, source, target)
        except NodeFailed as exc:
            if source.away:
                raise StoreUnavailable(f"what took the write is away: {exc}") from exc
            raise
        if result == scripts.MISSING:
            raise StoreUnavailable(f"node {source.name!r} has lost what it was given")
        return result

    async def copy(self, key: Key, source: Node, target: Node) -> int:
        """Merge what ``source`` has into ``target``; return what the script does."""
        copied = await self.copy_all([key], source, target)
        return copied.get(str(key), scripts.MISSING)

    async def copy_all(self, keys: Sequence[Key], source: Node, target: Node) -> dict[str, int]:
        """Merge all that ``source`` has of these keys; return what the script does, by key."""
        names = [str(key) for key in keys]
        found: list[str] = []
        args: list[str | int] = []
        for name, (kind, left, items) in zip(
            names, await source.run(scripts.READ, names), strict=True
        ):
            if kind != "none":
                found.append(name)
                args += kind, left, len(items), *items
        merged = await target.run(scripts.MERGE, found, *args) if found else ()
        return dict(zip(found, merged, strict=True))

    async def _level(self, key: Key, nodes: list[Node]) -> bool:
        """Give all that any of these has to each of them; tell whether it worked."""
        try:
            for source in nodes:
                for target in nodes:
                    if target is not source:
                        await self.copy(key, source, target)
        except NodeFailed:
            return False
        return True

    # Looking after the nodes.

    def upkeep(self) -> Upkeep:
        """Return what looks after the nodes on the running event loop."""
        loop = asyncio.get_running_loop()
        if self._upkeep is None or self._upkeep.loop is not loop:
            self._upkeep = Upkeep(self, loop)
            self._upkeep.begin()
        return self._upkeep

    def _missed(self, node: Node, failed: Sequence[Node]) -> None:
        """Know at once that ``node`` has marks against these; a look tells how many."""
        for other in failed:
            node.against[other.name] = node.against.get(other.name, 0) + 1
            other.marks += 1
        if any(not other.away and not other.foreign for other in failed):
            self._changed()
        elif failed and self._upkeep is not None:
            self._upkeep.marks_are_newer()

    def _changed(self) -> None:
        self.calm = False
        if self._upkeep is not None:
            self._upkeep.hurry()

    async def close(self) -> None:
        """Let go of the running event loop."""
        if self._upkeep is not None:
            await self._upkeep.close()
            self._upkeep = None
        self.calm = False
        await asyncio.gather(*(node.server.close() for node in self.nodes.values()))
