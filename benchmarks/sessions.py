"""What a session in Redis adds to a request, next to what is written by hand, and to its peers.

The CPU time of the server process per request, over that of its framework's own hello. Redis and
the client have a CPU of their own.
"""

import os
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks._figures import Figure, spread
from benchmarks._servers import CPUS, SERVER_CPU, Server, away_from_servers, server
from tornado_ext.testing import RedisServer

IN_FLIGHT = 16
ROUNDS = 24  # the servers one after the other in each
REQUESTS = 160  # of each kind, to each server, in each round
ALONE = 40  # one at a time, in each round
TIMEOUT = 10  # seconds

HELLOS = {  # of each that keeps a session
    "by_hand": "tornado",
    "ours": "tornado",
    "starsessions": "starlette",
    "aiohttp_session": "aiohttp",
    "django_session": "django",
}
PEERS = ("starsessions", "aiohttp_session", "django_session")
TARGETS = {"read": 0.50, "change": 0.45}  # of what is written by hand

Costs = dict[str, float]  # microseconds, by server


def measure(quick: bool = False) -> list[Figure]:
    """Return what a session that is read adds, and one that is changed."""
    rounds, requests, alone = (1, 32, 4) if quick else (ROUNDS, REQUESTS, ALONE)
    with running() as servers:
        added = [one_round(servers, requests) for _ in range(rounds + 1)][1:]
        alone_ours, alone_by_hand = zip(
            *(
                [wait(servers[name].browsers[0], alone) for name in ("ours", "by_hand")]
                for _ in range(rounds)
            ),
            strict=True,
        )
    return [
        *figures("read", [each["read"] for each in added]),
        *figures("change", [each["change"] for each in added]),
        ratio("read, one at a time", alone_ours, alone_by_hand, 1.0),
    ]


def figures(kind: str, added: list[Costs]) -> Iterator[Figure]:
    """Return what each adds, and how ours compares."""
    costs = {name: [each[name] for each in added] for name in HELLOS}
    for name, values in costs.items():
        yield Figure(f"{kind}, {name}", median(values), "us", spread=quartiles(values))
    yield ratio(f"{kind}, ratio", costs["ours"], costs["by_hand"], TARGETS[kind])
    best = min(PEERS, key=lambda peer: median(costs[peer]))
    yield ratio(f"{kind}, ratio to {best}", costs["ours"], costs[best], 1.0, "of it")


def ratio(
    what: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    at_most: float,
    unit: str = "of by hand",
) -> Figure:
    """Return the ratio of the medians; a round alone is too short for one of its own."""
    return Figure(what, median(ours) / median(theirs), unit, at_most)


def quartiles(values: list[float]) -> str:
    """Return between which two costs half of the rounds are."""
    first, _, last = quantiles(values, n=4) if len(values) > 1 else values * 3
    return spread([first, last])


@dataclass(frozen=True)
class Loaded:
    """A server, and browsers that are connected to it."""

    server: Server
    browsers: "list[Browser]"

    def microseconds(self, kind: str, requests: int) -> float:
        """Return the CPU time of a request, one of each browser in flight."""
        start = self.server.cpu()
        load(self.browsers, kind, requests)
        return (self.server.cpu() - start) / requests / 1000


@contextmanager
def running() -> Iterator[dict[str, Loaded]]:
    """Run a Redis, and every app on it."""
    with away_from_servers(), RedisServer() as redis, ExitStack() as stack:
        os.sched_setaffinity(redis.pid, CPUS - {SERVER_CPU} or CPUS)
        servers = {
            name: stack.enter_context(server("benchmarks._session_apps", name, redis.url))
            for name in dict.fromkeys([*HELLOS, *HELLOS.values()])
        }
        yield {
            name: Loaded(each, [stack.enter_context(Browser(each.port)) for _ in range(IN_FLIGHT)])
            for name, each in servers.items()
        }


def one_round(servers: dict[str, Loaded], requests: int) -> dict[str, Costs]:
    """Return what a session adds to a request of each kind, by server."""
    added: dict[str, Costs] = {kind: {} for kind in TARGETS}
    for name, hello in HELLOS.items():
        nothing = servers[hello].microseconds("read", requests)
        for kind, costs in added.items():
            costs[name] = servers[name].microseconds(kind, requests) - nothing
    return added


def wait(browser: "Browser", requests: int) -> float:
    """Return how long a request takes, one at a time, in microseconds."""
    times = []
    for _ in range(requests):
        start = time.perf_counter_ns()
        browser.send("read")
        browser.receive()
        times.append((time.perf_counter_ns() - start) / 1000)
    return median(times)


def load(browsers: "list[Browser]", kind: str, requests: int) -> None:
    """Keep a request of each browser in flight."""
    with selectors.DefaultSelector() as selector:
        for browser in browsers:
            selector.register(browser.socket, selectors.EVENT_READ, browser)
            browser.send(kind)
        sent, received = len(browsers), 0
        while received < requests:
            if not (ready := selector.select(TIMEOUT)):
                raise TimeoutError(f"a server has not answered in {TIMEOUT} s")
            for key, _ in ready:
                key.data.receive()
                received += 1
                if sent < requests:
                    key.data.send(kind)
                    sent += 1


class Browser:
    """A connection that is kept alive, with a session."""

    def __init__(self, port: int) -> None:
        """Connect to ``port`` and begin a session."""
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._cookie = b""
        self.send("new")
        head = self.receive().partition(b"\r\n\r\n")[0]
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b": ")
            if name.lower() == b"set-cookie":
                self._cookie = b"Cookie: " + value.partition(b";")[0] + b"\r\n"

    def send(self, kind: str) -> None:
        """Send a request."""
        self.socket.sendall(
            b"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (kind.encode(), self._cookie)
        )

    def receive(self) -> bytes:
        """Return a whole reply; raise if it is no 200."""
        reply = b""
        while b"\r\n\r\nhello" not in reply:
            more = self.socket.recv(65536)
            if not more or not (reply + more).startswith(b"HTTP/1.1 200"):
                raise ConnectionError(f"not what was asked for: {(reply + more)[:200]!r}")
            reply += more
        return reply

    def __enter__(self) -> "Browser":
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connection."""
        self.socket.close()
