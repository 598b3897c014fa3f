"""Whether a server process grows, over 200,000 requests of every kind.

Every reply waits for a hook. Of the requests 45 % come on kept connections, 45 % on connections
that close, and 10 % from clients that leave: half of those in the middle of a body, half while a
hook is awaited. After each of 20 rounds the server waits until no request is left, collects
garbage, and tells how many blocks of memory Python's objects take, which is exact, and its
resident bytes, which show what is not Python's too. The median of the last quarter of the rounds
is compared with that of the second, so that caches have filled. A second server keeps a number of
each request, to show that this would be seen.
"""

import asyncio
import gc
import json
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import ceil
from statistics import median

from tornado.web import RequestHandler, stream_request_body

from benchmarks._cases import Case, Mixed
from benchmarks._figures import Figure
from benchmarks._servers import GET, Client, resident, serve, server

NEXT_TO: tuple[str, ...] = ()
ROUNDS = 20
KEPT_ALIVE = 4500  # requests in each round
CLOSED = 4500
LEAVING = 1000
LEAK_SIZE = 0.05  # of these; a leak shows soon
BATCH = 20  # in flight together
SETTLED = 0.1  # seconds after which no request is left
BLOCKS = 0.01  # the most that may be kept of a request: one object of a hundred requests
BYTES = 2.0

GET_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HELD = b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n"
GET_SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\npart of it"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: don't wait, don't say goodbye


class Waits:
    """Has every reply wait, and one to ``/slow`` for longer than its client does."""

    async def process_response(self, handler: RequestHandler) -> None:
        """Let the event loop turn."""
        await asyncio.sleep(0.005 if handler.request.path == "/slow" else 0)


class Leaks(Waits):
    """Keeps a number of each request."""

    def __init__(self) -> None:
        self._kept: list[float] = []

    def process_request(self, handler: RequestHandler) -> None:
        """Keep it."""
        self._kept.append(handler.request.request_time())


@stream_request_body
class Upload(Mixed):
    """Takes in a body that never ends."""

    def data_received(self, chunk: bytes) -> None:
        """Drop it."""


class Held(RequestHandler):
    """Tells what this process holds."""

    async def get(self) -> None:
        """Write the resident bytes, and how many blocks of memory Python's objects take."""
        await asyncio.sleep(SETTLED)
        gc.collect()
        self.write({"resident": resident(os.getpid()), "blocks": sys.getallocatedblocks()})


def measure(quick: bool = False) -> list[Figure]:
    """Return how much a server keeps of a request, and how much one that leaks."""
    rounds, size = (4, 0.02) if quick else (ROUNDS, 1)
    kept, leaked = growth(rounds, size), growth(rounds, min(size, LEAK_SIZE), "leak")
    return [
        Figure("kept per request", kept["blocks"], "blocks", BLOCKS),
        Figure("kept per request, resident", kept["resident"], "bytes", BYTES),
        Figure("kept per request by a server that leaks", leaked["blocks"], "blocks"),
        Figure("and resident", leaked["resident"], "bytes"),
    ]


def growth(rounds: int, size: float, *arguments: str) -> dict[str, float]:
    """Return by how much a request makes the process grow."""
    with server("benchmarks.memory", *arguments) as process, Client(process.port) as client:
        held = []
        for _ in range(rounds):
            requests = one_round(process.port, size)
            held.append(json.loads(client.get(HELD)))
    quarter = rounds // 4
    before, after = held[quarter : 2 * quarter], held[3 * quarter :]
    return {
        kind: (median(each[kind] for each in after) - median(each[kind] for each in before))
        / (requests * 2 * quarter)
        for kind in ("blocks", "resident")
    }


def one_round(port: int, size: float = 1) -> int:
    """Send every kind of request; return how many."""
    kinds = {keep_alive: KEPT_ALIVE, close: CLOSED, leave: LEAVING}
    batches = {kind: ceil(number * size / BATCH) for kind, number in kinds.items()}
    for kind, number in batches.items():
        for _ in range(number):
            kind(port)
    return sum(batches.values()) * BATCH


def keep_alive(port: int) -> None:
    """Send a batch on one connection."""
    with connected(port, 1) as (connection,):
        connection.sendall(GET * BATCH)
        replies = b""
        while replies.count(b"hello") < BATCH:
            replies += connection.recv(2**16)


def close(port: int) -> None:
    """Send a batch, each on a connection that the server closes."""
    with connected(port, BATCH) as connections:
        for connection in connections:
            connection.sendall(GET_AND_CLOSE)
        for connection in connections:
            while connection.recv(2**16):
                pass


def leave(port: int) -> None:
    """Send a batch, and leave in the middle of the body or of the hook."""
    with connected(port, BATCH) as connections:
        for number, connection in enumerate(connections):
            connection.sendall(UPLOAD if number % 2 else GET_SLOW)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@contextmanager
def connected(port: int, number: int) -> Iterator[list[socket.socket]]:
    """Return as many connections, and close them at the end."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(number)
        ]


if __name__ == "__main__":
    case = Case(Mixed, Leaks() if "leak" in sys.argv else Waits())
    case.application.add_handlers(".*", [("/slow", Mixed), ("/upload", Upload), ("/held", Held)])
    asyncio.run(serve(case.application))
