"""Sessions on three nodes of a ring, each on two of them, next to sessions on one Redis.

What is added to a request is the CPU time of the server process, over that of stock Tornado's
hello; 16 requests are in flight. Placing is CPU time too, of keys that were never asked for.
Balance and movement are counted, on 50,000 keys. To catch up, one of three nodes is restarted empty
while one app process serves 200 requests a second, a quarter of them changes, and fills it beside:
p99 is of what clients wait. ``make bench TOPIC=sharding`` draws docs/sharding-balance.svg too.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

from benchmarks import _balance_plot, _catching_up, _movement, _placing
from benchmarks._figures import Figure
from benchmarks._servers import CPUS, SERVER_CPU, away_from_servers, server
from benchmarks.sessions import IN_FLIGHT, Browser, Costs, Loaded, quartiles
from tornado_ext.testing import RedisServer

NODES = 3
ROUNDS = 24  # the servers one after the other in each
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
    with running() as servers:
        added = [one_round(servers, number) for _ in range(rounds + 1)][1:]
    for kind, target in KINDS.items():
        costs = {name: [each[kind][name] for each in added] for name in STORES}
        for name, where in STORES.items():
            spread = quartiles(costs[name])
            yield Figure(f"{kind}, {where}", median(costs[name]), "us", spread=spread)
        ratio = median(costs["sharded"]) / median(costs["ours"])
        yield Figure(f"{kind}, ratio", ratio, "of one Redis", target)


@contextmanager
def running() -> Iterator[dict[str, Loaded]]:
    """Run stock Tornado, an app on one Redis, and one on three."""
    with away_from_servers(), ExitStack() as stack:
        redises = [stack.enter_context(RedisServer()) for _ in range(1 + NODES)]
        for redis in redises:
            os.sched_setaffinity(redis.pid, CPUS - {SERVER_CPU} or CPUS)
        one, *nodes = [redis.url for redis in redises]
        apps = {"tornado": "", "ours": one, "sharded": " ".join(nodes)}
        servers = {
            name: stack.enter_context(server("benchmarks._session_apps", name, urls))
            for name, urls in apps.items()
        }
        yield {
            name: Loaded(each, [stack.enter_context(Browser(each.port)) for _ in range(IN_FLIGHT)])
            for name, each in servers.items()
        }


def one_round(servers: dict[str, Loaded], number: int) -> dict[str, Costs]:
    """Return what a session adds to a request of each kind, by store."""
    nothing = servers["tornado"].microseconds("read", number)
    return {
        kind: {name: servers[name].microseconds(kind, number) - nothing for name in STORES}
        for kind in KINDS
    }
