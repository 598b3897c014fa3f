"""What a topic finds: figures, and the tables that show them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import quantiles

COLUMNS = ("what", "figure", "at most", "", "from ... to")
MISSED = "**MISSED**"

Spread = tuple[float, float]  # from, to


@dataclass(frozen=True)
class Figure:
    """A number that was measured: the lower, the better."""

    what: str
    value: float
    unit: str  # "us", "of stock"
    at_most: float | None = None  # the target
    spread: Spread | None = None  # how far the runs differed

    @property
    def verdict(self) -> str:
        """``met``, `MISSED`, or nothing where nothing was promised."""
        if self.at_most is None:
            return ""
        return "met" if self.value <= self.at_most else MISSED

    @property
    def cells(self) -> tuple[str, ...]:
        """What `COLUMNS` show of it."""
        most = "" if self.at_most is None else f"{self.at_most:g}"
        runs = "" if self.spread is None else " to ".join(map(number, self.spread))
        return self.what, f"{number(self.value)} {self.unit}", most, self.verdict, runs


def spread(values: Iterable[float]) -> Spread:
    """Return the lowest and the highest."""
    ordered = sorted(values)
    return ordered[0], ordered[-1]


def quartiles(values: Sequence[float]) -> Spread:
    """Return between which two values half of them are."""
    first, _, last = quantiles(values, n=4) if len(values) > 1 else [*values] * 3
    return first, last


def number(value: float) -> str:
    """Return ``value`` as a table shows it."""
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def table(figures: Iterable[Figure]) -> str:
    """Return a table of figures."""
    return markdown([COLUMNS, *(figure.cells for figure in figures)])


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table that is as readable before it is rendered; the first row is its heading."""
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    lines = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )
