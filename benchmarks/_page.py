"""docs/benchmarks.md: a part for each topic, of when it was last measured, and a summary of all."""

import ast
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from benchmarks import topics
from benchmarks._figures import COLUMNS, MISSED, Figure, markdown, table
from benchmarks._plot import plot

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"

INTRODUCTION = """\
# Benchmarks

What this package costs next to stock Tornado, to the same written by hand, and to other libraries,
with the figures that lost. `make bench` measures all of it and writes this page; with
`TOPIC=forms` it measures one topic anew and leaves the others as they are.
"""
READING = """\
## How to read

**A line.** "0.10 of WTForms", at most 0.25, met, 0.07 to 0.13: a tenth of what WTForms takes for
the same work; a quarter was the target, which is met; single rounds of the run were between 0.07
and 0.13. Less is better in every line. A line with no target is a yardstick, or there to be known.

**A plot.** A bar is a figure as a share of its target: green up to the black line, red past it.
The thin line goes from the lowest round to the highest.

**What to trust.** Ratios: both sides ran in the same run, in turn, so what slows the machine slows
both. Microseconds are of this machine alone. Costs are CPU time, unless it says that they are time
or memory. Where a yardstick was measured against itself ("again"), a difference no larger than
that one is noise. Below each table stands when it was measured, on what, and how busy other
programs kept the machine.
"""
MEASURED = re.compile(r"Measured (\S+) \S+ UTC in (\d+) s; other programs took (\d+)%")


def write(topic: str, figures: Sequence[Figure], conditions: str, path: Path = PAGE) -> None:
    """Put one topic into the page, and its plot beside; the other topics stay as they are."""
    measured = read(path.read_text()) if path.exists() else {}
    measured[topic] = f"{table(figures)}\n\n*{conditions}*\n"
    path.write_text(page(measured))
    if svg := plot(figures):
        drawing = path.with_suffix("") / f"{topic}.svg"
        drawing.parent.mkdir(exist_ok=True)
        drawing.write_text(svg)


def read(text: str) -> dict[str, str]:
    """Return what a page has that was measured, of the topics that there are today."""
    parts = re.findall(r"^## (\w+)$(?:.*?)(^\| what .*?\*\n)", text, re.MULTILINE | re.DOTALL)
    return {topic: measured for topic, measured in parts if topic in topics()}


def page(measured: Mapping[str, str]) -> str:
    """Return the Markdown."""
    ordered = {topic: measured[topic] for topic in topics() if topic in measured}
    sections = map(section, ordered, ordered.values())
    return "\n".join([INTRODUCTION, summary(ordered), READING, *sections])


def summary(measured: Mapping[str, str]) -> str:
    """Return how many targets were met, by topic, and the figures that missed theirs."""
    aimed = {topic: [row for row in rows(part) if row[3]] for topic, part in measured.items()}
    runs = {topic: MEASURED.findall(part)[0] for topic, part in measured.items()}
    days, seconds, others = zip(*runs.values(), strict=True)
    took = f"{sum(map(int, seconds)) / 60:.0f} minutes, on {' and '.join(sorted({*days}))}"
    lines = [(link(each), about(each)[0], met(aimed[each]), runs[each][1]) for each in runs]
    told = [
        "## In short",
        f"{met([*chain(*aimed.values())])} targets are met. It took {took}, "
        f"when other programs took up to {max(map(int, others))}% of the CPUs.",
        markdown([("topic", "what is measured", "met", "seconds"), *lines]),
    ]
    missed = [(topic, row) for topic, each in aimed.items() for row in each if MISSED in row]
    if missed:
        cells = [(link(topic), *row[:3], row[4]) for topic, row in missed]
        told += ["Missed:", markdown([("topic", *COLUMNS[:3], COLUMNS[4]), *cells])]
    return "\n\n".join(told) + "\n"


def link(topic: str) -> str:
    """Return a link to a topic's part of the page."""
    return f"[{topic}](#{topic})"


def met(lines: Sequence[tuple[str, ...]]) -> str:
    """Return how many of these rows, which have targets, meet them."""
    return f"{sum(MISSED not in row for row in lines)} of {len(lines)}"


def section(topic: str, measured: str) -> str:
    """Return the part of one topic: what its module says of itself, a plot, a table, and when."""
    drawn = any(float(most or 0) for _, _, most, *_ in rows(measured))
    shown = f"![{topic}](benchmarks/{topic}.svg)" if drawn else ""
    return "\n\n".join(filter(None, [f"## {topic}", *about(topic), shown, measured]))


def about(topic: str) -> tuple[str, str]:
    """Return what a topic says of itself: the first line, and the rest.

    It is read, not imported: what else a process holds changes what is measured in it.
    """
    said = ast.get_docstring(ast.parse((HERE / f"{topic}.py").read_text())) or ""
    first, _, rest = said.partition("\n")
    return first, rest.strip()


def rows(text: str) -> list[tuple[str, ...]]:
    """Return the cells of each line of a table, but for its heading."""
    lines = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in line) for line in lines[2:]]


if __name__ == "__main__":  # after a change of what is said: nothing is measured
    PAGE.write_text(page(read(PAGE.read_text())))
