"""Sessions on three nodes of a ring, each on two of them, next to sessions on one Redis.

What is added to a request is the CPU time of the server process, over that of stock Tornado's
hello; 16 requests are in flight. Placing is CPU time too, of keys that were never asked for.
Balance and movement are counted, on 50,000 keys. To catch up, one of three nodes is restarted
empty while one app process serves 200 requests a second, a quarter of them changes, and fills it
beside: p99 is of what clients wait. What it means, and a plot of balance and movement: [speed of
the ring](sharding-speed.md).
"""

from collections.abc import Iterator
from statistics import median

from benchmarks import _balance_plot, _catching_up, _movement, _placing
from benchmarks._figures import Figure, quartiles
from benchmarks._session_load import added, private_redises, running

NEXT_TO = ("redis-server", "redis", "hiredis", "uhashring")
NODES = 3
ROUNDS = 16  # the servers one after the other in each
REQUESTS = 160  # of each kind, to each server, in each round
KINDS = {"read": 1.8, "change": None}  # with their targets
STORES = {"ours": "one Redis", "sharded": "two of three nodes"}


def measure(quick: bool = False) -> list[Figure]:
    """Return all figures; unless ``quick``, draw the plot too."""
    if not quick:
        _balance_plot.draw()
    return [
        *requests(*(1, 32) if quick else (ROUNDS, REQUESTS)),
        *_placing.measure(quick),
        *_movement.measure(quick),
        *_catching_up.measure(quick),
    ]


def requests(rounds: int, number: int) -> Iterator[Figure]:
    """Yield what a session that is read adds to a request, and one that is changed."""
    hellos = dict.fromkeys(STORES, "tornado")
    with private_redises(1 + NODES) as (one, *nodes):
        apps = {"tornado": "", "ours": one, "sharded": " ".join(nodes)}
        with running(apps) as servers:
            rows = [added(servers, hellos, KINDS, number) for _ in range(rounds + 1)][1:]
    for kind, target in KINDS.items():
        costs = {name: [each[kind][name] for each in rows] for name in STORES}
        for name, where in STORES.items():
            spread = quartiles(costs[name])
            yield Figure(f"{kind}, {where}", median(costs[name]), "us", spread=spread)
        ratio = median(costs["sharded"]) / median(costs["ours"])
        yield Figure(f"{kind}, ratio", ratio, "of one Redis", target)
