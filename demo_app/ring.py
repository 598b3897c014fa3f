"""The ring of session shards as a drawing."""

from collections.abc import Mapping
from hashlib import md5
from math import cos, pi, sin

from tornado_ext.sessions.sharded import ShardedRedisStore

PLACES = 120  # that are drawn of the ring, each with the shards of one key that falls there
POSITIONS = 2**128  # on the ring, as MD5 has them
CENTRE = 120.0  # of a square of twice the size
RADII = (102, 76)  # of the owners' ring, and of the replicas' inside it
COLOURS = 6


def place_of(key: str) -> int:
    """Return where a key falls, 0 to `PLACES`."""
    digest = md5(key.encode(), usedforsecurity=False).digest()  # uhashring's; it may not be here
    return int.from_bytes(digest, "big") * PLACES // POSITIONS


KEYS = {place_of(key): key for key in map(str, range(2000))}  # one for each place


def drawing(store: ShardedRedisStore, states: Mapping[str, str], key: str) -> str:
    """Return an SVG element: outside who owns what falls there, inside who has the replica.

    ``states`` are those of the shards by name. The colours are classes, ``node-0`` for the first;
    a shard's state is a class too. The session of ``key`` is pointed at.
    """
    arcs = dict.fromkeys(states, "")
    own = place_of(key)
    for place, sample in (KEYS | {own: key}).items():
        for name, radius in zip(store.owners(sample), RADII, strict=False):
            arcs[name] += arc(place, radius)
    paths = [
        f'<path class="node-{number % COLOURS} {state}" d="{arcs[name]}"/>'
        for number, (name, state) in enumerate(states.items())
    ]
    paths.append(f'<path class="own" d="M{point(own + 0.45, 56)}L{point(own + 0.45, 119)}"/>')
    size = 2 * CENTRE
    return f'<svg viewBox="0 0 {size:g} {size:g}" aria-hidden="true">{"".join(paths)}</svg>'


def arc(place: int, radius: float) -> str:
    """Return the part of a path that fills a place, but for a gap to the next one."""
    return f"M{point(place, radius)}A{radius:g} {radius:g} 0 0 1 {point(place + 0.9, radius)}"


def point(place: float, radius: float) -> str:
    """Return the coordinates of a place, which are counted clockwise from the top."""
    angle = 2 * pi * place / PLACES
    return f"{CENTRE + radius * sin(angle):.1f} {CENTRE - radius * cos(angle):.1f}"
