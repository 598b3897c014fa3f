"""One trial: a world under load, what happens to it, and what came of it."""

import asyncio
import random
import time
from collections.abc import Sequence
from itertools import pairwise

from tests.chaos.clients import Load
from tests.chaos.events import Event, kill
from tests.chaos.report import TIMEOUT, Row, p99
from tests.chaos.world import NotSettled, World


async def trial(
    events: Sequence[Event],
    shard: str,
    *,
    rate: float = 230.0,
    browsers: int = 64,
    idle: int = 500,
    before: float = 5.0,
    killed: float = 3.0,
    timeout: float = TIMEOUT,
) -> tuple[Row, str]:
    """Let these happen to a shard, one after the other, and another be killed after each.

    There are ``idle`` sessions that nobody uses; ``before`` and ``killed`` are the seconds of load
    that come first, and for which another shard is away; ``timeout`` is how long a process waits
    for a node. Return the figures, and what the app processes have logged.
    """
    proxied = shard if any(event.proxied for event in events) else ""
    world = World(max(event.nodes for event in events), proxied=proxied, timeout=timeout)
    async with world:
        load = Load(world.wire, rate=rate, browsers=browsers)
        row = Row(", ".join(event.name for event in events), shard, load.counts)
        try:
            await world.settle()
            await load.fill(idle)
            requests, marks = load.requests, [time.monotonic()]
            async with load.running():
                await asyncio.sleep(before)
                marks.append(time.monotonic())
                for event in events:
                    await event.act(world, shard, event.hold)
                    row.settled = await world.settle()
                    marks.append(time.monotonic())
                    other = random.choice([name for name in world.ring if name != shard])
                    await kill(world, other, killed)
                    await world.settle()
                    marks.append(time.monotonic())
            row.rate = (load.requests - requests) / (time.monotonic() - marks[0])
            spans = [p99(world.wire.times, *span) for span in pairwise(marks)]
            row.p99 = [spans[0], max(spans[1::2]), max(spans[2::2])]
            await _look_without_each(world, load)
        except NotSettled as exc:
            row.failure = f"not settled: {exc}"
        await load.look_at_all()
    return row, "".join(f"--- {app.port}\n{app.said}" for app in world.apps)


async def _look_without_each(world: World, load: Load) -> None:
    """Look at all sessions while one node is away, for each of them: what it has, others have."""
    for name in world.ring:
        await world.kill(name)
        await load.look_at_all()
        await world.bring_back(name)
        await world.settle()
