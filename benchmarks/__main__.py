"""Run the topics that are named, or all: ``python -m benchmarks [TOPIC ...]``."""

import importlib
import os
import pkgutil
import platform
import sys

import tornado

import benchmarks
from benchmarks._figures import header, row


def topics() -> list[str]:
    """Return the names of all topics."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    return [name for name in names if not name.startswith("_")]


def main(names: list[str]) -> None:
    """Print a table with a row for each figure, as it is measured."""
    unknown = [name for name in names if name not in topics()]
    if unknown:
        sys.exit(f"No such topic: {' '.join(unknown)}. There are: {' '.join(topics())}")
    print(
        f"{os.cpu_count()} CPUs, {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"Tornado {tornado.version}\n\n{header()}",
        flush=True,
    )
    for name in names or topics():
        for figure in importlib.import_module(f"benchmarks.{name}").measure():
            print(row(name, figure), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
