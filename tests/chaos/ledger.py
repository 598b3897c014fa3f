"""What clients were promised, what they got, and the difference."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

NAMES = ("a", "b", "c", "d")  # of the values that clients write
MOST_NOTES = 10  # of one kind


@dataclass
class Counts:
    """How often a promise was broken, with a note for the first ones."""

    lost: int = 0  # sessions: anonymous, though logged in
    idle_lost: int = 0  # of those that were only looked at in the end, or what was in them
    writes_lost: int = 0  # acknowledged: values, deletions, increments, messages
    logouts_undone: int = 0
    failed: int = 0  # replies of 5xx, and requests without a reply
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, note: str) -> None:
        """Count one more of ``what``."""
        counted = getattr(self, what) + 1
        setattr(self, what, counted)
        if counted <= MOST_NOTES:
            self.notes.append(f"{what}: {time.strftime('%H:%M:%S')} {note}")

    def broken(self) -> list[str]:
        """Name the counts that are not 0, as they all must be."""
        counted = {name: value for name, value in vars(self).items() if name != "notes"}
        return [f"{name} {value}" for name, value in counted.items() if value]


class Kept:
    """What one session holds, as far as it was acknowledged.

    A write without an acknowledgement may be there or not, until one that came later is.
    """

    def __init__(self, values: dict[str, str]) -> None:
        self.values: dict[str, set[str | None]] = {name: {values.get(name)} for name in NAMES}
        self.count = {0}
        self.messages: set[str] = set()
        self.perhaps: set[str] = set()  # messages

    def wrote(self, name: str, writes: Iterable[tuple[str | None, bool]]) -> None:
        """Take note of a write, or of several at once, each with whether it was acknowledged."""
        values = {value for value, _ in writes}
        self.values[name] = values if any(ok for _, ok in writes) else self.values[name] | values

    def counted(self, got: list[int | None]) -> str:
        """Take note of increments at once: what each returned, or None. Tell what is wrong."""
        known = [number for number in got if number is not None]
        least, most = min(self.count) + 1, max(self.count) + len(got)
        right = len(set(known)) == len(known) and all(least <= n <= most for n in known)
        wrong = "" if right else f"increments of {self.count} gave {got}"
        unknown = len(got) - len(known)
        reached = {max(known)} if known else self.count
        self.count = {number + more for number in reached for more in range(unknown + 1)}
        return wrong

    def read(self, values: dict[str, Any]) -> list[str]:
        """Compare with all that the session holds; tell what is wrong, once."""
        wrong = []
        for name, allowed in self.values.items():
            if values.get(name) not in allowed:
                wrong.append(f"{name} is {values.get(name)!r}, not {allowed}")
                self.values[name] = {values.get(name)}
        if values.get("count", 0) not in self.count:
            wrong.append(f"the count is {values.get('count')}, not {self.count}")
            self.count = {values.get("count", 0)}
        return wrong

    def flashed(self, message: str, acknowledged: bool) -> None:
        """Take note of a message."""
        (self.messages if acknowledged else self.perhaps).add(message)

    def popped(self, got: list[str] | None) -> list[str]:
        """Compare with the messages that are due; None if there was no reply."""
        if got is None:
            self.perhaps |= self.messages
            self.messages = set()
            return []
        wrong = [f"message {message!r} is lost" for message in self.messages - set(got)]
        again = set(got) - self.messages - self.perhaps
        wrong += [f"message {message!r} is shown again" for message in again]
        self.messages, self.perhaps = set(), self.perhaps - set(got)
        return wrong
