"""How evenly keys are spread on nodes, and how many move when one is added: nothing is timed."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import md5

from benchmarks._figures import Figure
from benchmarks._placing import keys
from tornado_ext.sessions.ring import Ring

KEYS = 50_000
ADDED_TO = (3, 10)  # nodes
EVEN = 10  # nodes
MOST = 1.10  # of the mean

Weights = Mapping[str, int]
Owners = Callable[[str], tuple[str, ...]]
Way = Callable[[Weights], Owners]
Placed = list[tuple[str, ...]]  # in the order of the keys


def by_ring(weights: Weights, replicas: int = 1) -> Owners:
    """Place keys as `ShardedRedisStore` does."""
    return Ring(weights, weights, replicas).owners


def by_list(weights: Weights) -> Owners:
    """Place keys by modulo, on a list that has each node as often as its weight says."""
    return partial(_in_list, [name for name, weight in weights.items() for _ in range(weight)])


def _in_list(names: Sequence[str], key: str) -> tuple[str, ...]:
    return (names[int.from_bytes(md5(key.encode()).digest(), "big") % len(names)],)


def by_modulo(weights: Weights) -> Owners:
    """Place keys by modulo; weights are not known there."""
    return by_list(dict.fromkeys(weights, 1))


def equal(number: int) -> dict[str, int]:
    """Return nodes of weight 1."""
    return {f"node{n}": 1 for n in range(number)}


def one_heavier(number: int) -> dict[str, int]:
    """Return nodes of weight 1, but for the first, of weight 2."""
    return equal(number) | {"node0": 2}


WAYS: dict[str, Way] = {
    "this ring": by_ring,
    "modulo": by_modulo,
    "modulo on a list that repeats": by_list,
}


def measure(quick: bool = False) -> list[Figure]:
    """Return what the ring does with keys of which each is on one node, and on two."""
    sample = sampled(2_000 if quick else KEYS)
    figures = []
    for replicas, what in (1, "keys"), (2, "copies"):
        where = {
            number: placed(sample, by_ring(equal(number), replicas))
            for each in ADDED_TO
            for number in (each, each + 1)
        }
        for number in ADDED_TO:
            moved = 100 * moving(where[number], where[number + 1])
            most = 100 // (number + 1) + 3  # of the percentage that was promised, rounded down
            figures.append(Figure(f"{what} that move, a node added to {number}", moved, "%", most))
        load = fullest(where[EVEN], equal(EVEN))
        figures.append(Figure(f"{what} on the fullest of {EVEN}", load, "of mean", MOST))
    return figures


def table() -> Iterator[str]:
    """Yield the lines of a Markdown table that compares the ways to place keys."""
    sample = sampled(KEYS)
    yield (
        f"| {KEYS:,} keys | fullest of {EVEN} | one of them of weight 2 "
        f"| moved, one added to 3 | to {EVEN} | moved, a weight of 1 becomes 2 |"
    )
    yield "|---|---|---|---|---|---|"
    for name, owners in WAYS.items():
        three, four, even, more = (placed(sample, owners(equal(n))) for n in (3, 4, EVEN, EVEN + 1))
        heavier = placed(sample, owners(one_heavier(EVEN)))
        loads = fullest(even, equal(EVEN)), fullest(heavier, one_heavier(EVEN))
        moves = moving(three, four), moving(even, more), moving(even, heavier)
        cells = [f"{load:.2f}" for load in loads] + [f"{move:.1%}" for move in moves]
        yield f"| {name} | {' | '.join(cells)} |"


def sampled(number: int) -> list[str]:
    """Return keys, the same in each run."""
    return list(keys(range(number)))


def placed(sample: Sequence[str], owners: Owners) -> Placed:
    """Return the owners of each key."""
    return [owners(key) for key in sample]


def moving(before: Placed, after: Placed) -> float:
    """Return the share of copies that have to be made on another node."""
    made = sum(
        len(set(new).difference(old)) for old, new in zip(before, after, strict=True) if old != new
    )
    return made / sum(map(len, after))


def fullest(where: Placed, weights: Weights) -> float:
    """Return the load of the fullest node, over what its weight says."""
    held = Counter(name for names in where for name in names)
    fair = held.total() / sum(weights.values())
    return max(held[name] / weight / fair for name, weight in weights.items())
