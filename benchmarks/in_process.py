"""The cost of a request on a connection that sends nothing: Tornado and Python, no sockets.

The CPU time from a request's parsed headers to its reply: the handler, Tornado around it, and our
part; no parsing, no system calls. The handler writes five bytes, so these ratios are the worst
there are: one that does something has the same few microseconds added to more. Requests are in
flight together, 20 in a batch, and the fastest batch counts, for everything that makes a batch
slower is the machine. The garbage collector is off, as in `timeit`: what a request leaves to it is
counted by [memory](#memory). A process serves one case alone, because CPython adapts its bytecode
to the classes that it meets; "from ... to" are such processes.
"""

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tornado.concurrent import Future
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from benchmarks._cases import CASES
from benchmarks._figures import Figure, spread

NEXT_TO: tuple[str, ...] = ()
TARGETS = {  # of stock
    "mixins, nothing to do": 1.20,
    "five def middlewares": 1.35,
    "five async def middlewares": 1.70,
    "a reply that awaits once": 1.60,
}
TURNS = 5  # processes of each case, in turn: CPython adapts its bytecode to the classes it meets
BATCHES = 200  # in each process; the fastest counts
BATCH = 20  # requests, in flight together
WARM_UP = 10  # requests before each batch, one after the other


def measure(quick: bool = False) -> list[Figure]:
    """Return what a request costs on stock Tornado, and in each other case next to it."""
    turns, batches = (1, 1) if quick else (TURNS, BATCHES)
    costs = [{case: in_its_own_process(case, batches) for case in CASES} for _ in range(turns)]
    best = {case: min(turn[case] for turn in costs) for case in CASES}
    figures = [Figure("stock", best["stock"], "us", spread=spread(turn["stock"] for turn in costs))]
    for case in list(CASES)[1:]:
        ratios = [turn[case] / best["stock"] for turn in costs]
        figures.append(Figure(case, min(ratios), "of stock", TARGETS.get(case), spread(ratios)))
    return figures


def in_its_own_process(case: str, batches: int) -> float:
    """Return the cost in the fastest batch, in microseconds."""
    command = [sys.executable, "-m", "benchmarks.in_process", case, str(batches)]
    return float(subprocess.check_output(command))


async def best_batch(case: str, batches: int) -> float:
    """Return the cost in the fastest batch, in microseconds."""
    gc.disable()  # as timeit does: else the fastest batch is one that it happened to spare
    return min([await one_batch(case) for _ in range(batches)])


async def one_batch(case: str) -> float:
    """Return the CPU time of a request, from its parsed headers to its reply, in microseconds."""
    connection = SendsNothing()
    delegates = [_delegate(case, connection) for _ in range(WARM_UP + BATCH)]
    for delegate in delegates[:WARM_UP]:
        await _answer(connection, [delegate])
    start = time.process_time_ns()
    await _answer(connection, delegates[WARM_UP:])
    return (time.process_time_ns() - start) / BATCH / 1000


def _delegate(case: str, connection: Any) -> Any:
    """Return what the HTTP server calls once it has read the request."""
    start_line, headers = RequestStartLine("GET", "/", "HTTP/1.1"), HTTPHeaders({"Host": "x"})
    request = HTTPServerRequest(start_line=start_line, headers=headers, connection=connection)
    return CASES[case].application.get_handler_delegate(request, CASES[case].handler)


async def _answer(connection: "SendsNothing", delegates: list[Any]) -> None:
    due = connection.finished + len(delegates)
    for delegate in delegates:
        delegate.finish()
    while connection.finished < due:
        await asyncio.sleep(0)


class SendsNothing:
    """A connection whose every write is done at once."""

    context = None

    def __init__(self) -> None:
        self.finished = 0
        self._sent: Future[None] = Future()
        self._sent.set_result(None)

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Never call it: nobody leaves."""

    def write_headers(self, *_: object) -> "Future[None]":
        """Take the whole of a short reply."""
        return self._sent

    def finish(self) -> None:
        """Count the reply."""
        self.finished += 1


if __name__ == "__main__":
    print(asyncio.run(best_batch(sys.argv[1], int(sys.argv[2]))))
