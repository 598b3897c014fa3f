"""What sessions should do, said with plain dicts: no store, no event loop, no bytes."""

from contextlib import suppress
from copy import copy, deepcopy
from dataclasses import dataclass, field
from typing import Any

from tornado_ext.sessions.codec import FLASH

IDLE, LIFETIME, LEASE, TOMBSTONE = 1000.0, 10_000.0, 200.0, 60.0  # seconds
RENEWAL = 100.0  # seconds

LIVE, REPLACED, ENDED = "live", "replaced", "ended"


class Refused(Exception):
    """The request is answered with this status."""

    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(eq=False)
class Kept:
    """What the store should have under one id."""

    fields: dict[str, Any]
    user: str | None
    seen: float
    ends: float
    state: str = LIVE
    until: float = 0.0  # when a tombstone goes
    holder: int = -1  # the request that has the lease
    leased_until: float = 0.0
    key: str = ""  # told by the session that was tested
    trace: list["Kept"] = field(default_factory=list, repr=False)  # all that it was

    def note(self) -> None:
        """Remember what it is, for who may see it after a failure in mid-way."""
        self.trace.append(copy(self))


@dataclass
class View:
    """What one request knows of its session, and is about to change."""

    number: int
    kept: Kept | None = None
    stale: bool = False  # the id that it brought is replaced
    known: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    user: str | None = None
    seen: float = 0.0
    ends: float = 0.0
    ended: list[Kept] = field(default_factory=list)
    replacing: bool = False
    in_block: bool = False
    fenced: bool = False
    cookie_due: bool = False

    @property
    def changes(self) -> dict[str, Any]:
        """What it sets, and None for what it deletes."""
        names = self.known.keys() | self.values.keys()
        return {n: v for n in names if (v := self.values.get(n)) != self.known.get(n)}


class Model:
    """Sessions, requests and browsers; each method is one thing that a request does."""

    def __init__(self, browsers: int, now: float) -> None:
        self.now = now
        self.kept: list[Kept] = []
        self.views: dict[int, View] = {}
        self.jar: list[Kept | None] = [None] * browsers

    def live(self, kept: Kept | None) -> bool:
        alive = kept is not None and kept.state == LIVE
        return alive and self.now < min(kept.seen + IDLE, kept.ends)

    def tombstone(self, kept: Kept) -> bool:
        return kept.state == REPLACED and self.now < kept.until

    # Requests.

    def open(self, number: int, browser: int) -> View:
        view = self.views[number] = View(number)
        self._load(view, self.jar[browser])
        return view

    def close(self, number: int, browser: int) -> int:
        """End a request, and return its status."""
        view, status = self.views[number], 200
        if view.in_block:
            try:
                self.leave(view)
            except Refused as refused:
                return self.fail(number, browser, refused.status)
        try:
            self.save(view)
        except Refused as refused:
            status = refused.status
        return self._reply(view, browser, status)

    def fail(self, number: int, browser: int, status: int) -> int:
        """End a request that was refused: its session is stored all the same."""
        view = self.views[number]
        if view.in_block:
            self._give_back(view)
            view.values = deepcopy(view.known)
        with suppress(Refused):
            self.save(view)
        return self._reply(view, browser, status)

    def refuse(self, number: int, browser: int) -> int:
        """End a request whose new session a revoke has met before it was stored."""
        view = self.views[number]
        for kept in view.ended:
            kept.state, view.cookie_due = ENDED, True
        self._blank(view)
        return self._reply(view, browser, 409)

    def _reply(self, view: View, browser: int, status: int) -> int:
        if view.cookie_due:
            self.jar[browser] = view.kept
        del self.views[view.number]
        return status

    def _load(self, view: View, kept: Kept | None) -> None:
        self._blank(view)
        if kept is not None and self.tombstone(kept):
            view.stale = True
        if kept is None or not self.live(kept):
            return
        view.kept, view.user, view.seen, view.ends = kept, kept.user, kept.seen, kept.ends
        view.known, view.values = deepcopy(kept.fields), deepcopy(kept.fields)

    def _blank(self, view: View) -> None:
        view.kept, view.user, view.replacing = None, None, False
        view.known, view.values, view.seen, view.ends = {}, {}, self.now, self.now + LIFETIME

    # What a handler does.

    def login(self, view: View, user: str) -> None:
        if view.user not in (None, user):
            self.logout(view)
        self.regenerate(view)
        view.user, view.ends = user, self.now + LIFETIME

    def regenerate(self, view: View) -> None:
        view.replacing = view.kept is not None

    def logout(self, view: View) -> None:
        if view.stale:
            raise Refused(409)
        if view.kept is not None:
            view.ended.append(view.kept)
        view.fenced = False
        self._blank(view)

    def pop_flashes(self, view: View) -> list[Any]:
        names = sorted(name for name in view.values if name.startswith(FLASH))
        shown = {name: view.values.pop(name) for name in names}
        stored = [name for name in names if name in view.known]
        lost: set[str] = set()
        if stored:
            there = self._write(view, dict.fromkeys(stored))
            lost = {n for n in stored if not there or n not in there}
        for name in stored:
            del view.known[name]
        return [value for name, value in shown.items() if name not in lost]

    def reload(self, view: View) -> None:
        if view.kept is not None:
            self._load(view, kept := view.kept)
            if not self.live(kept):
                raise Refused(409)

    def enter(self, view: View) -> None:
        """Begin an exclusive block."""
        if view.stale:
            raise Refused(409)
        self.save(view)
        if (kept := view.kept) is not None:
            if not self.live(kept):
                raise Refused(409)
            if self.now < kept.leased_until:
                raise Refused(503)
            kept.holder, kept.leased_until, view.fenced = view.number, self.now + LEASE, True
        view.in_block = True
        self.reload(view)

    def leave(self, view: View) -> None:
        """End an exclusive block."""
        try:
            self.save(view)
        except Refused:
            view.values = deepcopy(view.known)
            raise
        finally:
            self._give_back(view)

    def _give_back(self, view: View) -> None:
        if view.fenced and view.kept is not None and view.kept.holder == view.number:
            view.kept.leased_until = 0.0
        view.in_block = view.fenced = False

    # Storing.

    def save(self, view: View) -> None:
        changes = view.changes
        sets = any(value is not None for value in changes.values())
        if view.stale and (sets or view.user is not None):
            raise Refused(409)
        while view.ended:
            if self.tombstone(view.ended[0]):
                raise Refused(409)
            ended = view.ended.pop(0)
            ended.state = ENDED
            ended.note()
            view.cookie_due = True
        if view.replacing or (view.kept is None and (sets or view.user is not None)):
            self._create(view, changes)
        elif view.kept is not None and (changes or self.now - view.seen >= RENEWAL):
            if self._write(view, changes) is None and changes:
                raise Refused(409)
            view.known = {**view.known, **changes}
            view.known = {n: deepcopy(v) for n, v in view.known.items() if v is not None}

    def _write(self, view: View, changes: dict[str, Any]) -> dict[str, Any] | None:
        """Change what is kept; return what was there of it, and None if the session has ended."""
        kept = view.kept
        if kept is None or not self.live(kept) or self.now >= view.ends:
            return None
        if view.fenced and not (kept.holder == view.number and self.now < kept.leased_until):
            raise Refused(409)
        there = {name: kept.fields[name] for name in changes if name in kept.fields}
        merged = {**kept.fields, **deepcopy(changes)}
        kept.fields = {name: value for name, value in merged.items() if value is not None}
        kept.seen = view.seen = self.now
        kept.note()
        return there

    def _create(self, view: View, changes: dict[str, Any]) -> None:
        old, fields = view.kept, dict(view.values)
        if old is not None:
            if not self.live(old):
                self._blank(view)
                raise Refused(409)
            merged = {**old.fields, **changes}
            fields = {name: value for name, value in merged.items() if value is not None}
            old.state, old.until = REPLACED, self.now + TOMBSTONE
            old.note()
        view.kept = Kept(deepcopy(fields), view.user, self.now, view.ends)
        view.kept.note()
        self.kept.append(view.kept)
        view.known, view.values, view.seen = deepcopy(fields), deepcopy(fields), self.now
        view.replacing, view.cookie_due = False, True

    def revoke(self, user: str) -> int:
        """End every session of a user, and return how many these were."""
        ended = [kept for kept in self.kept if kept.user == user and self.live(kept)]
        for kept in ended:
            kept.state = ENDED
            kept.note()
        return len(ended)

    def jar_keys(self) -> list[str | None]:
        return [kept and kept.key for kept in self.jar]
