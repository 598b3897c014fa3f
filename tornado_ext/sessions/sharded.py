"""Sessions on several independent Redis servers: any one may be lost. See docs/sharding.md."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions._sharding import scripts
from tornado_ext.sessions._sharding.clock import Clock
from tornado_ext.sessions._sharding.copies import REPLACED, Copy, copy_of, merge, record_of
from tornado_ext.sessions._sharding.node import Key, Node, NodeHealth, Write
from tornado_ext.sessions._sharding.replicas import Replicas
from tornado_ext.sessions.codec import key_of
from tornado_ext.sessions.errors import LeaseLost, SessionCorrupt, SessionGone, StoreUnavailable
from tornado_ext.sessions.indexed import REVOKED_FOR, SETTLED, batches, infos_of
from tornado_ext.sessions.ring import Ring
from tornado_ext.sessions.saving import is_live
from tornado_ext.sessions.store import (
    MAX_BYTES,
    MAX_KEYS,
    Change,
    Limits,
    Record,
    SessionInfo,
    SessionStore,
)

ENDED_FOR = 86400  # seconds that a tombstone stays, at least
LISTED_FOR = 60  # seconds for which a deletion is listed

ENDED, REVOKED = "ended", "revoked"
MAY_HAVE_MISSED = scripts.MISSING, scripts.TOO_LARGE, scripts.LEASE_LOST  # as a save may say
NOT_LENT = scripts.MISSING, scripts.GONE, scripts.BUSY
NOTHING_TO_BURY = {("live", scripts.MISSING), ("missing", scripts.GONE)}


class ShardedRedisStore(SessionStore):
    """Keep each session on several of many Redis servers, so that any one may be lost."""

    def __init__(
        self,
        nodes: Mapping[str, str],
        *,
        weights: Mapping[str, int] | None = None,
        replicas: int | None = None,
        key_prefix: str = "",
        max_bytes: int = MAX_BYTES,
        max_keys: int = MAX_KEYS,
    ) -> None:
        """Make a store; it connects at first use.

        :arg nodes: the URL of each server by its name. Where a session belongs depends on the
            names alone: a server may move to another address.
        :arg weights: whole numbers by name, for servers that hold more than others; 1 unless told.
        :arg replicas: on how many nodes each session is: 2, or 1 where there is one node.
        :arg key_prefix: comes before every key, to share the servers with others.
        :arg max_bytes: of one session, its names and JSON texts; ``max_keys`` limits its keys.
        :raises MissingExtra: if redis or uhashring is not installed.
        :raises ConfigurationError: if an argument can't be right.
        """
        if not isinstance(nodes, Mapping):
            raise ConfigurationError(f"nodes must map names to Redis URLs, not {nodes!r}")
        if not isinstance(key_prefix, str):
            raise ConfigurationError(f"key_prefix must be a string, not {key_prefix!r}")
        self.ring = Ring(nodes, weights, replicas)
        self._limits = Limits(max_bytes, max_keys)
        self._replicas = Replicas(nodes, self.ring, key_prefix)
        self._clock = Clock()

    def owners(self, key: str) -> tuple[str, ...]:
        """Return the names of the nodes that keep the session of ``key``."""
        return self.ring.owners(key)

    # Records.

    async def load(self, key: str) -> Record | None:
        """Ask all owners for the whole hash, and merge what they have."""
        answers = await self._replicas.read(Key("session", key), "HGETALL")
        replies = [*answers.values()]
        if replies.count(replies[0]) == len(replies):  # which is the rule
            copy = copy_of(replies[0])
        else:
            copies = ((node, copy_of(reply)) for node, reply in answers.items())
            copy = merge(copy for node, copy in copies if node.complete or "gone" in copy)
        record, last = record_of(copy)
        self._clock.saw(last)
        return record

    async def create(self, key: str, record: Record, ttl: float) -> None:
        """Enter the key into its user's index, then write the whole hash on each owner."""
        size = self._limits.check(record.fields)
        made = f"{record.created_at!r} {record.ends_at!r}"
        if record.user_id is not None:
            made += f" {record.user_id}"
            lifetime = max(ttl, record.ends_at - record.seen_at)
            await self._enter(key_of(record.user_id), key, lifetime)
        write = self._write(Key("session", key), ttl)
        head = "made", made, "seen", repr(record.seen_at), "size", size, "keys", len(record.fields)
        pairs = [
            part for n, text in record.fields.items() for part in (f":{n}", write.stamp + text)
        ]

        async def ask(node: Node, marks: Sequence[str] = ()) -> int:
            result: int = await node.write(scripts.CREATE, write, marks, *head, *pairs)
            return result

        decision = await self._replicas.decide(write.key, ask)
        if decision.verdict != scripts.DONE:
            raise SessionGone("this session was ended before it was stored")
        if scripts.GONE in await self._replicas.repeat(decision, write, ask):
            await self._bury(write.key, ENDED, "any", ENDED_FOR)
            raise SessionGone("this session was ended while it was stored")

    async def save(self, key: str, change: Change) -> Collection[str] | None:
        """Send the changed fields alone."""
        texts = [part for name, text in change.fields.items() for part in (f":{name}", text)]
        texts += [part for name in change.deleted for part in (f":{name}", "")]
        seen, fence = repr(change.seen_at), change.fence or ""
        limits = self._limits.max_bytes, self._limits.max_keys
        write = self._write(Key("session", key), change.ttl)

        async def decide(node: Node, marks: Sequence[str]) -> int | list[str]:
            verdict: int | list[str] = await node.write(
                scripts.SAVE, write, marks, seen, fence, *limits, milliseconds(LISTED_FOR), *texts
            )
            return verdict

        decision = await self._replicas.decide(
            write.key, decide, lambda verdict: verdict in MAY_HAVE_MISSED
        )
        if decision.verdict == scripts.LEASE_LOST:
            raise LeaseLost("the exclusive block took longer than its lease")
        if decision.verdict == scripts.TOO_LARGE:
            raise self._limits.error()
        if not isinstance(decision.verdict, list):
            return None
        last, *deleted = decision.verdict

        async def repeat(node: Node) -> int | list[str]:
            # What a node has missed may be older than a deletion that it has taken.
            vouches = self._replicas.vouches(node, write.key)
            listed_for = milliseconds(LISTED_FOR) if vouches else ""
            verdict: int | list[str] = await node.write(
                scripts.SAVE, write, (), seen, "", 0, 0, listed_for, *texts
            )
            if verdict == scripts.MISSING:
                return await self._replicas.complete(write.key, decision.node, node)
            return verdict

        replies = await self._replicas.repeat(decision, write, repeat)
        if scripts.GONE in replies:
            return None
        names = [name[1:] for name in deleted]
        last = max([last, *(reply[0] for reply in replies if isinstance(reply, list))])
        if last > write.stamp:  # of a clock that is ahead: what it wrote is older all the same
            self._clock.saw(last)
            again = await self.save(key, change)
            return None if again is None else list({*names, *again})
        return names

    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        """Put a tombstone in the place of each copy."""
        kind = ENDED
        if replaced_for:  # with a stamp, by which one's own is known
            kind = f"{REPLACED} {time.time() + replaced_for!r} {self._clock.stamp()}"
        held = await self._bury(Key("session", key), kind, "live", ENDED_FOR)
        ended, _ = record_of(held)
        if ended is not None and ended.user_id is not None:
            with suppress(StoreUnavailable):  # it leaves the index at a later login, then
                await self._leave(key_of(ended.user_id), [key])
        return ended

    async def lease(self, key: str, seconds: float) -> int | None:
        """Lend it on one owner, and on the others under the same fence."""
        write = self._write(Key("session", key), seconds)
        lasts = milliseconds(seconds)

        async def ask(node: Node, marks: Sequence[str]) -> int:
            given: int = await node.write(
                scripts.LEASE, write, marks, lasts, time.time_ns() // 1000, "ask"
            )
            return given

        decision = await self._replicas.decide(
            write.key, ask, lambda verdict: verdict == scripts.MISSING
        )
        fence: int = decision.verdict
        if fence in NOT_LENT:
            return None

        async def repeat(node: Node) -> int:
            taken: int = await node.write(scripts.LEASE, write, (), lasts, fence, "repeat")
            if taken == scripts.MISSING:
                return await self._replicas.complete(write.key, decision.node, node)
            return taken

        if any(taken in NOT_LENT for taken in await self._replicas.repeat(decision, write, repeat)):
            await self.release(key, fence)
            return None
        return fence

    async def release(self, key: str, fence: int) -> None:
        """End the lease on every owner that answers; elsewhere it ends by itself."""
        name = str(Key("session", key))
        await self._replicas.tell(
            Key("session", key), lambda node: node.run(scripts.RELEASE, [name], fence)
        )

    # Users.

    async def sessions_of(self, user_id: str | int) -> list[SessionInfo]:
        """Load what the user's index names."""
        return await infos_of(await self._indexed(key_of(str(user_id))), self.load)

    async def revoke_user(self, user_id: str | int) -> int:
        """Bury what the user's index names, until it is empty.

        A new id enters the index before its record is stored, and before the record that it
        replaces ends: so it is in the index when this looks again, or meets its tombstone.
        """
        ended, user = 0, key_of(str(user_id))
        while keys := await self._indexed(user):
            for batch in batches(keys):
                ended += await self._revoke(user, batch)
        return ended

    async def _revoke(self, user: str, keys: Sequence[str]) -> int:
        burying = (self._bury(Key("session", key), REVOKED, "any", REVOKED_FOR) for key in keys)
        results = await asyncio.gather(*burying, return_exceptions=True)
        pairs = zip(keys, results, strict=True)
        buried = {key: each for key, each in pairs if not isinstance(each, BaseException)}
        if buried:
            await self._leave(user, list(buried))
        for failure in results:
            if isinstance(failure, BaseException):
                raise failure
        return sum(bool(held) and "gone" not in held for held in buried.values())

    async def _indexed(self, user: str) -> list[str]:
        answers = await self._replicas.read(Key("user", user), "ZRANGE", 0, -1)
        return list(dict.fromkeys(key for keys in answers.values() for key in keys))

    async def _enter(self, user: str, key: str, lifetime: float) -> None:
        """Put a key into a user's index; some that were in it, and whose records ended, leave."""
        write = self._write(Key("user", user), lifetime)

        async def ask(node: Node, marks: Sequence[str] = ()) -> list[str]:
            settled: list[str] = await node.write(
                scripts.ENTER, write, marks, key, milliseconds(SETTLED)
            )
            return settled

        decision = await self._replicas.decide(write.key, ask)
        await self._replicas.repeat(decision, write, ask)
        with suppress(StoreUnavailable):  # then they leave at a later login
            for settled in decision.verdict:
                with suppress(SessionCorrupt):  # it ends by itself
                    if not is_live(await self.load(settled)):
                        await self._bury(Key("session", settled), REVOKED, "missing", REVOKED_FOR)
                        await self._leave(user, [settled])

    async def _leave(self, user: str, keys: Sequence[str]) -> None:
        index = Key("user", user)
        await self._replicas.tell(index, lambda node: node.command("ZREM", str(index), *keys))

    # Tombstones.

    async def _bury(self, key: Key, kind: str, what: str, seconds: float) -> Copy:
        """Leave tombstones; return what was there, merged from all owners."""
        write = self._write(key, seconds)
        full: list[Node] = []
        buried: list[Copy] = []  # also by a node that then was not believed, and another decided

        async def bury(node: Node, marks: Sequence[str], what: str) -> tuple[int, Copy]:
            code, reply = await node.write(scripts.BURY, write, marks, kind, what)
            held = copy_of(reply)
            if code == scripts.FULL:
                full.append(node)
                code = scripts.DONE
            elif kind.startswith(REPLACED) and held.get("gone") == kind:  # an answer was lost
                del held["gone"]
                code = scripts.DONE
            if code == scripts.DONE:
                buried.append(held)
            return code, held

        decision = await self._replicas.decide(
            key,
            lambda node, marks: bury(node, marks, what),
            lambda verdict: (what, verdict[0]) == ("live", scripts.MISSING),
        )
        code: int = decision.verdict[0]
        held: Copy = decision.verdict[1]
        if (what, code) in NOTHING_TO_BURY and not buried:
            return held
        everywhere = "missing" if what == "missing" else "any"

        async def repeat(node: Node) -> None:
            if code == scripts.GONE:  # some other owner may have missed the tombstone that is there
                with suppress(StoreUnavailable):
                    await self._replicas.complete(key, decision.node, node)
                    return
            await bury(node, (), everywhere)

        await self._replicas.repeat(decision, write, repeat)
        takers = [node for node in (decision.node, *decision.others) if node not in full]
        if full and takers:
            await self._replicas.mark(takers[0], write, full)
        return merge(buried) or held

    def _write(self, key: Key, seconds: float) -> Write:
        return Write(key, self._clock.stamp(), milliseconds(seconds))

    async def health(self) -> dict[str, NodeHealth]:
        """Return how each node is, by name: for an endpoint that tells whether all is well.

        One node that is ``ok`` may be lost where all others are, and none evicts.
        """
        await self._replicas.upkeep().known()
        nodes = self._replicas.nodes
        healths = await asyncio.gather(*(n.health(self.ring.description) for n in nodes.values()))
        return dict(zip(nodes, healths, strict=True))

    async def close(self) -> None:
        """Close the connections of the running event loop to every server."""
        await self._replicas.close()


def milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
