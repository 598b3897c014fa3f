"""docs/benchmarks.md: every figure of a run, those that lost too, with a plot for each topic."""

import os
import platform
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from benchmarks._figures import Figure, number

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "benchmarks"

INTRODUCTION = """\
# Benchmarks

Written by `make bench`, which took {minutes:.0f} minutes for all of it. Two runs of one program
differ, and so do two machines: a figure is worth something only next to its yardstick, which was
measured in the same run, in turn. How each is measured: [speed](speed.md).

How to read a line: the figure, the most that was promised, whether that was met (**MISSED** where
not), and between which values the runs were. The lower, the better, all of them. In the plots a bar
is a figure, as a share of what was promised: past the line it is missed.

{machine}
"""

# Of a plot, in pixels.
WIDTH, LABEL, BAR, GAP = 760, 380, 16, 8
SCALE = 180  # from nothing to the target
LONGEST = 2.0  # targets


def write(figures: Mapping[str, Sequence[Figure]], seconds: float) -> None:
    """Write the page and its plots."""
    PLOTS.mkdir(exist_ok=True)
    for topic, found in figures.items():
        if svg := plot(found):
            (PLOTS / f"{topic}.svg").write_text(svg)
    PAGE.write_text(page(figures, seconds))


def page(figures: Mapping[str, Sequence[Figure]], seconds: float) -> str:
    """Return the Markdown."""
    head = INTRODUCTION.format(minutes=seconds / 60, machine=machine())
    return "\n".join([head, *(section(topic, found) for topic, found in figures.items())])


def machine() -> str:
    """Return on what it was measured."""
    packages = [f"{name} {version(name)}" for name in dependencies()]
    return (
        f"{os.cpu_count()} CPUs ({processor()}), {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}; {', '.join(packages)}. "
        f"At the end {os.getloadavg()[1]:.1f} processes wanted to run, those of this among them."
    )


def processor() -> str:
    """Return the model of the CPU, where Linux tells it."""
    path = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", path.read_text()) if path.exists() else None
    return found[1] if found else platform.machine()


def dependencies() -> list[str]:
    """Return the names of what is measured, and of what it is measured next to."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    listed = project["dependencies"] + extras["redis"] + extras["mysql"] + extras["tornado-mysql"]
    names = [re.split(r"[<>=\[]", each)[0] for each in [*listed, *extras["bench"]]]
    return [name for name in dict.fromkeys(names) if name != "tornado-ext"]


def section(topic: str, figures: Sequence[Figure]) -> str:
    """Return the part of one topic: what its module says of itself, a plot and a table."""
    about = (import_module(f"benchmarks.{topic}").__doc__ or "").strip()
    shown = f"\n![{topic}](benchmarks/{topic}.svg)\n" if plot(figures) else ""
    return "\n".join([f"## {topic}\n\n{about}\n{shown}", *table(figures), ""])


def table(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| what | figure | promised | | runs |"
    yield "|---|---|---|---|---|"
    for figure in figures:
        target = "" if figure.at_most is None else f"<= {figure.at_most:g}"
        verdict = "**MISSED**" if figure.verdict == "MISSED" else figure.verdict
        shown = f"{number(figure.value)} {figure.unit}"
        yield f"| {figure.what} | {shown} | {target} | {verdict} | {figure.spread} |"


def plot(figures: Sequence[Figure]) -> str:
    """Return an SVG with a bar for each figure that has a target; nothing if none has."""
    promised = [figure for figure in figures if figure.at_most]
    if not promised:
        return ""
    height = len(promised) * (BAR + GAP) + GAP
    bars = "\n".join(bar(figure, row) for row, figure in enumerate(promised))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n{bars}\n'
        f'<path d="M{LABEL + SCALE} 0V{height}" stroke="#000"/>\n</svg>\n'
    )


def bar(figure: Figure, row: int) -> str:
    """Return one bar with its label."""
    assert figure.at_most
    share = min(max(0.01, figure.value / figure.at_most), LONGEST)
    top = GAP + row * (BAR + GAP)
    colour = "#2e7d32" if figure.verdict == "met" else "#c62828"
    label = escape(f"{figure.what}: {number(figure.value)} of {figure.at_most:g}")
    return (
        f'<text x="{LABEL - 8}" y="{top + BAR - 4}" text-anchor="end">{label}</text>'
        f'<rect x="{LABEL}" y="{top}" width="{share * SCALE:.0f}" height="{BAR}" fill="{colour}"/>'
    )
