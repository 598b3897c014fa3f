"""The table of figures."""

from collections.abc import Iterable
from dataclasses import dataclass

COLUMNS = {"topic": 10, "what": 44, "figure": 20, "target": 7, "": 6, "spread": 14}  # widths


@dataclass(frozen=True)
class Figure:
    """A number that was measured: the lower, the better."""

    what: str
    value: float
    unit: str  # "us", "of stock"
    at_most: float | None = None  # the target
    spread: str = ""  # how far the runs differed: "0.98 to 1.02"

    @property
    def verdict(self) -> str:
        """``met``, ``MISSED``, or nothing where nothing was promised."""
        if self.at_most is None:
            return ""
        return "met" if self.value <= self.at_most else "MISSED"


def spread(values: Iterable[float]) -> str:
    """Return the lowest and the highest."""
    ordered = sorted(values)
    return f"{number(ordered[0])} to {number(ordered[-1])}"


def number(value: float) -> str:
    """Return ``value`` as the table shows it."""
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def header() -> str:
    """Return the first two lines of a Markdown table."""
    return f"{_line(COLUMNS)}\n{_line('-' * width for width in COLUMNS.values())}"


def row(topic: str, figure: Figure) -> str:
    """Return the line of one figure."""
    target = "" if figure.at_most is None else f"<= {figure.at_most:g}"
    shown = f"{number(figure.value)} {figure.unit}"
    return _line((topic, figure.what, shown, target, figure.verdict, figure.spread))


def _line(cells: Iterable[str]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, COLUMNS.values(), strict=True))
    return f"| {' | '.join(padded)} |"
