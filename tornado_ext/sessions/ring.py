"""Consistent hashing: which node keeps a session."""

from collections.abc import Iterable, Mapping

from tornado_ext._extras import require
from tornado_ext.errors import ConfigurationError

VNODES = 1000  # points on the ring per unit of weight; the fullest of ten has 1.07 of the mean


class Ring:
    """A ring of named nodes: of N nodes, one more takes about 1/(N+1) of the keys of the others."""

    def __init__(self, nodes: Iterable[str], weights: Mapping[str, int] | None = None) -> None:
        """Place ``nodes``, each ``weights[name]`` times as often as one of weight 1, the default.

        :raises MissingExtra: if uhashring is not installed.
        :raises ConfigurationError: for no nodes, or a weight that is not a whole number above 0
            or not of a node.
        """
        uhashring = require("uhashring", "redis")
        names = list(nodes)
        weights = {} if weights is None else weights
        if not isinstance(weights, Mapping):
            raise ConfigurationError(f"weights must map names to whole numbers, not {weights!r}")
        if not names:
            raise ConfigurationError("nodes must name one node at least")
        if not all(isinstance(name, str) and name for name in names):
            raise ConfigurationError(f"nodes must have strings for names, not {names!r}")
        for name, weight in weights.items():
            if name not in names:
                raise ConfigurationError(f"weights has {name!r}, which is none of the nodes")
            if isinstance(weight, bool) or not isinstance(weight, int) or weight < 1:
                raise ConfigurationError(
                    f"weights[{name!r}] must be a whole number above 0, not {weight!r}"
                )
        self._ring = uhashring.HashRing(
            nodes={name: {"weight": weights.get(name, 1)} for name in names}, vnodes=VNODES
        )

    def owner(self, key: str) -> str:
        """Return the name of the node that ``key`` belongs to."""
        return str(self._ring.get_node(key))
