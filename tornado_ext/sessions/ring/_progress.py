"""How far a long piece of work is: a bar on a terminal, a line now and then elsewhere."""

import time
from typing import Self, TextIO

WIDTH = 30  # characters of the bar
REDRAWN = 0.1  # seconds between two drawings of it
SAID = 10.0  # seconds between two lines


class Progress:
    """Tells how far it is, in units that the caller counts. A context manager."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bar = out.isatty()
        self._what = ""
        self._done = self._total = 0
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar and self._what:
            self._out.write("\n")

    def begin(self, what: str, total: int) -> None:
        """Start a piece of work of so many units, or less."""
        if self._bar and self._what:
            self._out.write("\n")
        self._what, self._done, self._total = what, 0, total
        self._began = time.monotonic()
        self._tell()

    def advance(self, units: int) -> None:
        """Count what was done."""
        self._done += units
        if time.monotonic() - self._told >= (REDRAWN if self._bar else SAID):
            self._tell()

    def end(self) -> None:
        """Tell that the piece of work is done."""
        self._total = self._done
        self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        seconds = int(self._told - self._began)
        share = min(1.0, self._done / self._total) if self._total else float(self._total == 0)
        counted = f"{self._done:,} keys, {share:4.0%}, {seconds} s"
        if self._bar:
            full = round(WIDTH * share)
            bar = "#" * full + "." * (WIDTH - full)
            self._out.write(f"\r{self._what:28} [{bar}] {counted} ")
        else:
            self._out.write(f"{self._what}: {counted}\n")
        self._out.flush()
