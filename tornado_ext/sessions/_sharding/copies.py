"""Copies of a session, as nodes have them: how they merge, and the record that they make.

A copy is the Redis hash as a dict of strings. What each field is, is in docs/sharding.md.
"""

import time
from collections.abc import Iterable, Sequence

from tornado_ext.sessions._sharding.clock import STAMP
from tornado_ext.sessions.errors import SessionCorrupt
from tornado_ext.sessions.store import Record

REPLACED = "replaced"

Copy = dict[str, str]


def copy_of(reply: Sequence[str]) -> Copy:
    """Return the copy in a reply to HGETALL: empty if there is none."""
    items = iter(reply)
    return dict(zip(items, items, strict=True))


def merge(copies: Iterable[Copy]) -> Copy:
    """Return what copies of one session have together: empty if there is none.

    This is associative, commutative and idempotent.
    """
    held = [copy for copy in copies if copy]
    if gone := [copy for copy in held if "gone" in copy]:
        return min(gone, key=lambda copy: copy["gone"].startswith(REPLACED))
    merged = dict(held[0]) if held else {}
    for copy in held[1:]:
        _merge_into(merged, copy)
    return merged


def _merge_into(merged: Copy, copy: Copy) -> None:
    ours, theirs = merged.get("purged", ""), copy.get("purged", "")
    for name in [name for name in merged if name[0] == ":" and name not in copy]:
        if merged[name][:STAMP] <= theirs:
            del merged[name]
    for name, value in copy.items():
        if name[0] == ":":
            held = merged.get(name, ours)
            if value[:STAMP] > held[:STAMP]:
                merged[name] = value
    merged["seen"] = max(merged["seen"], copy["seen"], key=float)
    if ours < theirs:
        merged["purged"] = theirs


def record_of(copy: Copy) -> tuple[Record | None, str]:
    """Return the record that a copy holds, None if it is none or has ended; and its last stamp.

    :raises SessionCorrupt: if it is no copy of a session.
    """
    if not copy:
        return None, ""
    gone = copy.get("gone", "")
    if gone and not _readable(gone):
        return None, ""
    fields, last = {}, copy.get("purged", "")
    try:
        for name, value in copy.items():
            if name[0] == ":":
                if value > last:
                    last = value
                if len(value) > STAMP:
                    fields[name[1:]] = value[STAMP:]
        if gone:
            return Record(fields, replaced=True), last[:STAMP]
        made = copy["made"].split(" ", 2)
        user = made[2] if len(made) > 2 else None
        times = float(made[0]), float(copy["seen"])
        return Record(fields, *times, user, ends_at=float(made[1])), last[:STAMP]
    except (LookupError, ValueError) as exc:
        raise SessionCorrupt(f"a hash is no copy of a session: {exc!r}") from exc


def _readable(gone: str) -> bool:
    kind, *until = gone.split(" ")
    return kind == REPLACED and time.time() < float(until[0])
