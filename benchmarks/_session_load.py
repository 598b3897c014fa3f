"""Apps with sessions on private Redis servers, and browsers that keep requests in flight."""

import selectors
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks._servers import Server, away_from_servers, keep_away, server
from tornado_ext.testing import RedisServer

IN_FLIGHT = 16
TIMEOUT = 10  # seconds

Costs = dict[str, float]  # microseconds, by app


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
def private_redises(number: int) -> Iterator[list[str]]:
    """Run Redis servers, away from the apps; yield their URLs."""
    with ExitStack() as stack:
        redises = [stack.enter_context(RedisServer()) for _ in range(number)]
        for redis in redises:
            keep_away(redis.pid)
        yield [redis.url for redis in redises]


@contextmanager
def running(apps: Mapping[str, str]) -> Iterator[dict[str, Loaded]]:
    """Run apps of `benchmarks._session_apps`, each on the Redis servers of its URLs."""
    with away_from_servers(), ExitStack() as stack:
        servers = {
            name: stack.enter_context(server("benchmarks._session_apps", name, urls))
            for name, urls in apps.items()
        }
        yield {
            name: Loaded(each, [stack.enter_context(Browser(each.port)) for _ in range(IN_FLIGHT)])
            for name, each in servers.items()
        }


def added(
    servers: Mapping[str, Loaded], hellos: Mapping[str, str], kinds: Iterable[str], requests: int
) -> dict[str, Costs]:
    """Return what a session adds to a request of each kind, by app, over the app's hello."""
    costs: dict[str, Costs] = {kind: {} for kind in kinds}
    for name, hello in hellos.items():
        nothing = servers[hello].microseconds("read", requests)
        for kind in costs:
            costs[kind][name] = servers[name].microseconds(kind, requests) - nothing
    return costs


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
