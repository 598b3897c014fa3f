"""Stamps, which order the writes of all processes."""

import secrets
import time

STAMP = 20  # characters: 14 of microseconds since the epoch, 6 of the writer, in hexadecimal
_TIME = 14


class Clock:
    """A hybrid clock: it goes with the time of day, and is never behind a stamp that it saw.

    Kulkarni et al., Logical Physical Clocks, 2014.
    """

    def __init__(self) -> None:
        self._last = ""
        self._writer = secrets.token_hex((STAMP - _TIME) // 2)

    def stamp(self) -> str:
        """Return a stamp above all that this clock has given or seen."""
        now = time.time_ns() // 1000
        if self._last:
            now = max(now, int(self._last, 16) + 1)
        self._last = f"{now:0{_TIME}x}"
        return self._last + self._writer

    def saw(self, stamp: str) -> None:
        """Go on from a stamp of another process; '' is below all."""
        self._last = max(self._last, stamp[:_TIME])
