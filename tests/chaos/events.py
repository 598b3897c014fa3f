"""What happens to a ring in the course of its life."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.world import World

Act = Callable[[World, str, float], Awaitable[None]]

SLOW = 0.05  # seconds for a reply: many times what it takes otherwise,
TOO_SLOW = 1.0  # and longer than the stores wait
APART = 6.0  # seconds between two processes that learn of a change
ADDED = "d"


@dataclass(frozen=True)
class Event:
    """What happens to a shard, and holds for a while, in seconds, if it is a state."""

    name: str
    act: Act
    nodes: str = "abc"  # that the ring begins with
    proxied: bool = False
    hold: float = 5.0


async def kill(world: World, shard: str, hold: float) -> None:
    """Kill it; it returns with all that it had."""
    await world.kill(shard)
    await asyncio.sleep(hold)
    await world.bring_back(shard)


async def freeze(world: World, shard: str, hold: float) -> None:
    """Stop it in its tracks; what it was asked meanwhile it does afterwards."""
    world.servers[shard].freeze()
    await asyncio.sleep(hold)
    world.servers[shard].thaw()


async def return_old(world: World, shard: str, hold: float) -> None:
    """Kill it; it returns with the data that it had a while before."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "data"
        shutil.copytree(world.servers[shard].data, copy)
        await asyncio.sleep(hold)
        await world.kill(shard)
        await asyncio.sleep(hold)
        await world.bring_back(shard, data=copy)


async def return_empty(world: World, shard: str, hold: float) -> None:
    """Kill it; it returns with nothing."""
    await world.kill(shard)
    await asyncio.sleep(hold)
    await world.bring_back(shard, empty=True)


async def restart_apps(world: World, apart: float = 0.0) -> None:
    """Restart the processes, one after the other, on the ring as it is configured now."""
    for app in world.apps:
        await world.restart(app)
        await asyncio.sleep(apart)


async def add_node(world: World, shard: str, hold: float) -> None:
    """Add a fourth node."""
    await world.add(ADDED)
    world.ring.append(ADDED)
    await restart_apps(world)
    await world.settle()
    await world.rebalance()


async def add_node_apart(world: World, shard: str, hold: float) -> None:
    """Add a fourth node, of which the processes learn seconds apart."""
    await world.add(ADDED)
    world.ring.append(ADDED)
    await restart_apps(world, hold)


async def add_node_and_kill(world: World, shard: str, hold: float) -> None:
    """Add a fourth node, and kill another one before all processes have learnt of it."""
    await world.add(ADDED)
    world.ring.append(ADDED)
    first, *others = world.apps
    await world.restart(first)
    await world.kill(shard)
    for app in others:
        await asyncio.sleep(hold / len(others))
        await world.restart(app)
    await world.bring_back(shard)


async def remove_node(world: World, shard: str, hold: float) -> None:
    """Take a node out of the ring; its server is gone for good then."""
    world.ring.remove(shard)
    await restart_apps(world)
    await world.settle()
    await world.rebalance(shard)
    await world.kill(shard)


async def change_weight(world: World, shard: str, hold: float) -> None:
    """Give a node twice of what it had."""
    world.weights[shard] = 2
    await restart_apps(world)
    await world.settle()
    await world.rebalance()


async def restart_all(world: World, shard: str, hold: float) -> None:
    """Restart all servers, each the moment that the one before has caught up."""
    for name in world.ring:
        await world.bring_back(name)
        if name != world.ring[-1]:
            await world.settle()


async def fill_up(world: World, shard: str, hold: float) -> None:
    """Let it have no more memory, for a while."""
    await world.configure(shard, "maxmemory", 1)
    await asyncio.sleep(hold)
    await world.configure(shard, "maxmemory", 0)


async def slow_down(world: World, shard: str, hold: float) -> None:
    """Let it answer late, and then too late."""
    for delay in (SLOW, TOO_SLOW, 0.0):
        world.proxies[shard].delay = delay
        if delay:
            await asyncio.sleep(hold)


async def kill_app(world: World, shard: str, hold: float) -> None:
    """Kill a shard, and each app process while it brings that one up to date."""
    await kill(world, shard, hold)
    for app in world.apps:
        await asyncio.sleep(random.uniform(0, 1))
        await world.restart(app, kill=True)


EVENTS = {
    event.name: event
    for event in (
        Event("kill -9", kill),
        Event("freeze", freeze, hold=10.0),
        Event("return with old data", return_old),
        Event("return empty", return_empty),
        Event("fourth node", add_node),
        Event("node removed", remove_node, nodes="abcd"),
        Event("weight changed", change_weight),
        Event("all restarted", restart_all),
        Event("out of memory", fill_up),
        Event("slow", slow_down, proxied=True),
        Event("told apart", add_node_apart, hold=APART),
        Event("killed while told", add_node_and_kill, hold=2.0),
        Event("apps killed", kill_app),
    )
}
