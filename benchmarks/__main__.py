"""Run the topics that are named, or all: ``python -m benchmarks [TOPIC ...]``.

A run of all of them writes docs/benchmarks.md.
"""

import importlib
import os
import pkgutil
import platform
import sys
import time

import tornado

import benchmarks
from benchmarks._figures import header, row
from benchmarks._page import write


def topics() -> list[str]:
    """Return the names of all topics."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    return [name for name in names if not name.startswith("_")]


def main(names: list[str]) -> None:
    """Print a table with a row for each figure, topic by topic."""
    unknown = [name for name in names if name not in topics()]
    if unknown:
        sys.exit(f"No such topic: {' '.join(unknown)}. There are: {' '.join(topics())}")
    print(
        f"{os.cpu_count()} CPUs, {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"Tornado {tornado.version}\n\n{header()}",
        flush=True,
    )
    start, figures = time.monotonic(), {}
    for name in names or topics():
        figures[name] = importlib.import_module(f"benchmarks.{name}").measure()
        for figure in figures[name]:
            print(row(name, figure), flush=True)
    if not names:
        write(figures, time.monotonic() - start)


if __name__ == "__main__":
    main(sys.argv[1:])
