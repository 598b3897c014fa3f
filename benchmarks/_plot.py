"""A plot of targets: a bar for each figure that has one."""

from collections.abc import Sequence
from html import escape

from benchmarks._figures import Figure, number

# In pixels.
WIDTH, LABEL, HEAD, BAR, GAP = 820, 440, 22, 16, 8
SCALE = 180  # from nothing to the target
LONGEST = 2.0  # targets
THINNEST = 0.01
MET, MISSED, INK = "#2e7d32", "#c62828", "#222"


def plot(figures: Sequence[Figure]) -> str:
    """Return an SVG; nothing if no figure has a target to be a share of."""
    aimed = [figure for figure in figures if figure.at_most]
    if not aimed:
        return ""
    height = HEAD + len(aimed) * (BAR + GAP)
    bars = "\n".join(bar(figure, HEAD + n * (BAR + GAP)) for n, figure in enumerate(aimed))
    line = LABEL + SCALE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="12" fill="{INK}">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n{bars}\n'
        f'<path d="M{line} {HEAD - GAP}V{height}" stroke="{INK}"/>\n'
        f'<text x="{line}" y="{BAR - 4}" text-anchor="middle">at most</text>\n</svg>\n'
    )


def bar(figure: Figure, top: float) -> str:
    """Return one bar with its label, and a thin line over how far the runs differed."""
    assert figure.at_most
    middle, length = top + BAR / 2, share(figure, figure.value)
    label = escape(f"{figure.what}: {number(figure.value)} (at most {figure.at_most:g})")
    colour = MET if figure.verdict == "met" else MISSED
    drawn = (
        f'<text x="{LABEL - 8}" y="{top + BAR - 4}" text-anchor="end">{label}</text>'
        f'<rect x="{LABEL}" y="{top}" width="{length:.0f}" height="{BAR}" fill="{colour}"/>'
    )
    if figure.spread is not None:
        first, last = (LABEL + share(figure, value) for value in figure.spread)
        drawn += f'<path d="M{first:.0f} {middle:.0f}H{last:.0f}" stroke="{INK}"/>'
    return drawn


def share(figure: Figure, value: float) -> float:
    """Return how long a bar of ``value`` is."""
    assert figure.at_most
    return SCALE * min(max(THINNEST, value / figure.at_most), LONGEST)
