"""What a session store does: five verbs. Policy is the mixin's; a store only keeps records."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Record:
    """A session as a store keeps it. Times are seconds since the epoch."""

    fields: dict[str, str] = field(default_factory=dict)
    """The session's values, each as JSON text."""
    created_at: float = 0.0
    seen_at: float = 0.0
    user_id: str | None = None
    replaced: bool = False
    """This is a tombstone: the session lives on under another key."""


class SessionStore(ABC):
    """Override its verbs to keep sessions somewhere else.

    A ``key`` is a hash of the session's id, 64 hexadecimal digits: a copy of the store opens no
    session. Times and ``ttl`` are in seconds. Every verb raises `StoreUnavailable` when the store
    does not answer, and `StoreTimeout` when it takes too long; neither is ever taken for a miss.
    """

    @abstractmethod
    async def load(self, key: str) -> Record | None:
        """Return the record of ``key``: None if it is unknown, ended or past its ``ttl``.

        The record of a replaced session is a tombstone, with ``replaced`` set and no fields.
        """

    @abstractmethod
    async def create(self, key: str, record: Record, ttl: float) -> None:
        """Keep ``record`` for ``ttl`` seconds under a ``key`` that was never used before."""

    @abstractmethod
    async def save(
        self,
        key: str,
        changed: Mapping[str, str],
        deleted: Collection[str],
        *,
        seen_at: float,
        ttl: float,
    ) -> bool:
        """Set and delete fields of a live record, leave its other fields, and renew its ``ttl``.

        Return False, and store nothing, if ``key`` has no live record: a session that was ended
        meanwhile is never made again. All of it happens at once, or nothing.
        """

    @abstractmethod
    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        """End a record, and return what was there at that moment.

        With ``replaced_for``, a tombstone takes its place for that many seconds. A tombstone that
        is there already is returned and stays.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections and files."""
