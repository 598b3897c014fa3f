"""Ways through a world: at random, or each of them."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from tests.sessions.simulation.network import EMPTY, KEPT, OLD
from tests.sessions.simulation.world import Choose, Step, World, data_of

NODES = "abc"  # of the ring at first; d is there to be added
RINGS = {"abc": "abcd", "abcd": "abc"}
SESSIONS, USERS, FIELDS = "st", "uv", "xy"
TRIES = 8  # orders in which a shorter plan is tried


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
        """Return a run that fails as well, and has no step that it can easily do without."""
        shortest, wrong, size = self, _kind(self.failure()), len(self.steps) // 2
        while size:
            at = len(shortest.steps)
            while (at := at - size) >= 0:
                steps = [*shortest.steps[:at], *shortest.steps[at + size :]]
                tries = (replace(shortest, steps=steps, seed=seed) for seed in range(TRIES))
                shortest = next((run for run in tries if _kind(run.failure()) == wrong), shortest)
            size //= 2
        return shortest


def _kind(failure: str | None) -> str:
    """Return a failure without its numbers and names."""
    return re.sub(r"'?\b([a-d]|[stw-z]'?)\b'?|[\d.]", "", (failure or "").split("\n")[-1])


def failure(run: Run, choose: Choose) -> str | None:
    """Return what goes wrong when the order is chosen so."""
    world = World(choose, skews=run.skews, data=data_of(NODES))
    return _what_goes_wrong(world, lambda: world.play(run.steps))


def _what_goes_wrong(world: World, play: Callable[[], None]) -> str | None:
    try:
        play()
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
    steps.append(("quiet",))
    away, node, ring, late = None, draw(NODES), NODES, iter("wxyz")
    for number in range(chance.randrange(4, 14)):
        at = chance.randrange(len(skews))
        kind = chance.random()
        if kind < 0.65:
            steps.append(_deed(chance, at, number, late))
        elif kind < 0.75:
            steps.append(draw([("quiet",), ("quiet",), ("wait", 0.1), ("wait", 1.0), ("die", at)]))
        elif away:
            steps.append(away)
            away = None
        elif kind < 0.96:
            node = draw(ring) if chance.random() < 0.4 else node  # often the same one again
            fault, away = _fault(chance, node, at)
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
    name, value = chance.choice("sst"), f'"{number}"'
    field, other = chance.sample(FIELDS, 2)
    return chance.choices(
        [
            ("save", at, name, {field: value}),
            ("save", at, name, {field: value, other: None}),
            ("load", at, name),
            ("exclusive", at, name, chance.choice([0, 0, 0.1, 6])),
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
            ([("lag", node, at, chance.choice([0, 1, 4]))], None),
            ([("cut", node, at)], None),
            ([("lag", node, at, 0), ("cut", node, at)], None),
        ]
    )


@dataclass(frozen=True)
class Scene:
    """Steps that are taken in every order, on two nodes; what is before and after them is not."""

    steps: Sequence[Step]
    after: Sequence[Step] = ()
    before: Sequence[Step] = (
        *[("create", 0, "s", "u"), ("quiet",), ("save", 0, "s", {"x": "0"}), ("quiet",)],
        *[("snapshot", "a"), ("snapshot", "b"), ("wait", 1.5), ("quiet",)],
    )

    def ways(self) -> Iterator[tuple[list[int], str | None]]:
        """Yield each way through it, and what goes wrong on that."""
        way: list[int] = []
        while True:
            widths: list[int] = []
            yield way, self.failure(way, widths)
            way = [*way, *[0] * (len(widths) - len(way))]
            while way and way[-1] + 1 == widths[len(way) - 1]:
                way.pop()
            if not way:
                return
            way[-1] += 1

    def failure(self, way: Sequence[int], widths: list[int] | None = None) -> str | None:
        """Go one way, and the first one where that has ended; return what goes wrong."""
        widths = [] if widths is None else widths

        def choose(count: int) -> int:
            widths.append(count)
            return way[len(widths) - 1] if len(widths) <= len(way) else 0

        world = World(lambda count: 0, nodes="ab", ring="ab", skews=(0, 0), data=data_of("ab"))
        world.orderly = True

        def play() -> None:
            world.play(self.before)
            first, world.choose = world.choose, choose
            world.play([*self.steps, ("quiet",)])
            world.choose = first
            world.play([*self.after, ("settle",), ("inspect",)])

        return _what_goes_wrong(world, play)


def scenes() -> Iterator[Scene]:
    """Yield every two things that processes do to one session, with every fault meanwhile."""
    first = [
        ("save", 0, "s", {"x": "1"}),
        ("save", 0, "s", {"x": None}),
        ("lease", 0, "s"),
        ("delete", 0, "s"),
    ]
    second = [
        ("save", 1, "s", {"x": "2"}),
        ("lease", 1, "s"),
        ("delete", 1, "s"),
    ]
    faults: list[tuple[Step, list[Step]]] = [(("die", 0), [])]
    for node in "ab":
        faults += [(("kill", node), [("back", node, data)]) for data in (KEPT, OLD, EMPTY)]
        faults += [(("freeze", node), [("thaw", node)]), (("fill", node), [("make_room", node)])]
        faults += [
            ((name, node, *args), []) for name, *args in [("lag", 0, 0), ("lag", 0, 3), ("cut", 0)]
        ]
    for one, other, (fault, after) in product(first, second, faults):
        yield Scene([one, other, fault], after)
        yield Scene([one, fault, other], after)
        yield Scene([one, fault, ("quiet",), other], after)
        yield Scene([other, one, fault], after)
