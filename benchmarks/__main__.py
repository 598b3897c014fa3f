"""Run the topics that are named, or all: ``python -m benchmarks [TOPIC ...]``.

Each is put into docs/benchmarks.md when it is done; what the page has of others stays.
"""

import sys
from importlib import import_module

from benchmarks import _page, topics
from benchmarks._figures import table
from benchmarks._machine import Run


def main(names: list[str]) -> None:
    """Print the table of each topic, and put it into the page."""
    unknown = [name for name in names if name not in topics()]
    if unknown:
        sys.exit(f"No such topic: {' '.join(unknown)}. There are: {' '.join(topics())}")
    for name in names or topics():
        topic, run = import_module(f"benchmarks.{name}"), Run()
        figures = topic.measure()
        conditions = run.conditions(topic.NEXT_TO)
        _page.write(name, figures, conditions)
        print(f"{name}\n\n{table(figures)}\n\n{conditions}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
