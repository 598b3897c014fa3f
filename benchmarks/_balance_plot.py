"""docs/sharding-balance.svg: how even the ring is, and what moves, next to modulo."""

from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks._movement import (
    KEYS,
    WAYS,
    Way,
    fullest,
    moving,
    one_heavier,
    placed,
    sampled,
)

PLOT = Path(__file__).parent.parent / "docs" / "sharding-balance.svg"
NODES = range(2, 13)
COLOURS = dict(zip(WAYS, ("#1565c0", "#c62828", "#ef6c00"), strict=True))
MARKERS = dict(zip(WAYS, "os^", strict=True))


def draw(path: Path = PLOT, keys: int = KEYS) -> None:
    """Write the plot: the same file each time, for the same number of keys."""
    mpl.rcParams.update({"svg.hashsalt": "sharding", "svg.fonttype": "none"})
    canvas = Canvas(figsize=(9, 3.6), layout="constrained")
    balance, movement = canvas.subplots(1, 2)
    sample = sampled(keys)
    for name, way in WAYS.items():
        style = {"label": name, "color": COLOURS[name], "marker": MARKERS[name], "markersize": 4}
        loads, moves = loads_and_moves(sample, way)
        balance.plot(NODES, loads, **style)
        movement.plot(NODES, moves, **style)
    movement.plot(NODES, [100 / (n + 2) for n in NODES], "k:", label="its share")
    balance.set(title="Load of the fullest of N nodes, one of weight 2", ylim=(1, None))
    balance.set(xlabel="N", ylabel="of its share")
    movement.set(title="Keys that move when another is added", ylim=(0, 100))
    movement.set(xlabel="N", ylabel="%")
    for axes in (balance, movement):
        axes.set_xticks(NODES)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    canvas.savefig(path, metadata={"Date": None})


def loads_and_moves(sample: list[str], way: Way) -> tuple[list[float], list[float]]:
    """Return the load of the fullest of each number of nodes, and the % that one more moves."""
    where = [placed(sample, way(one_heavier(number))) for number in [*NODES, NODES[-1] + 1]]
    loads = [fullest(keys, one_heavier(number)) for number, keys in zip(NODES, where, strict=False)]
    return loads, [100 * moving(before, after) for before, after in pairwise(where)]
