"""Every event under load: ``python -m tests.chaos [--shards a,b,c] [EVENT...]``."""

import argparse
import asyncio
import random
import sys
from pathlib import Path

from tests.chaos.events import EVENTS
from tests.chaos.report import Row, complaints, table
from tests.chaos.trial import trial


def main() -> int:
    """Run the trials; return 1 if one of them broke a bound."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("events", nargs="*", metavar="EVENT", help=f"of {', '.join(EVENTS)}")
    parser.add_argument("--shards", help="to have each of them suffer, as a,b,c; by default, any")
    parser.add_argument("--trace", type=Path, help="a directory for what the apps log")
    options = parser.parse_args()
    unknown = set(options.events) - EVENTS.keys()
    if unknown:
        parser.error(f"no such event: {', '.join(unknown)}")
    rows: list[Row] = []
    for name in options.events or EVENTS:
        for shard in options.shards.split(",") if options.shards else random.choice("abc"):
            row, said = asyncio.run(trial([EVENTS[name]], shard))
            rows.append(row)
            say(table([row]).splitlines()[-1], *row.broken(), *row.counts.notes)
            if options.trace:
                (options.trace / f"{name} {shard}.log").write_text(said)
    say("", table(rows), "")
    broken = complaints(rows)
    say(*broken or ["All bounds are kept."])
    return 1 if broken else 0


def say(*lines: str) -> None:
    """Write to stdout at once."""
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
