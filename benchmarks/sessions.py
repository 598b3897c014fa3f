"""What a session in Redis adds to a request, next to the same by hand and in other frameworks.

The CPU time of the server process per request, with 16 in flight, over that of its framework's own
hello. By hand is a GET and a SET of JSON with redis-py on Tornado; starsessions is on Starlette
and uvicorn, Django's sessions in its Redis cache on threads of Tornado's server. All are on one
Redis that keeps a log of writes on disk; Redis and the client have a CPU of their own. Medians of
the rounds, with the middle half of them; a ratio is of two medians. One at a time is time, and
includes Redis.
"""

import time
from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks._figures import Figure, quartiles
from benchmarks._session_load import Browser, Costs, added, private_redises, running

NEXT_TO = (
    *("redis-server", "redis", "hiredis", "starlette", "starsessions", "uvicorn"),
    *("aiohttp", "aiohttp-session", "Django"),
)
ROUNDS = 16  # the servers one after the other in each
REQUESTS = 160  # of each kind, to each server, in each round
ALONE = 800  # one at a time, to each of two servers in turn

HELLOS = {  # of each that keeps a session
    "by_hand": "tornado",
    "ours": "tornado",
    "starsessions": "starlette",
    "aiohttp_session": "aiohttp",
    "django_session": "django",
}
PEERS = ("starsessions", "aiohttp_session", "django_session")
TARGETS = {"read": 0.50, "change": 0.45}  # of what is written by hand


def measure(quick: bool = False) -> list[Figure]:
    """Return what a session that is read adds, and one that is changed."""
    rounds, requests, alone = (1, 32, 4) if quick else (ROUNDS, REQUESTS, ALONE)
    with (
        private_redises(1) as (url,),
        running(dict.fromkeys([*HELLOS, *HELLOS.values()], url)) as servers,
    ):
        costs = [added(servers, HELLOS, TARGETS, requests) for _ in range(rounds + 1)][1:]
        waits = [
            {name: wait(servers[name].browsers[0]) for name in ("ours", "by_hand")}
            for _ in range(alone)
        ]
    return [
        *(figure for kind in TARGETS for figure in figures(kind, [each[kind] for each in costs])),
        ratio("read, one at a time", waits, "by_hand", 1.0),
    ]


def figures(kind: str, costs: Sequence[Costs]) -> Iterator[Figure]:
    """Yield what each adds, and how ours compares."""
    for name in HELLOS:
        values = [each[name] for each in costs]
        yield Figure(f"{kind}, {said(name)}", median(values), "us", spread=quartiles(values))
    yield ratio(f"{kind}, ratio to by hand", costs, "by_hand", TARGETS[kind])
    best = min(PEERS, key=lambda peer: median(each[peer] for each in costs))
    yield ratio(f"{kind}, ratio to the best peer", costs, best, 1.0)


def ratio(what: str, costs: Sequence[Costs], peer: str, at_most: float) -> Figure:
    """Return the ratio of the medians; a round alone is too short for one of its own."""
    ours, theirs = (median(each[name] for each in costs) for name in ("ours", peer))
    return Figure(what, ours / theirs, f"of {said(peer)}", at_most)


def said(name: str) -> str:
    """Return the name of an app as a table shows it."""
    return name.replace("_", " ")


def wait(browser: Browser) -> float:
    """Return how long a request takes, in microseconds."""
    start = time.perf_counter_ns()
    browser.send("read")
    browser.receive()
    return (time.perf_counter_ns() - start) / 1000
