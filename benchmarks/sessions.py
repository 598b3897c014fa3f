"""What a session in Redis adds to a request, next to what is written by hand, and to its peers.

The CPU time of the server process per request, over that of its framework's own hello. Redis and
the client have a CPU of their own.
"""

import os
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

from benchmarks._figures import Figure, spread
from benchmarks._servers import CPUS, SERVER_CPU, Server, away_from_servers, server
from tornado_ext.testing import RedisServer

IN_FLIGHT = 16
ROUNDS = 7  # the servers one after the other in each
REQUESTS = 640  # of each kind, to each server, in each round
ALONE = 200  # one at a time
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

Costs = dict[str, dict[str, float]]  # microseconds: of a kind of request, by server


def measure(quick: bool = False) -> list[Figure]:
    """Return what a session that is read adds, and one that is changed."""
    rounds, requests, alone = (1, 32, 8) if quick else (ROUNDS, REQUESTS, ALONE)
    with running() as servers:
        added = [one_round(servers, requests) for _ in range(rounds)]
        waits = [
            {name: wait(servers[name], alone) for name in ("by_hand", "ours")}
            for _ in range(rounds + 1)
        ][1:]
    figures = []
    for kind, target in TARGETS.items():
        for name in HELLOS:
            costs = [each[kind][name] for each in added]
            figures.append(Figure(f"{kind}, {name}", median(costs), "us", spread=spread(costs)))
        ratios = [each[kind]["ours"] / each[kind]["by_hand"] for each in added]
        figures.append(
            Figure(f"{kind}, ratio", median(ratios), "of by hand", target, spread(ratios))
        )
        ratios = [each[kind]["ours"] / min(each[kind][peer] for peer in PEERS) for each in added]
        figures.append(
            Figure(f"{kind}, ratio to the best peer", median(ratios), "of it", 1.0, spread(ratios))
        )
    ratios = [each["ours"] / each["by_hand"] for each in waits]
    figures.append(Figure("read, one at a time", median(ratios), "of by hand", 1.0, spread(ratios)))
    return figures


@contextmanager
def running() -> Iterator[dict[str, Server]]:
    """Run a Redis and every app on it."""
    names = [*HELLOS, *sorted(set(HELLOS.values()))]
    with away_from_servers(), RedisServer() as redis, ExitStack() as stack:
        os.sched_setaffinity(redis.pid, CPUS - {SERVER_CPU} or CPUS)
        yield {
            name: stack.enter_context(server("benchmarks._session_apps", name, redis.url))
            for name in names
        }


def one_round(servers: dict[str, Server], requests: int) -> Costs:
    """Return what a session adds to a request, for each kind and server."""
    hellos = {name: microseconds(servers[name], "read", requests) for name in set(HELLOS.values())}
    return {
        kind: {
            name: microseconds(servers[name], kind, requests) - hellos[hello]
            for name, hello in HELLOS.items()
        }
        for kind in TARGETS
    }


def microseconds(server: Server, kind: str, requests: int) -> float:
    """Return the CPU time of a request, 16 in flight, each of a session of its own."""
    with ExitStack() as stack:
        browsers = [stack.enter_context(Browser(server.port)) for _ in range(IN_FLIGHT)]
        load(browsers, kind, 4 * IN_FLIGHT)  # warms up
        start = server.cpu()
        load(browsers, kind, requests)
        return (server.cpu() - start) / requests / 1000


def wait(server: Server, requests: int) -> float:
    """Return how long a request takes, one at a time, in microseconds."""
    with Browser(server.port) as browser:
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
            for key, _ in selector.select():
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
