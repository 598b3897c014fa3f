"""What a session store does. Policy is the session's; a store is dumb, and only keeps records."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions.codec import NOTE, decode
from tornado_ext.sessions.errors import SessionTooLarge

MAX_BYTES = 64 * 1024
MAX_KEYS = 128


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
    ends_at: float = 0.0
    """When it ends, however often it is saved."""


@dataclass(slots=True)
class Change:
    """What a save does to a record. Times are seconds, ``seen_at`` since the epoch."""

    fields: Mapping[str, str]
    """To set, each as JSON text."""
    deleted: Collection[str]
    """Names of fields to delete; some may not be there."""
    seen_at: float
    ttl: float
    fence: int | None = None
    """Of the lease under which it is made."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One of a user's sessions. Times are seconds since the epoch."""

    key: str
    """``session.key`` of that session; ``await store.delete(key)`` ends it."""
    created_at: float
    seen_at: float
    note: Any
    """What ``session.login(user_id, note=...)`` was given."""

    @classmethod
    def of(cls, key: str, record: Record) -> "SessionInfo":
        """Return what there is to tell of a record."""
        note = decode({NOTE: record.fields.get(NOTE, "null")})[NOTE]
        return cls(key, record.created_at, record.seen_at, note)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one session may hold: bytes of names and JSON texts, and keys."""

    max_bytes: int = MAX_BYTES
    max_keys: int = MAX_KEYS

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_keys"):
            if type(value := getattr(self, name)) is not int or value < 1:
                raise ConfigurationError(f"{name} must be a whole number above 0, not {value!r}")

    def check(self, fields: Mapping[str, str]) -> int:
        """Return the bytes in ``fields``, or raise `SessionTooLarge`."""
        size = sum(len(name.encode()) + len(text.encode()) for name, text in fields.items())
        if size > self.max_bytes or len(fields) > self.max_keys:
            raise self.error()
        return size

    def error(self) -> SessionTooLarge:
        """Return the error to raise."""
        return SessionTooLarge(
            f"a session may hold {self.max_keys} keys and {self.max_bytes} bytes, and this change "
            "needs more: nothing of it was stored"
        )


class SessionStore(ABC):
    """Override its verbs to keep sessions somewhere else.

    A ``key`` is a hash of the session's id, 64 hexadecimal digits: a copy of the store opens no
    session. Times and ``ttl`` are in seconds. What a verb does happens at once, or not at all.
    Every verb raises `StoreUnavailable` when the store does not answer, and `StoreTimeout` when it
    takes too long; neither is ever taken for a miss.
    """

    @abstractmethod
    async def load(self, key: str) -> Record | None:
        """Return the record of ``key``: None if it is unknown, ended or past its ``ttl``.

        The record of a replaced session is a tombstone: ``replaced``, with the fields that it had
        at its end.

        :raises SessionCorrupt: if what is kept can't be read. It stays where it is.
        """

    @abstractmethod
    async def create(self, key: str, record: Record, ttl: float) -> None:
        """Keep ``record`` for ``ttl`` seconds under a ``key`` that was never used before.

        From then on `sessions_of` and `revoke_user` know it by its ``user_id``.

        :raises SessionGone: if ``key`` is in use, has a tombstone, or was revoked already.
        :raises SessionTooLarge: if it holds more than the store's limits.
        """

    @abstractmethod
    async def save(self, key: str, change: Change) -> Collection[str] | None:
        """Change fields of a live record, leave its other fields, and renew its ``ttl``.

        Return which of ``change.deleted`` were there: of two that delete one, one is told so.
        Return None, and store nothing, if ``key`` has no live record: a session that was ended
        meanwhile is never made again.

        :raises LeaseLost: if it has a fence, whose lease is over. Nothing is stored.
        :raises SessionTooLarge: if the record would exceed the store's limits. Nothing is stored.
        """

    @abstractmethod
    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        """End a record, and return what was there at that moment.

        With ``replaced_for``, a tombstone takes its place for that many seconds. A tombstone that
        is there already is returned and stays: who got no answer asks again, and loses no field.
        """

    @abstractmethod
    async def lease(self, key: str, seconds: float) -> int | None:
        """Lend a live record to one caller, for ``seconds`` at most.

        Return a fence, a number above those of all leases of ``key`` before; None while another
        caller has it, and if ``key`` has no live record. Saves without a fence are not kept out.
        """

    @abstractmethod
    async def release(self, key: str, fence: int) -> None:
        """Give a lease back; nothing happens if it is over."""

    @abstractmethod
    async def sessions_of(self, user_id: str | int) -> list[SessionInfo]:
        """Return the live sessions of a user, that which was seen last first."""

    @abstractmethod
    async def revoke_user(self, user_id: str | int) -> int:
        """End every session of a user, and return how many these were.

        A session that is being stored meanwhile is ended, or its `create` refused; and so is one
        that takes the place of another of these. If this raises, call it again.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections and files."""
