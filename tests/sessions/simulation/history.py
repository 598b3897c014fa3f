"""What was done to sessions, and what may be seen of them after that.

An acknowledged write is visible until it is overwritten or deleted, and a deletion stays. A write
that failed may be there or not. Of writes that overlap in time, either may be the later one.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from tornado_ext.sessions.store import Record


class Broken(AssertionError):
    """The store did what it may not do."""


@dataclass(slots=True, eq=False)
class Deed:
    """Something done to a session, from one moment to another."""

    began: int
    ended: int | None = None
    acknowledged: bool = False
    value: str | None = None  # of a field; None deletes
    fence: int | None = None  # under which it was written, or which was lent
    until: float = 0.0  # when the lease ends, at the earliest

    def over(self, before: int) -> bool:
        """Tell whether it had ended, well or not, before a moment."""
        return self.ended is not None and self.ended < before

    def sure(self, before: int) -> bool:
        """Tell whether it was acknowledged before a moment."""
        return self.acknowledged and self.over(before)


@dataclass(slots=True)
class Session:
    """The history of one session."""

    name: str
    key: str
    user: str | None
    created: Deed
    revoked: list[Deed]  # all revocations of its user, other sessions' too
    ends: list[Deed] = field(default_factory=list)  # deletions
    fields: dict[str, list[Deed]] = field(default_factory=dict)
    leases: list[Deed] = field(default_factory=list)

    def check(self, record: Record | None, began: int, where: str = "") -> None:
        """Raise `Broken` if a load that began at ``began`` may not have returned ``record``."""
        if record is None or record.replaced:
            self.check_missing(began, where)
        else:
            self.check_live(began, where)
            self._check_fields(record, began, where)

    def check_missing(self, began: int, where: str = "") -> None:
        """Raise `Broken` if the session must be there."""
        may_be_revoked = any(not deed.over(self.created.began) for deed in self.revoked)
        if self.created.sure(began) and not self.ends and not may_be_revoked:
            raise Broken(f"{self.name} is lost{where}")

    def check_live(self, began: int, where: str = "") -> None:
        """Raise `Broken` if the session must have ended."""
        ends = [*self.ends, *self.revoked]
        if any(deed.sure(began) and self.created.over(deed.began) for deed in ends):
            raise Broken(f"{self.name} is there{where}, although it was ended")

    def check_lease(self, lease: Deed, now: float) -> None:
        """Raise `Broken` if a lease overlaps another one, or does not come after it."""
        assert lease.fence is not None
        for other in self.leases:
            if other is lease or not other.sure(lease.began) or other.fence is None:
                continue
            if lease.fence <= other.fence:
                raise Broken(f"fence {lease.fence} comes after {other.fence}")
            if now < other.until:
                raise Broken(f"{self.name} was lent to two")

    def check_fenced(self, deed: Deed) -> None:
        """Raise `Broken` if a save may not have been acknowledged under its fence."""
        for lease in self.leases:
            if lease.sure(deed.began) and (lease.fence or 0) > (deed.fence or 0):
                raise Broken(f"a save under fence {deed.fence} came after {lease.fence}")
        for writes in self.fields.values():
            for other in writes:
                if other is not deed and other.fence and other.value == deed.value:
                    raise Broken(f"two leases wrote {deed.value}")

    def _check_fields(self, record: Record, began: int, where: str) -> None:
        for name in sorted({*self.fields, *record.fields}):
            seen = record.fields.get(name)
            if seen not in (may := self._visible(name, began)):
                raise Broken(f"{self.name}.{name} is {seen}{where}, and may be one of {[*may]}")

    def _visible(self, name: str, began: int) -> Collection[str | None]:
        writes = [Deed(-1, 0, acknowledged=True), *self.fields.get(name, [])]
        sure = [write for write in writes if write.sure(began)]
        last = max((write.began for write in sure), default=-1)
        return dict.fromkeys(write.value for write in writes if not write.over(last))
