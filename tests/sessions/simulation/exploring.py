"""Ways through a world: at random, or each of them."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.sessions.simulation.network import EMPTY, KEPT, OLD
from tests.sessions.simulation.world import Choose, Step, World, data_of

NODES = "abc"  # of the ring at first; d is there to be added
RINGS = {"abc": "abcd", "abcd": "abc"}
SESSIONS, USERS, FIELDS = "st", "uv", "xy"
TRIES = 15  # orders in which a shorter plan is tried


@dataclass(frozen=True)
class Run:
    """All that it takes to repeat a run: ``print(Run(...).failure())``."""

    steps: Sequence[Step]
    seed: int  # of the order
    skews: Sequence[float] = (0, 0)  # of the processes' clocks

    def failure(self) -> str | None:
        """Return what went wrong, if something did."""
        return failure(self, random.Random(self.seed).randrange)

    def shrunk(self) -> "Run":
        """Return a run that fails as well, and has no step that it can do without."""
        shortest, at, wrong = self, len(self.steps) - 1, _kind(self.failure())
        while at >= 0:
            steps = [*shortest.steps[:at], *shortest.steps[at + 1 :]]
            shorter = (replace(shortest, steps=steps, seed=seed) for seed in range(TRIES))
            shortest = next((run for run in shorter if _kind(run.failure()) == wrong), shortest)
            at -= 1
        return shortest


def _kind(failure: str | None) -> str:
    """Return a failure without its numbers and names."""
    return re.sub(r"'?\b([a-d]|[stw-z]'?)\b'?|[\d.]", "", (failure or "").split("\n")[-1])


def failure(run: Run, choose: Choose) -> str | None:
    """Return what goes wrong when the order is chosen so."""
    world = World(choose, skews=run.skews, data=data_of(NODES))
    try:
        world.play(run.steps)
    except Exception as exc:
        return "\n".join([*world.trace, f"{world.loop.time():.3f} {exc!r}"])
    finally:
        world.end()
    return "\n".join(map(str, world.loop.failures)) or None


def random_run(seed: int) -> Run:
    """Return a run of which all is drawn from ``seed``."""
    chance = random.Random(seed)
    draw = chance.choice
    skews = draw([(0, 0), (0, 0, 0), (0, 0.7), (3, 0, -3)])
    steps: list[Step] = [("settle",)]
    steps += [
        ("create", draw(range(len(skews))), name, draw(["u", "v", None])) for name in SESSIONS
    ]
    steps += [("quiet",)] * chance.randrange(2)
    away, ring, late = None, NODES, iter("wxyz")
    for number in range(chance.randrange(4, 14)):
        at = chance.randrange(len(skews))
        kind = chance.random()
        if kind < 0.65:
            steps.append(_deed(chance, at, number, late))
        elif kind < 0.75:
            steps.append(
                draw([("quiet",), ("quiet",), ("wait", 0.1), ("wait", 1.0), ("die", at)])
            )
        elif away:
            steps.append(away)
            away = None
        elif kind < 0.96:
            fault, away = _fault(chance, draw(ring), at)
            steps += fault
        else:
            ring = RINGS[ring]
            steps += [("replace", one, ring) for one in range(len(skews))]
            steps += draw([[], [("settle",), ("rebalance", 0)]])
    if away:
        steps.append(away)
    steps += [("settle",), ("inspect",), *(("load", 0, name) for name in SESSIONS)]
    return Run(steps, seed, skews)


def _deed(chance: random.Random, at: int, number: int, late: Iterator[str]) -> Step:
    name, value = chance.choice(SESSIONS), f'"{number}"'
    field, other = chance.sample(FIELDS, 2)
    return chance.choices(
        [
            ("save", at, name, {field: value}),
            ("save", at, name, {field: value, other: None}),
            ("load", at, name),
            ("exclusive", at, name),
            ("delete", at, name, chance.choice([0, 30])),
            ("revoke", at, chance.choice(USERS)),
            ("list_user", at, chance.choice(USERS)),
            ("create", at, next(late, name + "'"), chance.choice(USERS)),
        ],
        [6, 4, 6, 3, 2, 1, 2, 1],
    )[0]


def _fault(chance: random.Random, node: str, at: int) -> tuple[list[Step], Step | None]:
    """Return a fault and what ends it, if it does not end by itself."""
    saved = [("snapshot", node)] * chance.randrange(2)
    return chance.choice(
        [
            ([*saved, ("kill", node)], ("back", node, chance.choice([KEPT, OLD, EMPTY]))),
            ([("freeze", node)], ("thaw", node)),
            ([("fill", node)], ("make_room", node)),
            ([("lag", node, at, chance.choice([0, 1, 8]))], None),
            ([("cut", node, at)], None),
        ]
    )


def every_order(run: Run, skip: int = 0) -> Iterator[tuple[list[int], str | None]]:
    """Go every way through a run; give each way, and what went wrong on it."""
    way: list[int] = []
    while True:
        widths: list[int] = []

        def choose(count: int, widths: list[int] = widths) -> int:
            widths.append(count)
            if len(widths) > len(way):
                way.append(0)
            return way[len(widths) - 1]

        yield list(way), failure(run, choose)
        del way[len(widths) :]
        while way and way[-1] + 1 == widths[len(way) - 1]:
            way.pop()
        if not way:
            return
        way[-1] += 1
