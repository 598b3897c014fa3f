"""One session: whose it is, and what an app does with it."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from itertools import count
from typing import Any, Self

from tornado_ext.sessions.codec import FLASH, NOTE, check_text
from tornado_ext.sessions.errors import (
    SessionBusy,
    SessionGone,
    SessionValueError,
    StoreUnavailable,
)
from tornado_ext.sessions.saving import ENDED, REPLACED, SavedValues, is_live

LEASE = 5.0  # seconds
WAIT = LEASE + 1  # seconds: longer than a process that died keeps its lease
FIRST_PAUSE, LONGEST_PAUSE = 0.004, 0.064  # seconds between two attempts to get a lease

_flashes = count()


class Session(SavedValues):
    """A mapping from strings to JSON values, kept in the store field by field.

    Two requests that change different keys both win; of two that change the same key the last
    one, unless both do it in `exclusive`. Changes inside a list or a dict are noticed.
    """

    def __repr__(self) -> str:
        return f"<Session of user {self._user_id!r} with {sorted(self._values)}>"

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
            or (self._suspects and any(self._changes()))
        )

    @property
    def created_at(self) -> float:
        """When it was made, or logged in to, in seconds since the epoch."""
        return self._created_at

    @property
    def user_id(self) -> str | None:
        """The user whom it is tied to by `login`; None for a visitor."""
        return self._user_id

    def expires_in(self) -> float:
        """Return the seconds until its absolute lifetime ends."""
        return self._ends_at - time.time()

    # Changes of privilege.

    def regenerate(self) -> None:
        """Give it a new id and keep its data: at every change of privilege.

        Requests under way with the old id may still read; if they change the session, they get
        `SessionGone`.

        :raises CookieSent: after the response's headers have left, and in a WebSocket.
        :raises InsideExclusive: in an `exclusive` block.
        """
        self._refuse_new_id()
        self._changes_of_id += 1
        self._replacing = self.id is not None

    def login(self, user_id: str | int, *, note: Any = None) -> None:
        """Tie it to ``str(user_id)``, under a new id and with a new lifetime.

        What a visitor had in it he keeps; what another user had in it is dropped. A handler's
        ``current_user`` stays what it was, if it was asked for before: Tornado keeps it.

        :arg note: a JSON value for `SessionStore.sessions_of`: the browser and the place, say.
        :raises CookieSent: after the response's headers have left, and in a WebSocket.
        :raises InsideExclusive: in an `exclusive` block.
        """
        if isinstance(user_id, bool) or not isinstance(user_id, (str, int)) or user_id == "":
            raise SessionValueError(f"user_id must be a string or a number, not {user_id!r}")
        check_text("user_id", str(user_id))
        self._refuse_new_id()
        if self._user_id not in (None, str(user_id)):
            self.logout()
        self.regenerate()
        self._user_id = str(user_id)
        self._begin()
        if note is not None:
            self._set(NOTE, note)

    def logout(self) -> None:
        """End it: data, id and cookie. What is set after this begins a new session.

        :raises SessionGone: if another request has replaced the id, and so holds the session.
        """
        if self._tombstone:
            raise SessionGone(REPLACED)
        self._changes_of_id += 1
        self._ended += [key for key in (self.key, self._replaced) if key]
        self._fence = None
        self._clear()

    # Flash messages.

    def flash(self, message: Any) -> None:
        """Keep a JSON value for the next page that shows messages."""
        # A field for each, so that requests at the same time don't overwrite one another's.
        order = f"{time.time_ns():020}-{next(_flashes):010}-{secrets.token_hex(4)}"
        self._set(FLASH + order, message)

    async def pop_flashes(self) -> list[Any]:
        """Return the messages that were not shown yet, oldest first, and drop them.

        Each is returned once, also when two requests ask at the same time.

        :raises StoreUnavailable: if the store does not answer. The messages may be lost.
        """
        async with self._saving:
            names = sorted(name for name in self._values if name.startswith(FLASH))
            values = {name: self._values.pop(name) for name in names}
            self._suspects.difference_update(names)  # they are dealt with here
            stored = [name for name in names if name in self._texts]
            ours: Collection[str] = ()
            if stored:
                with suppress(SessionGone):
                    ours = await self._write({}, stored)
            lost = set(stored).difference(ours)
            return [value for name, value in values.items() if name not in lost]

    # Storing.

    async def save(self) -> None:
        """Store what changed, at once; a request does it by itself before its first byte.

        :raises SessionGone: if it was ended by another request meanwhile. Nothing is stored.
        :raises SessionValueError: if a value is no JSON.
        :raises SessionTooLarge: if it is more than the store takes. Nothing is stored.
        :raises LeaseLost: in an `exclusive` block that took too long. Nothing is stored.
        :raises CookieSent: if it would be stored for the first time, and no cookie can be sent.
        :raises StoreUnavailable: if the store does not answer. Nothing is known to be stored.
        """
        async with self._saving:
            await self._save()

    @property
    def saving(self) -> bool:
        """True while something is being stored."""
        return self._lock is not None and self._lock.locked()

    def save_due(self) -> bool:
        """Tell whether there is something to store, or to tell the client."""
        return self.cookie_due or self.modified or self.renewal_due

    async def reload(self) -> None:
        """Take on what the store has by now; what was changed here and not saved is lost.

        :raises SessionGone: if it has ended meanwhile.
        """
        async with self._saving:
            if self.id is not None:
                await self.load(self.id)
                if self.id is None:
                    raise SessionGone(ENDED)

    async def keep_alive(self) -> None:
        """Renew its expiry, and store nothing else.

        :raises SessionGone: if it has ended meanwhile.
        """
        async with self._saving:
            fence, self._fence = self._fence, None  # a lease that is over has nothing to do with it
            try:
                if self.id is not None:
                    await self._write({}, [])
            finally:
                self._fence = fence

    @asynccontextmanager
    async def exclusive(self, *, wait: float = WAIT, lease: float = LEASE) -> AsyncIterator[Self]:
        """Change it while no other ``exclusive`` block can, in any process::

            async with self.session.exclusive() as session:
                session["n"] += 1

        The block begins with what the store has by then. What it changes is stored at its end;
        if it raises, nothing is. Requests that change the session without ``exclusive`` are not
        kept out.

        :arg wait: for other blocks to end, in seconds.
        :arg lease: seconds after which others need not wait for this block any more.
        :raises SessionBusy: if others hold it for longer than ``wait``; also in a block in a block.
        :raises LeaseLost: if the block took longer than ``lease``. Nothing is stored.
        :raises SessionGone: if the session has ended meanwhile.
        """
        if self._tombstone:
            raise SessionGone(REPLACED)
        deadline = time.monotonic() + wait
        async with self._turn(wait):
            await self.save()  # what was changed before the block
            if self.id is not None:
                self._fence = await self._lease(deadline, lease)
            try:
                await self.save()  # and by another task meanwhile
                await self.reload()
                yield self
                await self.save()
            except BaseException:
                self._hold(self._texts)  # nor is it stored later
                raise
            finally:
                await self._release()

    @cached_property
    def _turns(self) -> asyncio.Lock:
        return asyncio.Lock()

    @asynccontextmanager
    async def _turn(self, wait: float) -> AsyncIterator[None]:
        """Wait for blocks of this very object: two tasks of a WebSocket may share it."""
        try:
            async with asyncio.timeout(wait):
                await self._turns.acquire()
        except TimeoutError:
            raise SessionBusy("this session is held by another exclusive block here") from None
        try:
            yield
        finally:
            self._turns.release()

    async def _lease(self, deadline: float, seconds: float) -> int:
        pause = FIRST_PAUSE
        while (fence := await self._store.lease(self.key, seconds)) is None:
            if not is_live(await self._store.load(self.key)):
                raise SessionGone(ENDED)
            if time.monotonic() + pause > deadline:
                raise SessionBusy("this session is held by another request")
            await asyncio.sleep(random.uniform(0, 2 * pause))  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE)
        return fence

    async def _release(self) -> None:
        fence, self._fence = self._fence, None
        if fence is not None:
            with suppress(StoreUnavailable):  # then it ends by itself
                await self._store.release(self.key, fence)
