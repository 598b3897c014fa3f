"""A message to everybody in a room, next to Tornado's `write_message` and `websockets.broadcast`.

A delivery is the CPU time of the server process for one message of 270 bytes to one client, with
one message in a turn of the event loop, and with ten; the cheapest round counts. The yardstick is
a loop over `write_message(dict)`, as in Tornado's own chat demo; nobody compresses, which costs
twice the CPU. A lone message is the time until the last client has heard it. Idle clients are told
in resident memory of the server. At the end two processes, joined by Redis, have 1,000 clients
each for a minute: p99 is the time from when a message is said until a client has read it. The
clients are one process, as busy as the two servers, and say less than 50 a second if they can't
keep up.
"""

import os
import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from statistics import median, quantiles

from benchmarks._figures import Figure, spread
from benchmarks._servers import Server, away_from_servers, resident, server
from tornado_ext.testing import RedisServer

NEXT_TO = ("redis-server", "redis", "hiredis", "websockets")
FRAME = 270  # bytes, with the header
KINDS = ("plain", "rooms", "websockets")
CLIENTS = (200, 1000, 2000)
ROUNDS = 5  # of which the cheapest counts
DELIVERIES = 20_000  # in each
LONE, LONE_TO = 40, 1000  # messages to time, and to how many clients
IDLE = 5000  # clients
EACH = 1000  # clients of each of two processes
SECONDS = 60
RATE = 50  # messages a second
SILENCE = 10  # seconds after which nothing is under way any more

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Crowd:
    """Clients that only read."""

    def __init__(self, ports: list[int], number: int) -> None:
        """Connect ``number`` clients to each port."""
        self.poll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        self.heard: dict[int, int] = {}  # bytes by client
        self.speakers = [self._connect(port) for port in ports for _ in range(number)][::number]

    def _connect(self, port: int) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(HANDSHAKE)
        reply = b""
        while not reply.endswith(b"\r\n\r\n"):
            if not (more := client.recv(4096)):
                raise ConnectionError(f"the server left after {reply!r}")
            reply += more
        client.setblocking(False)
        self.sockets[client.fileno()] = client
        self.heard[client.fileno()] = 0
        self.poll.register(client.fileno(), select.EPOLLIN)
        return client

    def say(self, number: int, speaker: int = 0) -> None:
        """Ask a server to send everybody ``number`` messages."""
        text = str(number).encode()
        self.speakers[speaker].sendall(bytes((0x81, 0x80 | len(text))) + b"\0\0\0\0" + text)

    def read(self, timeout: float = 5) -> Iterator[tuple[int, bytes]]:
        """Yield what has come, by client; one that the server has closed hears no more."""
        for number, _ in self.poll.poll(timeout):
            if not (data := self.sockets[number].recv(2**18)):
                self.poll.unregister(number)
            self.heard[number] += len(data)
            yield number, data

    def hear(self, messages: int) -> None:
        """Read until everybody has heard so many messages in all."""
        deadline = time.monotonic() + 60
        while min(self.heard.values()) < messages * FRAME:
            for _ in self.read():
                pass
            if time.monotonic() > deadline:
                raise TimeoutError("messages were lost")

    def close(self) -> None:
        """Leave."""
        self.poll.close()
        for client in self.sockets.values():
            client.close()


@contextmanager
def crowd(kind: str, number: int) -> Iterator[tuple[Server, Crowd]]:
    """Run a server with ``number`` clients."""
    with server("benchmarks._room_servers", kind) as process, away_from_servers():
        people = Crowd([process.port], number)
        try:
            yield process, people
        finally:
            people.close()


def measure(quick: bool = False) -> list[Figure]:
    """Return the cost of a delivery, how long the last client waits, and what an idle one holds."""
    rounds, enough, times = (1, 40, 2) if quick else (ROUNDS, DELIVERIES, LONE)
    seconds = 0.5 if quick else SECONDS

    def people(number: int) -> int:
        return min(number, 20) if quick else number

    return [
        *(
            figure
            for number in CLIENTS
            for figure in deliveries(f"{number:,} clients", people(number), rounds, enough)
        ),
        *lone(f"a lone message to {LONE_TO:,}", people(LONE_TO), times),
        idle(f"{IDLE:,} idle clients, each", people(IDLE)),
        *two_processes(f"2 x {EACH:,} clients, {RATE} messages/s", people(EACH), seconds),
    ]


def deliveries(what: str, number: int, rounds: int, enough: int) -> Iterator[Figure]:
    """Yield the CPU of a delivery to ``number`` clients, one and ten messages a loop turn."""
    costs = {
        (kind, at_once): cost
        for kind in KINDS
        for at_once, cost in cpu(kind, number, rounds, enough)
    }
    for at_once, target in ((1, 0.5), (10, 0.1)):
        title = f"{what}, {at_once} a turn"
        plain, rooms, peer = (costs[kind, at_once] for kind in KINDS)
        yield Figure(f"{title}: write_message", plain, "us")
        yield Figure(f"{title}: rooms", rooms / plain, "of write_message", target)
        yield Figure(f"{title}: websockets", peer / plain, "of write_message")
        yield Figure(f"{title}: rooms, ratio to websockets", rooms / peer, "of websockets", 1.0)


def cpu(kind: str, number: int, rounds: int, enough: int) -> Iterator[tuple[int, float]]:
    """Yield how many messages come in a loop turn, and the microseconds of CPU per delivery.

    A round has as many turns as make ``enough`` deliveries.
    """
    with crowd(kind, number) as (process, people):
        said = 0
        for at_once in (1, 10):
            spent, turns = [], ceil(enough / (at_once * number))
            for _ in range(rounds):
                before = process.cpu()
                for _ in range(turns):
                    people.say(at_once)
                    said += at_once
                    people.hear(said)
                spent.append((process.cpu() - before) / 1000 / (turns * at_once * number))
            yield at_once, min(spent)


def lone(what: str, number: int, times: int) -> Iterator[Figure]:
    """Yield how long it takes until the last client has heard a lone message."""
    waits: dict[str, list[float]] = {}
    for kind in KINDS[:2]:
        with crowd(kind, number) as (_, people):
            for said in range(1, times + 1):
                began = time.perf_counter()
                people.say(1)
                people.hear(said)
                waits.setdefault(kind, []).append((time.perf_counter() - began) * 1000)
    plain, rooms = (median(waits[kind]) for kind in KINDS[:2])
    yield Figure(f"{what}: write_message", plain, "ms", spread=spread(waits["plain"]))
    ratios = spread(value / plain for value in waits["rooms"])
    yield Figure(f"{what}: rooms", rooms / plain, "of write_message", 1.5, ratios)


def idle(what: str, number: int) -> Figure:
    """Return the memory that a client takes which says nothing."""
    with server("benchmarks._room_servers", "rooms") as process, away_from_servers():
        warm, before = Crowd([process.port], 20), resident(process.pid)
        people = Crowd([process.port], number)
        each = (resident(process.pid) - before) / number / 1024
        people.close()
        warm.close()
    return Figure(what, each, "KiB", 25)


def two_processes(what: str, number: int, seconds: float) -> Iterator[Figure]:
    """Yield what becomes of messages between two processes with ``number`` clients each."""
    module = "benchmarks._room_servers"
    with (
        RedisServer() as redis,
        server(module, "rooms", redis.url) as one,
        server(module, "rooms", redis.url) as other,
    ):
        os.sched_setaffinity(other.pid, os.sched_getaffinity(0))
        people = Crowd([one.port, other.port], number)
        said, waits = chat(people, seconds)
        heard = sum(people.heard.values()) / FRAME
        people.close()
    yield Figure(f"{what}: lost", said * 2 * number - heard, "messages", 0)
    yield Figure(f"{what}: said", said / seconds, "messages/s")
    yield Figure(f"{what}: p99", quantiles(waits, n=100)[98] * 1000, "ms")


def chat(people: Crowd, seconds: float) -> tuple[int, list[float]]:
    """Have the speakers speak in turn; return how often, and the seconds until it was read.

    One client of fifty looks at the time: to read it takes longer than to hear.
    """
    said, waits, began = 0, [], time.monotonic()
    clocks, heard = set(list(people.sockets)[::50]), began
    end = began + seconds
    while (now := time.monotonic()) < max(end, heard + SILENCE):
        if now < end and now >= began + said / RATE:
            people.say(1, said % len(people.speakers))
            said += 1
        for number, data in people.read(0.002):
            heard = now
            if number in clocks:
                sent = [float(at) for at in re.findall(rb'"at": "([0-9.]+)"', data)]
                waits += [time.time() - at for at in sent]
        if now >= end and min(people.heard.values()) >= said * FRAME:
            break
    return said, waits
