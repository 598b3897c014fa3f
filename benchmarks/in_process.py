"""The cost of a request on a connection that sends nothing: Tornado and Python, no sockets.

``python -m benchmarks.in_process stock`` prints that of one case, in microseconds.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tornado.concurrent import Future
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from benchmarks.cases import CASES

TURNS = 5  # processes of each case, in turn: CPython adapts its bytecode to the classes it meets
BATCHES = 200  # in each process; the fastest counts
BATCH = 20  # requests, in flight together
WARM_UP = 10  # requests before each batch, one after the other


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


async def _answer(connection: SendsNothing, delegates: list[Any]) -> None:
    due = connection.finished + len(delegates)
    for delegate in delegates:
        delegate.finish()
    while connection.finished < due:
        await asyncio.sleep(0)


async def best_batch(case: str) -> float:
    """Return the cost in the fastest batch."""
    return min([await one_batch(case) for _ in range(BATCHES)])


def measure() -> dict[str, float]:
    """Return what a request costs in each case, in microseconds."""
    costs: dict[str, list[float]] = {case: [] for case in CASES}
    for _ in range(TURNS):
        for case in CASES:
            command = [sys.executable, "-m", "benchmarks.in_process", case]
            costs[case].append(float(subprocess.check_output(command)))
    return {case: min(runs) for case, runs in costs.items()}


if __name__ == "__main__":
    print(asyncio.run(best_batch(sys.argv[1])))
