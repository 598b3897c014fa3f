"""What this package costs, measured next to what it is compared with: ``make bench``.

One module is one topic: ``make bench TOPIC=memory`` runs it alone. To add one, write a module with

- a docstring: its first line says what is measured, the rest how;
- ``NEXT_TO``: the distributions and server programs whose versions its figures depend on;
- ``measure(quick=False)``, which returns a list of `benchmarks._figures.Figure`, each with its
  target where one was promised.

Nothing has to be registered. The rules:

- What is compared runs in the same run, in turn, and the figure is a ratio: the machine is noisy.
- The yardstick is also measured against itself, and every figure says how far it spread.
- All topics take less than ten minutes together on two idle CPUs, so one takes a minute, and needs
  no server but those that it starts.
- ``quick`` is for `tests/benchmarks`: the least of everything, in a second or two, under the same
  names. It shows that the topic runs, and which rows the page must have; its figures mean nothing,
  and no test looks at a time.
- The libraries it compares with are in the extra ``bench`` of pyproject.toml, and only the topic
  imports them.

Modules that start with ``_`` are what topics share, and parts of them.
"""

import pkgutil


def topics() -> list[str]:
    """Return the names of all topics."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return [name for name in names if not name.startswith("_")]
