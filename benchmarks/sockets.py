"""The CPU time of a server process per request, through sockets.

The kernel's part is in it. One request after the other on a kept connection; all servers share one
CPU, and the client has another. The servers take turns every 30 requests; a ratio is taken within
each round and the median counts. Each line is over sets of fresh processes, for two that run the
same code differ by some percent: no difference below that of "stock again" means anything.
"""

import asyncio
import sys
from contextlib import ExitStack
from statistics import median

from benchmarks._cases import CASES
from benchmarks._figures import Figure, spread
from benchmarks._servers import Client, Server, away_from_servers, serve, server

NEXT_TO: tuple[str, ...] = ()
TARGETS = {"stock again": None, "mixins, nothing to do": 1.03}  # of stock
COMPARED = ("stock", *TARGETS)
TURNS = 10  # of fresh processes: two that run the same code differ by some percent
ROUNDS = 30  # in each turn, the processes one after the other, always in the same order
REQUESTS = 30  # in each round, one after the other on one connection

Costs = dict[str, float]  # by case, in microseconds


def measure(quick: bool = False) -> list[Figure]:
    """Return what a request costs on stock Tornado, and what the mixins cost next to it.

    A busy machine slows neighbouring rounds alike: a ratio is the median of those in a round.
    """
    turns, rounds, requests = (1, 1, 10) if quick else (TURNS, ROUNDS, REQUESTS)
    costs = [one_turn(rounds, requests) for _ in range(turns)]
    stock = [median(each["stock"] for each in turn) for turn in costs]
    figures = [Figure("stock", median(stock), "us", spread=spread(stock))]
    for case, target in TARGETS.items():
        ratios = [median(each[case] / each["stock"] for each in turn) for turn in costs]
        figures.append(Figure(case, median(ratios), "of stock", target, spread(ratios)))
    return figures


def one_turn(rounds: int, requests: int) -> list[Costs]:
    """Start a server for each case; return what a request costs them in each round."""
    with away_from_servers(), ExitStack() as stack:
        servers = {
            case: stack.enter_context(server("benchmarks.sockets", case)) for case in COMPARED
        }
        clients = {case: stack.enter_context(Client(servers[case].port)) for case in COMPARED}
        return [
            {case: microseconds(servers[case], clients[case], requests) for case in COMPARED}
            for _ in range(rounds + 1)
        ][1:]  # the first warms them up


def microseconds(server: Server, client: Client, requests: int) -> float:
    """Return the CPU time of a request, over one round."""
    start = server.cpu()
    for _ in range(requests):
        client.get()
    return (server.cpu() - start) / requests / 1000


if __name__ == "__main__":
    asyncio.run(serve(CASES[sys.argv[1]].application))
