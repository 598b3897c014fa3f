"""The CPU time of finding the owners of a key, next to uhashring's own `range`."""

import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from statistics import median

from uhashring import HashRing

from benchmarks._figures import Figure, spread
from tornado_ext.sessions.ring import VNODES, Ring

NODES = (3, 10, 100)
AT_MOST = {100: 6.0}  # microseconds
BATCHES, BATCH = 40, 500  # of keys, each another one
PEER_BATCH = 20


def measure(quick: bool = False) -> list[Figure]:
    """Return what a key takes in rings of some sizes."""
    batches = 2 if quick else BATCHES
    figures = []
    for number in NODES:
        names = [f"node{n}" for n in range(NODES[0] if quick else number)]
        ours = microseconds(Ring(names).owners, batches, BATCH)
        theirs = microseconds(by_range(HashRing(names, vnodes=VNODES)), batches, PEER_BATCH)
        at_most, title = AT_MOST.get(number), f"placing a key, {number} nodes"
        figures += [
            Figure(title, median(ours), "us", at_most, spread(ours)),
            Figure(f"{title}, uhashring", median(theirs), "us", spread=spread(theirs)),
        ]
    return figures


def by_range(ring: HashRing) -> Callable[[str], object]:
    """Return how uhashring finds two owners of a key."""
    return lambda key: list(ring.range(key, size=2))


def microseconds(place: Callable[[str], object], batches: int, batch: int) -> list[float]:
    """Return the cost of a key in each batch."""
    costs = []
    for number in range(batches):
        each = list(keys(range(number * batch, (number + 1) * batch)))
        start = time.process_time_ns()
        for key in each:
            place(key)
        costs.append((time.process_time_ns() - start) / batch / 1000)
    return costs


def keys(numbers: Iterable[int]) -> Iterator[str]:
    """Yield keys as sessions have them, the same in each run."""
    return (sha256(b"%d" % number).hexdigest() for number in numbers)
