"""How the values of a session get into the store, under which id, and out of it."""

import asyncio
import secrets
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import NoReturn

from tornado_ext.sessions.codec import decode, encode, key_of
from tornado_ext.sessions.errors import (
    CookieSent,
    InsideExclusive,
    SessionGone,
    SessionTooLarge,
)
from tornado_ext.sessions.lifetimes import Lifetimes
from tornado_ext.sessions.store import Change, Record, SessionStore
from tornado_ext.sessions.values import Values

ID_BYTES = 32
REPLACED_FOR = 60  # seconds for which requests under way may still bring a replaced id
ENDED = "this session was ended by another request"
REPLACED = "this session's id was replaced by another request"


class SavedValues(Values):
    """Values with an id, and a record in the store."""

    id: str | None = None
    key = ""  # what the store knows it by
    cookie_due = False  # an id was made or ended here, which the client has to be told
    sealed = False  # the response's headers have left, and no cookie can
    _user_id: str | None = None
    _stored_user: str | None = None  # whose session the record of `id` is
    _tombstone = False  # the id that came in is replaced: this request may only read
    _lock: asyncio.Lock | None = None
    _fence: int | None = None  # of the lease, inside exclusive()
    _changes_of_id = 0  # login(), logout() and regenerate() calls
    _replacing = False  # a new id is wanted
    _replaced = ""  # key of the record whose place this one takes, until it is ended
    _known: Mapping[str, str] = {}  # what that one held when it was loaded
    _unsure = False  # an attempt to end it got no answer, and may have done it

    def __init__(self, store: SessionStore, lifetimes: Lifetimes) -> None:
        """Make an empty session, which gets an id when it is first stored with something in it."""
        self._store = store
        self._lifetimes = lifetimes
        self._ended: list[str] = []  # keys of records that logout() has to delete
        self._begin()
        self._hold({})

    @property
    def _saving(self) -> asyncio.Lock:
        if self._lock is None:  # most requests save nothing
            self._lock = asyncio.Lock()
        return self._lock

    def _clear(self) -> None:
        self.id, self.key, self._user_id, self._stored_user = None, "", None, None
        self._replaced, self._replacing, self._unsure = "", False, False
        self._begin()
        self._hold({})

    def _begin(self) -> None:
        self._created_at = self._seen_at = time.time()
        self._ends_at = self._created_at + self._lifetimes.absolute

    async def load(self, session_id: str) -> None:
        """Take on the record of ``session_id``; be empty if there is none.

        :raises StoreUnavailable: if the store does not answer; nothing has changed here then.
        :raises SessionCorrupt: if the record can't be decoded; it stays where it is.
        """
        key = key_of(session_id)
        record = await self._store.load(key)
        if self.id is not None:
            self._clear()
        if record is None:
            return
        if record.replaced:
            self._tombstone = True
        elif not self._lifetimes.has_ended(record, time.time()):
            self._hold(record.fields)
            self.id, self.key = session_id, key
            self._created_at, self._seen_at = record.created_at, record.seen_at
            self._ends_at = record.ends_at
            self._user_id = self._stored_user = record.user_id

    def drop_changes(self) -> None:
        """Be again what the store is known to have; a logout and a new id stay under way."""
        if self.id is None:
            self._clear()
        else:
            self._hold(self._texts)
            self._seen_at = time.time()  # nor is the store in trouble asked to renew the expiry
            if self._replacing:
                self._replacing, self._user_id = False, self._stored_user

    def _refuse_new_id(self) -> None:
        if self.sealed:
            raise CookieSent("the response's headers have left: no new session cookie can be sent")
        if self._fence is not None:
            raise InsideExclusive("a session gets no new id inside exclusive()")

    @property
    def renewal_due(self) -> bool:
        """True if its expiry was not renewed for some time."""
        return self.id is not None and self._lifetimes.renewal_due(self._seen_at, time.time())

    @property
    def keeps_id(self) -> bool:
        """True if a save that was cut short can be done again, and leaves nothing behind."""
        return self.id is not None and not (self._replacing or self._replaced or self._ended)

    async def _save(self) -> None:
        changed, deleted = self._changes()
        if not self.keeps_id:
            await self._save_id(changed, deleted)
        elif changed or deleted:
            await self._write(changed, deleted)
        elif self.renewal_due:
            with suppress(SessionGone):
                await self._write({}, [])

    async def _save_id(self, changed: dict[str, str], deleted: list[str]) -> None:
        if self._tombstone and (changed or self._user_id is not None):
            raise SessionGone(REPLACED)
        while self._ended:
            await self._end(self._ended[0])
        if self._replaced:
            await self._end_replaced(await self._store.load(self._replaced))
        if self._replacing or (self.id is None and (changed or self._user_id is not None)):
            await self._create()
        elif self.id is not None and (changed or deleted):
            await self._write(changed, deleted)

    async def _write(self, changed: dict[str, str], deleted: list[str]) -> Collection[str]:
        """Return which of ``deleted`` were there, or raise SessionGone."""
        texts, now = self._texts, time.time()
        ttl = self._lifetimes.ttl(self._ends_at, now)
        change = Change(changed, deleted, now, ttl, self._fence)
        there = await self._store.save(self.key, change) if ttl > 0 else None
        if there is None:
            raise SessionGone(ENDED)
        texts.update(changed)
        for name in deleted:
            texts.pop(name, None)
        self._seen_at = now
        return there

    async def _create(self) -> None:
        """Store everything under a new id; only then is the old one ended."""
        self._refuse_new_id()
        changes_of_id, now = self._changes_of_id, time.time()
        session_id = secrets.token_urlsafe(ID_BYTES)
        key = key_of(session_id)
        texts = {name: encode(name, value) for name, value in self._values.items()}
        record = Record(dict(texts), self._created_at, now, self._user_id, ends_at=self._ends_at)
        await self._store.create(key, record, self._lifetimes.ttl(self._ends_at, now))
        # Looked at once the store knows the new id: from here on, revoking ends that one too.
        old = await self._store.load(self.key) if self._replacing else None
        if changes_of_id != self._changes_of_id:  # by the handler, while this waited
            self._ended.append(key)
            await self._save()
            return
        if self._replacing and not is_live(old):
            await self._give_up(key)
        # From here on the client gets the new id, whatever becomes of the old one.
        self._replaced, self._replacing = self.key, False
        self._known, self._texts = self._texts, texts
        self.id, self.key, self._seen_at = session_id, key, now
        self._stored_user = self._user_id
        self.cookie_due = True
        if self._replaced:
            await self._end_replaced(old)

    async def _end_replaced(self, old: Record | None) -> None:
        """End the old record, and bring along what others stored in it since it was loaded.

        What ``old`` has by now first: that does not depend on an answer to the end.
        """
        replaced, retried = self._replaced, self._unsure
        if old is not None:
            await self._bring_along(old.fields)
        if self._replaced == replaced:
            self._unsure = True
            final = await self._store.delete(replaced, replaced_for=REPLACED_FOR)
            if self._replaced != replaced:  # by logout(), while this waited
                self._ended.remove(replaced)
            elif final is None or (final.replaced and not retried):
                self.cookie_due = False
                await self._give_up(self.key)
            else:
                await self._bring_along(final.fields)
        if self._replaced != replaced:
            await self._save()
        self._replaced, self._unsure = "", False

    async def _bring_along(self, final: dict[str, str]) -> None:
        self._carry_over(final)
        changed, deleted = self._changes()
        if changed or deleted:
            try:
                await self._write(changed, deleted)
            except SessionTooLarge:
                await self._keep_theirs(final)
                raise
        self._known = final

    async def _keep_theirs(self, final: dict[str, str]) -> None:
        """Drop what this request changed: others were told that what they changed is stored."""
        self._values, self._suspects = decode(final), self._texts.keys() | final.keys()
        await self._write(*self._changes())

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

    async def _give_up(self, key: str) -> NoReturn:
        """End the new record: the one whose place it was to take has ended meanwhile."""
        self._clear()
        await self._store.delete(key)
        raise SessionGone(ENDED)

    async def _end(self, key: str) -> None:
        held = await self._store.delete(key)
        if held is not None and held.replaced:
            raise SessionGone(REPLACED)
        self._ended.remove(key)
        self.cookie_due = True


def is_live(record: Record | None) -> bool:
    return record is not None and not record.replaced
