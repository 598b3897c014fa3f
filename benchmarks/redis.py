"""The CPU time of a Redis command on the shared connection, next to redis-py's own client.

Of the client alone, for an HGETALL of six small fields; both parse with hiredis, and redis-py has
a pool of connections, as it has by default. Bare is the least that Python can do: a protocol of
asyncio's with hiredis, that knows no failure. The ratio is the median of those within a round.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any, NamedTuple

import hiredis
from redis.asyncio import Redis

from benchmarks._figures import Figure, spread
from tornado_ext._redis import RedisServer
from tornado_ext.testing import RedisServer as PrivateRedis

NEXT_TO = ("redis-server", "redis", "hiredis")
FIELDS = 6  # of a hash, as a session has them
IN_FLIGHT = 16
ROUNDS = 10  # the clients one after the other in each
COMMANDS = 1600  # in each round
NAMES = ("bare hiredis", "ours", "redis-py")  # of `Kinds`
TARGETS = {1: 1.0, IN_FLIGHT: 0.4}  # of redis-py's client

Ask = Callable[..., Awaitable[Any]]


class Kinds(NamedTuple):
    """What a command costs in each way, in microseconds of CPU."""

    bare: float
    ours: float
    redis_py: float


class Bare(asyncio.Protocol):
    """Writes once in a loop turn, and matches the replies in order."""

    def __init__(self) -> None:
        self._replies = hiredis.Reader(encoding="utf-8", notEnoughData=self)
        self._packed: list[bytes] = []
        self._waiting: deque[asyncio.Future[Any]] = deque()

    def connection_made(self, transport: Any) -> None:
        """Keep what to write to."""
        self.transport = transport

    def ask(self, *args: str) -> "asyncio.Future[Any]":
        """Return the reply to a command."""
        if not self._packed:
            asyncio.get_running_loop().call_soon(self._write)
        self._packed.append(hiredis.pack_command(args))
        self._waiting.append(asyncio.get_running_loop().create_future())
        return self._waiting[-1]

    def data_received(self, data: bytes) -> None:
        """Hand the replies out."""
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not self:
            self._waiting.popleft().set_result(reply)

    def _write(self) -> None:
        self.transport.write(b"".join(self._packed))
        self._packed.clear()


def measure(quick: bool = False) -> list[Figure]:
    """Return what HGETALL of a small hash costs, one at a time and 16 in flight."""
    rounds, commands = (2, 32) if quick else (ROUNDS, COMMANDS)
    figures = []
    with PrivateRedis() as server:
        for in_flight, target in TARGETS.items():
            costs = asyncio.run(compare(server, in_flight, rounds, commands))
            title = f"HGETALL, {in_flight} in flight"
            for name, values in zip(NAMES, zip(*costs, strict=True), strict=True):
                what = f"{title}, {name}"
                figures.append(Figure(what, median(values), "us", spread=spread(values)))
            ratios = [each.ours / each.redis_py for each in costs]
            figures.append(
                Figure(f"{title}, ratio", median(ratios), "of redis-py", target, spread(ratios))
            )
    return figures


async def compare(server: PrivateRedis, in_flight: int, rounds: int, commands: int) -> list[Kinds]:
    """Return the costs in each round."""
    shared = RedisServer(server.url, "url")
    _, bare = await asyncio.get_running_loop().create_connection(Bare, server.host, server.port)
    async with Redis.from_url(server.url, decode_responses=True) as client:
        await client.hset("hash", mapping={f":field{n}": '"value"' for n in range(FIELDS)})
        ways: list[Ask] = [bare.ask, shared.command, client.execute_command]
        costs = [
            Kinds(*[await microseconds(ask, in_flight, commands) for ask in ways])
            for _ in range(rounds + 1)
        ][1:]  # the first connects
    bare.transport.close()
    await shared.close()
    return costs


async def microseconds(ask: Ask, in_flight: int, commands: int) -> float:
    """Return the CPU time of a command, this process's alone."""

    async def one_after_the_other() -> None:
        for _ in range(commands // in_flight):
            await ask("HGETALL", "hash")

    start = time.process_time_ns()
    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))
    return (time.process_time_ns() - start) / commands / 1000
