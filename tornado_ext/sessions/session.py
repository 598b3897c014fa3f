"""One session: a mapping of JSON values that knows what changed, and how to store it."""

import asyncio
import secrets
import time
from collections.abc import Iterator, MutableMapping
from itertools import count
from typing import Any

from tornado_ext.sessions.codec import check_text, decode, encode, key_of
from tornado_ext.sessions.errors import CookieSent, SessionGone, SessionValueError
from tornado_ext.sessions.lifetimes import Lifetimes
from tornado_ext.sessions.store import Record, SessionStore

ID_BYTES = 32
REPLACED_FOR = 60  # seconds for which requests under way may still bring a replaced id
FLASH = "_flash:"  # prefix of the fields that hold flash messages, one each

_flashes = count()


class Session(MutableMapping[str, Any]):
    """A mapping from strings to JSON values, kept in the store field by field.

    Two requests that change different keys both win. Changes inside a list or a dict are noticed.
    """

    def __init__(self, store: SessionStore, lifetimes: Lifetimes) -> None:
        """Make an empty session, which gets an id when it is first stored with something in it."""
        self._store = store
        self._lifetimes = lifetimes
        self._saving = asyncio.Lock()
        self._changes_of_id = 0  # login(), logout() and regenerate() calls
        self._ended: list[str] = []  # keys of records that logout() has to delete
        self._tombstone = False  # the id that came in is replaced: this request may only read
        self.touched = False  # it was looked at or changed
        self.cookie_due = False  # an id was made or ended here, which the client has to be told
        self.sealed = False  # the response's headers have left, and no cookie can
        self._clear()

    def _clear(self) -> None:
        self.id: str | None = None
        self._key = ""
        self._replaced = ""  # key of the record whose place this one takes, until it is ended
        self._known: dict[str, str] = {}  # what that one held when it was loaded
        self._unsure = False  # an attempt to end it got no answer, and may have done it
        self._replacing = False  # a new id is wanted
        self._created_at = self._seen_at = time.time()
        self._user_id: str | None = None
        self._texts: dict[str, str] = {}  # as stored
        self._values: dict[str, Any] = {}
        self._suspects: set[str] = set()  # keys whose value may differ from its stored text

    async def load(self, session_id: str) -> None:
        """Take on the record of ``session_id``; be empty if there is none.

        :raises StoreUnavailable: if the store does not answer; nothing has changed here then.
        :raises SessionCorrupt: if the record can't be decoded; it stays where it is.
        """
        key = key_of(session_id)
        record = await self._store.load(key)
        self._clear()
        if record is None:
            return
        if record.replaced:
            self._tombstone = True
        elif self._lifetimes.ttl(record.created_at, time.time()) > 0:
            self._values = decode(record.fields)
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
        check_text("a session's key", key)
        if key.startswith(FLASH):
            raise SessionValueError(f"session[{key!r}]: keys in {FLASH!r} are flash()'s own")
        self._set(key, value)

    def _set(self, key: str, value: Any) -> None:
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

    def clear(self) -> None:
        """Delete every key; flash messages stay, and so does the session."""
        for key in self:
            del self[key]

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
        return bool(
            self._ended
            or self._replacing
            or self._replaced
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

        :raises CookieSent: after the response's headers have left, and in a WebSocket.
        """
        self._refuse_if_sealed()
        self.touched = True
        self._changes_of_id += 1
        self._replacing = self.id is not None

    def login(self, user_id: str | int) -> None:
        """Tie it to ``str(user_id)``, under a new id and with a new lifetime.

        What a visitor had in it he keeps; what another user had in it is dropped. A handler's
        ``current_user`` stays what it was, if it was asked for before: Tornado keeps it.

        :raises CookieSent: after the response's headers have left, and in a WebSocket.
        """
        if isinstance(user_id, bool) or not isinstance(user_id, (str, int)) or user_id == "":
            raise SessionValueError(f"user_id must be a string or a number, not {user_id!r}")
        check_text("user_id", str(user_id))
        self._refuse_if_sealed()
        if self._user_id not in (None, str(user_id)):
            self.logout()
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
        self._changes_of_id += 1
        self._ended += [key for key in (self._key, self._replaced) if key]
        self._clear()

    def _refuse_if_sealed(self) -> None:
        if self.sealed:
            raise CookieSent("the response's headers have left: no new session cookie can be sent")

    # Flash messages.

    def flash(self, message: Any) -> None:
        """Keep a JSON value for the next page that shows messages."""
        # A field for each, so that requests at the same time don't overwrite one another's.
        order = f"{time.time_ns():020}-{next(_flashes):010}-{secrets.token_hex(4)}"
        self._set(FLASH + order, message)

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
        :raises CookieSent: if it would be stored for the first time, and no cookie can be sent.
        :raises StoreUnavailable: if the store does not answer. Nothing is known to be stored.
        """
        async with self._saving:
            await self._save()

    def save_due(self) -> bool:
        """Tell whether there is something to store, or to tell the client."""
        return (
            self.cookie_due
            or self.modified
            or (self.id is not None and self._lifetimes.renewal_due(self._seen_at, time.time()))
        )

    async def reload(self) -> None:
        """Take on what the store has by now; what was changed here and not saved is lost.

        :raises SessionGone: if it has ended meanwhile.
        """
        async with self._saving:
            if self.id is None:
                return
            await self.load(self.id)
            if self.id is None:
                raise SessionGone("this session was ended by another request")

    async def _save(self) -> None:
        changed, deleted = self._changes()
        if self._tombstone and (changed or self._user_id is not None):
            raise SessionGone("this session's id was replaced by another request")
        while self._ended:
            await self._end(self._ended[0])
        if self._replaced:
            await self._end_replaced()
        now = time.time()
        ttl = self._lifetimes.ttl(self._created_at, now)
        if self._replacing or (self.id is None and (changed or self._user_id is not None)):
            await self._create(now, ttl)
        elif self.id is None:
            return
        elif changed or deleted or self._lifetimes.renewal_due(self._seen_at, now):
            await self._store_changes(changed, deleted, now, ttl)

    async def _store_changes(
        self, changed: dict[str, str], deleted: list[str], now: float, ttl: float
    ) -> None:
        texts = self._texts
        kept = await self._store.save(self._key, changed, deleted, seen_at=now, ttl=ttl)
        if not kept and (changed or deleted):
            raise SessionGone("this session was ended by another request")
        texts.update(changed)
        for name in deleted:
            texts.pop(name, None)
        self._seen_at = now

    async def _create(self, now: float, ttl: float) -> None:
        """Store everything under a new id; only then is the old one ended."""
        self._refuse_if_sealed()
        changes_of_id = self._changes_of_id
        session_id = secrets.token_urlsafe(ID_BYTES)
        texts = {name: encode(name, value) for name, value in self._values.items()}
        record = Record(dict(texts), self._created_at, now, self._user_id)
        await self._store.create(key_of(session_id), record, ttl)
        if changes_of_id != self._changes_of_id:  # by the handler, while this waited
            self._ended.append(key_of(session_id))
            await self._save()
            return
        # From here on the client gets the new id, whatever becomes of the old one.
        self._replaced, self._replacing = self._key, False
        self._known, self._texts = self._texts, texts
        self.id, self._key, self._seen_at = session_id, key_of(session_id), now
        self.cookie_due = True
        if self._replaced:
            await self._end_replaced()

    async def _end_replaced(self) -> None:
        """End the old record, and bring along what others stored in it since it was loaded."""
        retried, self._unsure = self._unsure, True
        final = await self._store.delete(self._replaced, replaced_for=REPLACED_FOR)
        self._unsure = False
        if final is None or (final.replaced and not retried):
            key = self._key
            self._clear()
            self.cookie_due = False
            await self._store.delete(key)
            raise SessionGone("this session was ended by another request")
        self._replaced = ""
        if not final.replaced:
            self._carry_over(final.fields)
            changed, deleted = self._changes()
            if changed or deleted:
                ttl = self._lifetimes.ttl(self._created_at, self._seen_at)
                await self._store_changes(changed, deleted, self._seen_at, ttl)

    def _carry_over(self, final: dict[str, str]) -> None:
        untouched = {name for name, text in self._known.items() if self._texts.get(name) == text}
        ours = (self._known.keys() | self._texts.keys()) - untouched
        others = {
            name: text
            for name, text in final.items()
            if name not in ours and text != self._known.get(name)
        }
        self._values.update(decode(others))
        gone = untouched - final.keys()
        for name in gone:
            self._values.pop(name, None)
        self._suspects |= others.keys() | gone

    async def _end(self, key: str) -> None:
        held = await self._store.delete(key)
        if held is not None and held.replaced:
            raise SessionGone("this session's id was replaced by another request")
        self._ended.remove(key)
        self.cookie_due = True

    def _changes(self) -> tuple[dict[str, str], list[str]]:
        """Return what would be stored, as JSON text by key, and the keys to delete."""
        changed = {}
        for key in self._suspects & self._values.keys():
            text = encode(key, self._values[key])
            if text != self._texts.get(key):
                changed[key] = text
        return changed, [key for key in self._suspects - self._values.keys() if key in self._texts]
