"""The ring of session shards as a drawing."""

from collections.abc import Iterable, Sequence
from hashlib import md5
from math import cos, pi, sin

from tornado_ext.sessions.sharded import ShardedRedisStore

SAMPLES = 360  # keys, of which each is drawn where it falls
HASHES = 2**128
CENTRE = 120.0  # of a square of twice the size
OUTER, INNER = (92, 112), (68, 88)  # radii: of owners, and of replicas


def drawing(store: ShardedRedisStore, names: Sequence[str], key: str) -> str:
    """Return an SVG element: outside who owns a key, inside who has its replica.

    The colours are classes, ``node-0`` for the first of ``names``. The session of ``key`` is
    marked where it falls.
    """
    samples = [str(number) for number in range(SAMPLES)]
    owners = {sample: store.owners(sample) for sample in samples}
    paths = []
    for number, name in enumerate(names):
        for place, radii in enumerate((OUTER, INNER)):
            kept = [s for s in samples if owners[s][place : place + 1] == (name,)]
            ticks = path((position(sample) for sample in kept), *radii)
            paths.append(f'<path class="node-{number}" d="{ticks}"/>')
    paths.append(f'<path class="own" d="{path([position(key)], 56, 119)}"/>')
    size = 2 * CENTRE
    return f'<svg viewBox="0 0 {size:g} {size:g}" aria-hidden="true">{"".join(paths)}</svg>'


def position(key: str) -> float:
    """Return where on the ring the store looks for ``key``, in turns."""
    return int.from_bytes(md5(key.encode(), usedforsecurity=False).digest(), "big") / HASHES


def path(turns: Iterable[float], inner: float, outer: float) -> str:
    """Return a line for each of ``turns``, 0 to 1, clockwise from the top."""
    lines = []
    for turn in turns:
        x, y = sin(2 * pi * turn), -cos(2 * pi * turn)
        ends = (CENTRE + x * inner, CENTRE + y * inner, CENTRE + x * outer, CENTRE + y * outer)
        lines.append("M{:.1f} {:.1f}L{:.1f} {:.1f}".format(*ends))
    return "".join(lines)
