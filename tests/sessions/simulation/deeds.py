"""What processes do with sessions, each followed by a look at whether its outcome may be."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from io import StringIO
from typing import TYPE_CHECKING, Any

from tests.sessions.simulation.history import Broken, Deed, Session
from tornado_ext.sessions import LeaseLost, SessionGone, StoreUnavailable
from tornado_ext.sessions._sharding.node import NodeFailed
from tornado_ext.sessions._sharding.replicas import Replicas
from tornado_ext.sessions.codec import key_of
from tornado_ext.sessions.ring import Ring
from tornado_ext.sessions.ring._progress import Progress
from tornado_ext.sessions.ring._rebalance import Refused, rebalance
from tornado_ext.sessions.store import Change, Record

if TYPE_CHECKING:
    from tests.sessions.simulation.world import Process, World

DAY = 86400.0  # seconds
LEASE = 5.0  # seconds
KEYS_A_SECOND = 1000.0


class Deeds:
    """Of one process. Sessions go by a name, as in ``save("s", {"a": "1"})``."""

    def __init__(self, world: "World", process: "Process") -> None:
        self._world, self._store, self._ring = world, process.store, process.ring

    async def wake(self) -> None:
        """Ask for something, as a store looks after the nodes from its first use on."""
        with suppress(StoreUnavailable):
            await self._store.load(key_of("nothing"))

    async def create(self, name: str, user: str | None = None) -> None:
        now, world = self._world.time(), self._world
        if name in world.sessions:
            return
        revoked = world.revoked.setdefault(user, [])
        session = Session(name, key_of(name), user, self._begin(), revoked)
        world.sessions[name] = session
        record = Record({}, now, now, user, ends_at=now + DAY)
        try:
            await self._do(self._store.create(session.key, record, DAY), session.created)
        except SessionGone:
            session.check_missing(self._end(session.created))
            session.ends.append(self._begin())
            self._end(session.ends[0])
            session.ends[0].acknowledged = True

    async def load(self, name: str) -> None:
        if session := self._known(name):
            asked = self._begin()
            record = await self._do(self._store.load(session.key), asked)
            if asked.acknowledged:
                session.check(record, asked.began)

    async def save(
        self, name: str, fields: dict[str, str | None], fence: int | None = None
    ) -> bool:
        """Set fields, and delete those that are None; tell whether it was stored."""
        if (session := self._known(name)) is None:
            return False
        writes = [self._begin(value=value, fence=fence) for value in fields.values()]
        for field, write in zip(fields, writes, strict=True):
            session.fields.setdefault(field, []).append(write)
        deleted = [field for field, value in fields.items() if value is None]
        texts = {field: value for field, value in fields.items() if value is not None}
        change = Change(texts, deleted, self._world.time(), DAY, fence)
        try:
            gone = await self._do(self._store.save(session.key, change), *writes) is None
        except LeaseLost:
            self._undo(session, fields, writes)
            return False
        if gone:
            session.check_missing(writes[0].began)
            for write in writes:
                write.acknowledged = False
        if writes[0].acknowledged and fence:
            session.check_fenced(writes[0])
        return writes[0].acknowledged

    async def delete(self, name: str, replaced_for: float = 0) -> None:
        if session := self._known(name):
            session.ends.append(self._begin())
            deleting = self._store.delete(session.key, replaced_for=replaced_for)
            await self._do(deleting, session.ends[-1])

    async def lease(self, name: str) -> Deed | None:
        """Take a lease, and keep it."""
        if (session := self._known(name)) is None:
            return None
        lease = self._begin(until=self._world.time() + LEASE)
        lease.fence = await self._do(self._store.lease(session.key, LEASE), lease)
        if lease.fence is None:
            return None
        session.check_lease(lease, self._world.time())
        session.leases.append(lease)
        return lease

    async def exclusive(self, name: str, seconds: float = 0) -> None:
        """Count in a field, with a lease, and take so long for it."""
        if (lease := await self.lease(name)) is None or lease.fence is None:
            return
        session = self._world.sessions[name]
        record = await self._store.load(session.key)
        await asyncio.sleep(seconds)
        if record is not None and not record.replaced:
            count = int(record.fields.get("n", "0")) + 1
            await self.save(name, {"n": str(count)}, lease.fence)
        lease.until = min(lease.until, self._world.time())
        await self._store.release(session.key, lease.fence)

    async def revoke(self, user: str) -> None:
        revoked = self._world.revoked.setdefault(user, [])
        revoked.append(self._begin())
        await self._do(self._store.revoke_user(user), revoked[-1])

    async def list_user(self, user: str) -> None:
        asked = self._begin()
        infos = await self._do(self._store.sessions_of(user), asked)
        if not asked.acknowledged:
            return
        listed = {info.key for info in infos}
        revoked = self._world.revoked.get(user)
        for session in self._world.sessions.values():
            if session.revoked is revoked and session.created.over(asked.began):
                check = session.check_live if session.key in listed else session.check_missing
                check(asked.began)

    async def rebalance(self) -> None:
        """Do what ``python -m tornado_ext.sessions.ring rebalance`` does."""
        nodes = {name: name for name in self._ring}
        replicas = Replicas(nodes, Ring(nodes), "")
        with suppress(Refused, NodeFailed):
            await rebalance(replicas, [], KEYS_A_SECOND, Progress(StringIO()))
        await replicas.close()

    # What they share.

    def _known(self, name: str) -> Session | None:
        """Return a session whose id somebody was told."""
        session = self._world.sessions.get(name)
        return session if session and session.created.acknowledged else None

    def _begin(self, **kwargs: Any) -> Deed:
        self._world.deeds += 1
        return Deed(self._world.deeds, **kwargs)

    def _end(self, *deeds: Deed) -> int:
        self._world.deeds += 1
        for deed in deeds:
            deed.ended = self._world.deeds
        return self._world.deeds

    async def _do(self, doing: Awaitable[Any], *deeds: Deed) -> Any:
        try:
            result = await doing
        except StoreUnavailable as exc:
            self._end(*deeds)
            raise Broken(f"unavailable: {exc}") from exc
        self._end(*deeds)
        for deed in deeds:
            deed.acknowledged = True
        return result

    def _undo(self, session: Session, fields: dict[str, str | None], writes: list[Deed]) -> None:
        """Forget writes that were refused: nothing of them may be seen."""
        for field, write in zip(fields, writes, strict=True):
            session.fields[field].remove(write)
