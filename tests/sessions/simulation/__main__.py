"""Go through many random runs, and every order of small scenes: ``make simulate RUNS=100000``.

Prints each failure with a short run that fails in the same way, and exits with 1 if there was one.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

from tests.sessions.simulation.exploring import Scene, random_run, scenes
from tests.sessions.simulation.stand_ins import simulated

AT_ONCE = 25  # runs that a process goes through before it tells how far it is
MOST_WAYS = 5000  # through one scene

Outcome = tuple[int, list[str]]  # how many ways were gone, and what went wrong


def go_through_runs(seeds: Sequence[int]) -> Outcome:
    """Go through random runs."""
    wrong = []
    with simulated():
        for seed in seeds:
            if random_run(seed).failure():
                run = random_run(seed).shrunk()
                wrong.append(f"random_run({seed}), in short:\n{run}\n{run.failure()}")
    return len(seeds), wrong


def go_through_scene(scene: Scene) -> Outcome:
    """Go every way through a scene, until something goes wrong."""
    gone = 0
    with simulated():
        for gone, (way, failure) in enumerate(islice(scene.ways(), MOST_WAYS), 1):
            if failure:
                return gone, [f"{scene}.failure({way}):\n{failure}"]
    return gone, []


def tell(text: str) -> None:
    """Print a line, now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the command; return its status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=int, help="random runs")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one")
    parser.add_argument("--scenes", type=int, default=1, help="go through one of so many; 0: none")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at once")
    options = parser.parse_args()
    batches = [
        range(seed, min(seed + AT_ONCE, options.first + options.runs))
        for seed in range(options.first, options.first + options.runs, AT_ONCE)
    ]
    chosen = list(scenes())[:: options.scenes] if options.scenes else []
    failures = 0
    with ProcessPoolExecutor(options.processes) as pool:
        for what, work in [
            ("random runs", pool.map(go_through_runs, batches)),
            (f"ways through {len(chosen)} scenes", pool.map(go_through_scene, chosen)),
        ]:
            began, told, count = time.monotonic(), 0.0, 0
            for gone, wrong in work:
                count += gone
                failures += len(wrong)
                for text in wrong:
                    tell(text)
                if (seconds := time.monotonic() - began) > told:
                    tell(f"{seconds:.0f} s: {count:,} {what}, {failures} failures")
                    told = seconds + 10
            tell(f"{time.monotonic() - began:.0f} s: {count:,} {what}, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
