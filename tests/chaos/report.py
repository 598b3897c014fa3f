"""The figures of a trial, and the bounds that they must keep."""

import math
from dataclasses import dataclass, field

from tests.chaos.ledger import Counts

LEAST_RATE = 200.0  # requests a second
TIMEOUT = 0.5  # seconds that a store waits for a node
TIMES = 5  # the p99 before, for the p99 during an event
COLUMNS = (
    *("event", "shard", "requests/s", "sessions lost", "idle lost", "writes lost"),
    *("logouts undone", "5xx", "p99 before", "during", "shard killed", "settled in"),
)


@dataclass
class Row:
    """What came of one trial. Times are in seconds; ``p99`` before, during, and after the event."""

    event: str
    shard: str
    counts: Counts
    rate: float = 0.0
    p99: list[float] = field(default_factory=list)
    settled: float = math.nan
    failure: str = ""  # what kept the trial from its end

    def cells(self) -> list[str]:
        """Return the cells of the table's line."""
        counts = self.counts
        found = (counts.lost, counts.idle_lost, counts.writes_lost, counts.logouts_undone)
        times = [f"{1000 * seconds:.0f} ms" for seconds in self.p99]
        times += ["-"] * (3 - len(times))
        cells = [self.event, self.shard, f"{self.rate:.0f}", *map(str, (*found, counts.failed))]
        return [*cells, *times, f"{self.settled:.1f} s"]

    def broken(self) -> list[str]:
        """Name the bounds that are broken: none, where all is well."""
        broken = self.counts.broken() + ([self.failure] if self.failure else [])
        if not self.rate >= LEAST_RATE:
            broken.append(f"{self.rate:.0f} requests/s are less than {LEAST_RATE:.0f}")
        if self.p99:
            before, *later = self.p99
            bound = TIMES * before + TIMEOUT
            broken += [
                f"p99 of {1000 * p99:.0f} ms is above {1000 * bound:.0f} ms"
                for p99 in later
                if p99 > bound
            ]
        return broken


def complaints(rows: list[Row]) -> list[str]:
    """Name the bounds that any of the trials broke: none, where all is well."""
    return [f"{row.event}, shard {row.shard}: {what}" for row in rows for what in row.broken()]


def p99(times: list[tuple[float, float]], since: float, until: float) -> float:
    """Return the 99th percentile of what came in that time."""
    took = sorted(seconds for at, seconds in times if since <= at < until)
    return took[int(len(took) * 0.99)] if took else math.nan


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [list(COLUMNS), *(row.cells() for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(COLUMNS))]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([*map(str.ljust, line, widths)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)
