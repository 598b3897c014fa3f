"""One session: a mapping of JSON values that knows what changed, and how to store it."""

import hashlib
import json
import secrets
import time
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

from tornado_ext.sessions.errors import SessionCorrupt, SessionGone, SessionValueError
from tornado_ext.sessions.store import Record, SessionStore

ID_BYTES = 32
REPLACED_FOR = 60  # seconds for which requests under way may still bring a replaced id
FLASH = "_flash:"  # prefix of the fields that hold flash messages, one each


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """When a session ends by itself, in seconds."""

    idle: float  # after it was last seen
    absolute: float  # after it was made

    def ttl(self, created_at: float, now: float) -> float:
        """Return for how long a session seen ``now`` may be kept."""
        return min(self.idle, created_at + self.absolute - now)

    @property
    def renewal_interval(self) -> float:
        """After how long a request that changes nothing should renew the expiry all the same."""
        return max(self.idle / 10, 60)


class Session(MutableMapping[str, Any]):
    """A mapping from strings to JSON values, kept in the store field by field.

    Two requests that change different keys both win. Changes inside a list or a dict are noticed.
    """

    def __init__(self, store: SessionStore, lifetimes: Lifetimes) -> None:
        """Make an empty session, which gets an id when it is first stored with something in it."""
        self._store = store
        self._lifetimes = lifetimes
        self.touched = False  # it was looked at or changed
        self.cookie_due = False  # an id was made or ended here, which the client has to be told
        self._tombstone = False  # the id that came in is replaced: this request may only read
        self._ended: str | None = None  # key of the record that logout() has to delete
        self._clear()

    def _clear(self) -> None:
        self.id: str | None = None
        self._key = ""
        self._created_at = self._seen_at = time.time()
        self._user_id: str | None = None
        self._texts: dict[str, str] = {}  # as stored
        self._values: dict[str, Any] = {}
        self._suspects: set[str] = set()  # keys whose value may differ from its stored text
        self._replacing = False

    async def load(self, session_id: str) -> None:
        """Take on the record of ``session_id``; stay empty if there is none.

        :raises StoreUnavailable: if the store does not answer.
        :raises SessionCorrupt: if the record can't be decoded; it stays where it is.
        """
        key = key_of(session_id)
        record = await self._store.load(key)
        self._clear()  # not before: a store that is away leaves the session as it was
        if record is None:
            return
        if record.replaced:
            self._tombstone = True
        elif self._lifetimes.ttl(record.created_at, time.time()) > 0:
            self._values = _decode(record.fields)
            self._texts = record.fields
            self.id, self._key = session_id, key
            self._created_at, self._seen_at = record.created_at, record.seen_at
            self._user_id = record.user_id

    # The mapping.

    def __getitem__(self, key: str) -> Any:
        self.touched = True
        value = self._values[key]
        if isinstance(value, (list, dict)):
            self._suspects.add(key)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise SessionValueError(f"a session's keys are strings, not {key!r}")
        self.touched = True
        self._values[key] = value
        self._suspects.add(key)

    def __delitem__(self, key: str) -> None:
        self.touched = True
        del self._values[key]
        self._suspects.add(key)

    def __iter__(self) -> Iterator[str]:
        self.touched = True
        return iter([key for key in self._values if not key.startswith(FLASH)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        self.touched = True
        return key in self._values

    def __repr__(self) -> str:
        return f"<Session of user {self._user_id!r} with {sorted(self._values)}>"

    # What is known of it.

    @property
    def is_new(self) -> bool:
        """True until it is stored for the first time."""
        return self.id is None

    @property
    def modified(self) -> bool:
        """True if there is something that the store does not have yet."""
        return (
            self._ended is not None
            or self._replacing
            or (self.id is None and self._user_id is not None)
            or any(self._changes())
        )

    @property
    def created_at(self) -> float:
        """When it was made, or logged in to, in seconds since the epoch."""
        return self._created_at

    @property
    def user_id(self) -> str | None:
        """The user whom it is tied to by `login`; None for a visitor."""
        self.touched = True
        return self._user_id

    def expires_in(self) -> float:
        """Return the seconds until its absolute lifetime ends."""
        return self._created_at + self._lifetimes.absolute - time.time()

    # Changes of privilege.

    def regenerate(self) -> None:
        """Give it a new id and keep its data: at every change of privilege.

        Requests under way with the old id may still read; if they change the session, they get
        `SessionGone`.
        """
        self.touched = True
        self._replacing = self.id is not None

    def login(self, user_id: str | int) -> None:
        """Tie it to ``str(user_id)``, under a new id and with a new lifetime."""
        if not isinstance(user_id, (str, int)) or user_id == "":
            raise SessionValueError(f"user_id must be a string or a number, not {user_id!r}")
        self.regenerate()
        self._user_id = str(user_id)
        self._created_at = time.time()

    def logout(self) -> None:
        """End it: data, id and cookie. What is set after this begins a new session.

        :raises SessionGone: if another request has replaced the id, and so holds the session.
        """
        self.touched = True
        if self._tombstone:
            raise SessionGone("this session's id was replaced by another request")
        if self.id is not None:
            self._ended = self._key
        self._clear()

    # Flash messages.

    def flash(self, message: Any) -> None:
        """Keep a JSON value for the next page that shows messages."""
        self[f"{FLASH}{time.time_ns():020}:{secrets.token_hex(4)}"] = message

    async def pop_flashes(self) -> list[Any]:
        """Return the messages that were not shown yet, oldest first, and drop them."""
        self.touched = True
        keys = sorted(key for key in self._values if key.startswith(FLASH))
        return [self.pop(key) for key in keys]

    # Storing.

    async def save(self) -> None:
        """Store what changed, at once; a request does it by itself before its first byte.

        :raises SessionGone: if it was ended by another request meanwhile. Nothing is stored.
        :raises SessionValueError: if a value is no JSON.
        :raises StoreUnavailable: if the store does not answer. Nothing is known to be stored.
        """
        changed, deleted = self._changes()
        if self._tombstone and (changed or self._user_id is not None):
            raise SessionGone("this session's id was replaced by another request")
        if self._ended is not None:
            await self._delete(self._ended)
        now = time.time()
        ttl = self._lifetimes.ttl(self._created_at, now)
        new = self.id is None and (changed or self._user_id is not None)
        if new or self._replacing:
            await self._create(now, ttl)
        elif self.id is not None and (changed or deleted or self._renewal_due(now)):
            kept = await self._store.save(self._key, changed, deleted, seen_at=now, ttl=ttl)
            if not kept and (changed or deleted):
                raise SessionGone("this session was ended by another request")
            self._texts.update(changed)
            for name in deleted:
                del self._texts[name]
            self._seen_at = now

    def save_due(self) -> bool:
        """Tell whether `save` has anything to do."""
        return self.modified or (self.id is not None and self._renewal_due(time.time()))

    async def reload(self) -> None:
        """Take on what the store has by now; what was changed here and not saved is lost.

        :raises SessionGone: if it has ended meanwhile.
        """
        session_id = self.id
        if session_id is None:
            return
        await self.load(session_id)
        if self.id is None:
            raise SessionGone("this session was ended by another request")

    async def _create(self, now: float, ttl: float) -> None:
        """Store everything under a new id; only then, with `_replacing`, is the old one ended."""
        session_id = secrets.token_urlsafe(ID_BYTES)
        key = key_of(session_id)
        texts = {name: _encode(name, value) for name, value in self._values.items()}
        record = Record(dict(texts), self._created_at, now, self._user_id)
        await self._store.create(key, record, ttl)
        if self._replacing:
            missed, gone = await self._end_replaced(key, texts)
            if missed or gone:
                await self._store.save(key, missed, gone, seen_at=now, ttl=ttl)
            self._replacing = False
        self.id, self._key, self.cookie_due = session_id, key, True
        self._texts, self._seen_at = texts, now

    async def _end_replaced(
        self, new_key: str, texts: dict[str, str]
    ) -> tuple[dict[str, str], list[str]]:
        """End the old record; return what others set and deleted in it since it was loaded."""
        final = await self._store.delete(self._key, replaced_for=REPLACED_FOR)
        if final is None or final.replaced:
            await self._store.delete(new_key)
            raise SessionGone("this session was ended by another request")
        untouched = {name for name, text in self._texts.items() if texts.get(name) == text}
        ours = (self._texts.keys() | texts.keys()) - untouched  # set or deleted by this request
        missed = {
            name: text
            for name, text in final.fields.items()
            if name not in ours and text != self._texts.get(name)
        }
        return missed, [name for name in untouched if name not in final.fields]

    async def _delete(self, key: str) -> None:
        held = await self._store.delete(key)
        if held is not None and held.replaced:
            raise SessionGone("this session's id was replaced by another request")
        self._ended, self.cookie_due = None, True

    def _renewal_due(self, now: float) -> bool:
        return now - self._seen_at >= self._lifetimes.renewal_interval

    def _changes(self) -> tuple[dict[str, str], list[str]]:
        """Return what would be stored, as JSON text by key, and the keys to delete."""
        changed = {}
        for key in self._suspects & self._values.keys():
            text = _encode(key, self._values[key])
            if text != self._texts.get(key):
                changed[key] = text
        return changed, [key for key in self._suspects - self._values.keys() if key in self._texts]


def key_of(session_id: str) -> str:
    """Return the key under which a store keeps ``session_id``: its SHA-256, in hexadecimal."""
    return hashlib.sha256(session_id.encode()).hexdigest()


def _encode(key: str, value: Any) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise SessionValueError(
            f"session[{key!r}] holds a {type(value).__name__} that is no JSON: {exc}"
        ) from exc


def _decode(fields: dict[str, str]) -> dict[str, Any]:
    try:
        values = json.loads(f"[{','.join(fields.values())}]")
        return dict(zip(fields, values, strict=True))
    except (ValueError, RecursionError) as exc:
        raise SessionCorrupt(f"a session's record can't be decoded: {exc}") from exc
