"""Rooms next to Tornado's own ``write_message`` and to ``websockets.broadcast``."""

import os
import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from benchmarks._figures import Figure, spread
from benchmarks._servers import Server, away_from_servers, server
from tornado_ext.testing import RedisServer

FRAME = 270  # bytes, with the header
KINDS = ("plain", "rooms", "websockets")
CLIENTS = (200, 1000, 2000)
ROUNDS = 7  # of which the cheapest counts
TURNS = 20  # of the event loop in each
LONE = 40  # messages to time
IDLE = 5000  # clients
SECONDS = 60
RATE = 50  # messages a second
DRAIN = 60  # seconds for what is under way at the end
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes

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
            reply += client.recv(1)
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
        """Yield what has come, by client."""
        for number, _ in self.poll.poll(timeout):
            data = self.sockets[number].recv(2**18)
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
    figures: list[Figure] = []
    for number in (20,) if quick else CLIENTS:
        figures += deliveries(number, 2 if quick else ROUNDS)
    figures += lone(20 if quick else 1000, 5 if quick else LONE)
    figures.append(idle(50 if quick else IDLE))
    figures += two_processes(20 if quick else 1000, 0.5 if quick else SECONDS)
    return figures


def deliveries(number: int, rounds: int) -> Iterator[Figure]:
    """Yield the CPU of a delivery to ``number`` clients, one and ten messages a loop turn."""
    costs = {(kind, at_once): cost for kind in KINDS for at_once, cost in cpu(kind, number, rounds)}
    for at_once, target in ((1, 0.5), (10, 0.1)):
        what = f"{number} clients, {at_once} a turn"
        plain = costs["plain", at_once]
        yield Figure(f"{what}: write_message", plain, "us")
        rooms, peer = costs["rooms", at_once], costs["websockets", at_once]
        yield Figure(f"{what}: rooms", rooms / plain, "of it", target)
        yield Figure(f"{what}: websockets", peer / plain, "of it")
        yield Figure(f"{what}: rooms, of websockets", rooms / peer, "of it", 1.0)


def cpu(kind: str, number: int, rounds: int) -> Iterator[tuple[int, float]]:
    """Yield how many messages come in a loop turn, and the microseconds of CPU per delivery."""
    with crowd(kind, number) as (process, people):
        said = 0
        for at_once in (1, 10):
            spent = []
            for _ in range(rounds):
                before = process.cpu()
                for _ in range(TURNS):
                    people.say(at_once)
                    said += at_once
                    people.hear(said)
                spent.append((process.cpu() - before) / 1000 / (TURNS * at_once * number))
            yield at_once, min(spent)


def lone(number: int, times: int) -> Iterator[Figure]:
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
    yield Figure(f"a lone message to {number}: write_message", plain, "ms")
    ratios = spread(value / plain for value in waits["rooms"])
    yield Figure(f"a lone message to {number}: rooms", rooms / plain, "of it", 1.5, ratios)


def idle(number: int) -> Figure:
    """Return the memory that a client takes which says nothing."""
    with server("benchmarks._room_servers", "rooms") as process, away_from_servers():
        warm, before = Crowd([process.port], 20), resident(process.pid)
        people = Crowd([process.port], number)
        each = (resident(process.pid) - before) / number / 1024
        people.close()
        warm.close()
    return Figure(f"{number} idle clients, each", each, "KiB", 25)


def resident(pid: int) -> int:
    """Return the bytes that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def two_processes(number: int, seconds: float) -> Iterator[Figure]:
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
    what = f"2 x {number} clients, {RATE} messages/s"
    yield Figure(f"{what}: lost", said * 2 * number - heard, "messages", 0)
    yield Figure(f"{what}: p99", quantiles(waits, n=100)[98] * 1000, "ms")


def chat(people: Crowd, seconds: float) -> tuple[int, list[float]]:
    """Have the speakers speak in turn; return how often, and the seconds until it was read.

    One client of fifty looks at the time: to read it takes longer than to hear.
    """
    said, waits, began = 0, [], time.monotonic()
    clocks = set(list(people.sockets)[::50])
    end = began + seconds
    while (now := time.monotonic()) < end + DRAIN:
        if now < end and now >= began + said / RATE:
            people.say(1, said % len(people.speakers))
            said += 1
        for number, data in people.read(0.002):
            if number in clocks:
                sent = [float(at) for at in re.findall(rb'"at": "([0-9.]+)"', data)]
                waits += [time.time() - at for at in sent]
        if now >= end and min(people.heard.values()) >= said * FRAME:
            break
    return said, waits
