"""How long a node that comes back empty takes to catch up, and what requests notice of it.

One app process keeps sessions on two of three Redis servers each, serves a steady load, and brings
the node up to date itself.
"""

import asyncio
import json
import re
import time
from collections import defaultdict
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from statistics import quantiles
from typing import Self

from redis import Redis
from tornado.httpclient import AsyncHTTPClient

from benchmarks._figures import Figure
from benchmarks._placing import keys
from benchmarks._servers import away_from_servers, keep_away, server
from benchmarks._session_apps import FIELDS
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.sessions.store import Record
from tornado_ext.testing import RedisServer

SESSIONS = 100_000
NODES = 3
VISITORS = 40
RATE = 200  # requests a second, of all visitors
ASKED = "read", "read", "read", "change"
STEADY = 10.0  # seconds
AT_ONCE = 500  # sessions that are copied
IDLE = 14 * 86400.0  # seconds
LONGEST = 240.0  # seconds until all nodes are ok
PATIENCE = 10.0  # seconds, for one reply
COPY = """
for _, key in ipairs(KEYS) do
  redis.call('HSET', key, unpack(ARGV, 2))
  redis.call('EXPIRE', key, ARGV[1])
end
"""
LENGTH = re.compile(rb"(?i)\ncontent-length: (\d+)")
COOKIE = re.compile(rb"(?i)\nset-cookie: ([^;]+)")
LOOK = 0.1  # seconds between two looks at whether all is well


def measure(quick: bool = False) -> list[Figure]:
    """Return how long it takes, and how slow the slowest hundredth of the requests are."""
    sessions, steady = (200, 0.2) if quick else (SESSIONS, STEADY)
    with away_from_servers(), ExitStack() as stack:
        nodes = [stack.enter_context(RedisServer()) for _ in range(NODES)]
        for node in nodes:
            keep_away(node.pid)
        urls = [node.url for node in nodes]
        asyncio.run(fill(urls, sessions))
        app = stack.enter_context(server("benchmarks._session_apps", "sharded", " ".join(urls)))
        load = Load(app.port)
        took = asyncio.run(lose_and_fill(nodes[0], load, steady))
    before, during = load.slowest("before"), load.slowest("catching up")
    return [
        Figure(f"catching up, {SESSIONS:,} sessions", took, "s", 60),
        Figure("p99 before", before, "ms"),
        Figure("p99 while catching up", during, "ms"),
        Figure("p99 while catching up, ratio", during / before, "of before", 2.0),
    ]


async def fill(urls: list[str], number: int) -> None:
    """Make one session, and copies of it under other keys, each on the nodes that own it."""
    nodes = {f"node{n}": url for n, url in enumerate(urls)}
    store = ShardedRedisStore(nodes)
    now = time.time()
    fields = {name: json.dumps(value) for name, value in FIELDS.items()}
    model, *others = keys(range(number))
    await store.create(model, Record(fields, now, now, ends_at=now + IDLE), IDLE)
    with Redis.from_url(nodes[store.owners(model)[0]]) as client:
        pairs = [part for pair in client.hgetall(f"session:{model}").items() for part in pair]
    for name, url in nodes.items():
        own = [f"session:{key}" for key in others if name in store.owners(key)]
        with Redis.from_url(url) as client:
            for first in range(0, len(own), AT_ONCE):
                batch = own[first : first + AT_ONCE]
                client.eval(COPY, len(batch), *batch, int(IDLE), *pairs)
    await store.close()


async def lose_and_fill(node: RedisServer, load: "Load", steady: float) -> float:
    """Return the seconds that a node took to be complete, from when it answered again."""
    await load.until_ok()
    async with asyncio.TaskGroup() as visitors:
        tasks = [visitors.create_task(load.visit(n)) for n in range(VISITORS)]
        await asyncio.sleep(steady / 3)  # fills caches
        load.phase = "before"
        await asyncio.sleep(steady)
        await load.until_known()
        load.phase = "restart"
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, partial(node.restart, empty=True))
        keep_away(node.pid)
        load.phase, start = "catching up", loop.time()
        await asyncio.sleep(LOOK)
        await load.until_ok()
        took = loop.time() - start
        await load.until_known()
        for task in tasks:
            task.cancel()
    return took


class Load:
    """Requests at a steady rate, and what they waited in each phase."""

    def __init__(self, port: int) -> None:
        """Take the port of an app."""
        self.port = port
        self.phase = "warming up"
        self._waits = defaultdict[str, list[float]](list)  # milliseconds

    def slowest(self, phase: str) -> float:
        """Return the 99th percentile, in milliseconds."""
        return quantiles(self._waits[phase], n=100)[-1]

    async def until_ok(self) -> None:
        """Wait until all nodes are ok in the eyes of the app."""
        states = {"": "unknown"}
        async with asyncio.timeout(LONGEST):
            while set(states.values()) != {"ok"}:
                await asyncio.sleep(LOOK)
                url = f"http://127.0.0.1:{self.port}/health"
                states = json.loads((await AsyncHTTPClient().fetch(url)).body)

    async def until_known(self) -> None:
        """Wait until there is something to tell of this phase."""
        while len(self._waits[self.phase]) < 2:
            await asyncio.sleep(LOOK)

    async def visit(self, number: int) -> None:
        """Ask again and again, on a connection of its own, with a session of its own.

        A wait is from when the request was due: a late answer delays those behind it too.
        """
        loop = asyncio.get_running_loop()
        async with Visitor(self.port) as visitor:
            due = loop.time() + number / RATE
            for kind in cycle(ASKED):
                await asyncio.sleep(due - loop.time())
                phase = self.phase
                await visitor.ask(kind)
                self._waits[phase].append((loop.time() - due) * 1000)
                due += VISITORS / RATE


class Visitor:
    """A connection that is kept alive, with a session."""

    def __init__(self, port: int) -> None:
        """Take the port of an app."""
        self._port = port
        self._cookie = b""

    async def ask(self, kind: str) -> bytes:
        """Return the reply; raise if it is no 200."""
        head = b"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n"
        self._writer.write(head % (kind.encode(), self._cookie))
        async with asyncio.timeout(PATIENCE):
            reply = await self._reader.readuntil(b"\r\n\r\n")
            if (length := LENGTH.search(reply)) is None or not reply.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(f"not what was asked for: {reply!r}")
            return reply + await self._reader.readexactly(int(length[1]))

    async def __aenter__(self) -> Self:
        """Connect, and begin a session."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        if cookie := COOKIE.search(await self.ask("new")):
            self._cookie = b"Cookie: %s\r\n" % cookie[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the connection."""
        self._writer.close()
