"""What this package costs, measured next to what it is compared with: ``make bench``.

One module is one topic: ``make bench TOPIC=memory`` runs it alone. To add one, write a module whose
``measure(quick=False)`` returns a list of `benchmarks._figures.Figure`, each with its target where
one was promised; nothing has to be registered. The rules:

- What is compared runs in the same run, in turn, and the figure is a ratio: the machine is noisy.
- The yardstick is also measured against itself, and every figure says how far it spread.
- ``quick`` is for `tests/benchmarks`: the least of everything, in a second or two. It shows that
  the topic runs; its figures mean nothing, and no test looks at a time.
- A topic takes two minutes at most (memory: four), and needs no server but those that it starts.
- The libraries it compares with are in the extra ``bench`` of pyproject.toml, and only the topic
  imports them.

Modules that start with ``_`` are what topics share: figures, server processes, hello handlers.
"""
