"""Two processes of the app, people who talk all the time, and everything that can fail, in turn."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from tornado.web import Application

from demo_app.storage.mysql import MySQLStorage
from tests.demo_app.chatter import Chatter
from tests.demo_app.conftest import PASSWORD, SOCKET
from tests.demo_app.process import Program
from tests.demo_app.wire import Wire
from tornado_ext.mysql import Database
from tornado_ext.testing import Client, MariaDBServer, RedisServer
from tornado_ext.testing._process import free_port

ADDRESS = r"^http://127\.0\.0\.1:\d+$"
NAMES = ["ann", "ben", "cid", "dee"]
PATIENCE = 60  # seconds until all have heard all
CUT = float(os.environ.get("CHAT_CUT_SECONDS", "3"))  # the network, for so long


@dataclass
class World:
    """What can fail."""

    shards: list[RedisServer]
    rooms: RedisServer
    database: MariaDBServer
    processes: list[Program]
    wire: Wire  # before the second process


@pytest.fixture
def ports() -> list[int]:
    return [free_port(), free_port()]


@pytest.fixture
def world(
    redis_servers: Callable[..., list[RedisServer]],
    mariadb_server: MariaDBServer,
    mysql_url: str,
    ports: list[int],
) -> Iterator[World]:
    *shards, rooms = redis_servers(4)
    options = [f"--rooms={rooms.url}", f"--database={mysql_url}", "--sessions"]
    options += [f"{name}={shard.url}" for name, shard in zip("abc", shards, strict=True)]
    with ExitStack() as running:
        processes = [
            running.enter_context(Program("demo_app", f"--port={port}", *options)) for port in ports
        ]
        for process in processes:
            process.prints(ADDRESS)
        yield World(shards, rooms, mariadb_server, processes, Wire(ports[1]))


async def kill_a_process(world: World) -> None:
    await asyncio.to_thread(world.processes[0].end, signal.SIGKILL)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(world.processes[0].restart)


async def stop_a_process(world: World) -> None:
    await asyncio.to_thread(world.processes[1].restart)  # SIGTERM, under load


async def restart_redis(world: World) -> None:
    world.rooms.kill()
    await asyncio.sleep(0.5)
    world.rooms.restart(empty=True)


async def restart_database(world: World) -> None:
    world.database.kill()
    await asyncio.to_thread(world.database.restart)


async def lose_a_shard(world: World) -> None:
    world.shards[0].kill()


async def cut_the_network(world: World) -> None:
    world.wire.cut()
    await asyncio.sleep(CUT)
    world.wire.mend()


FAILURES: list[Callable[[World], Awaitable[None]]] = [
    kill_a_process,
    restart_redis,
    restart_database,
    cut_the_network,
    stop_a_process,
    lose_a_shard,
]


@pytest.mark.gen_test(timeout=180)
async def test_nothing_is_lost_or_doubled_or_out_of_order(
    world: World, ports: list[int], mysql_url: str
) -> None:
    await world.wire.start()
    urls = [f"http://127.0.0.1:{port}" for port in (ports[0], world.wire.port)]
    people = [await somebody(name, urls) for name in NAMES]
    talking = [asyncio.ensure_future(each.talk()) for each in people]
    for fail in FAILURES:
        await more_is_said(people)
        await fail(world)
    await more_is_said(people)
    for each in people:
        each.quiet = True
    await asyncio.sleep(0.5)

    stored = await everything_stored(mysql_url)
    async with asyncio.timeout(PATIENCE):
        while any(each.last < len(stored) for each in people):
            await asyncio.sleep(0.1)
    for task in talking:
        task.cancel()
    await asyncio.gather(*talking, return_exceptions=True)
    await world.wire.stop()
    await asyncio.gather(*(late for each in people for late in each.late), return_exceptions=True)

    stored = await everything_stored(mysql_url)
    for each in people:
        assert each.heard == stored
        own = [text for _, text in stored if text.startswith(each.name)]
        assert own == [f"{each.name} {number}" for number in range(len(own))]
        assert len(own) - each.said in (0, 1)  # one may be stored that was not shown yet
        assert not each.logged_out
    assert sum(each.connections for each in people) > len(people)  # it was no idle test


async def somebody(name: str, urls: list[str]) -> Chatter:
    client = Client(Application(xsrf_cookies=True), urls[0])
    response = await client.post("/register", {"name": name, "password": PASSWORD})
    assert response.code == 200
    return Chatter(name, client, SOCKET, urls)


async def more_is_said(people: list[Chatter]) -> None:
    """Return when everybody has said some more."""
    before = [each.said for each in people]
    async with asyncio.timeout(PATIENCE):
        while any(each.said < said + 5 for each, said in zip(people, before, strict=True)):
            await asyncio.sleep(0.05)


async def everything_stored(mysql_url: str) -> list[tuple[int, str]]:
    storage = MySQLStorage(Database(mysql_url))
    messages = await storage.messages_after("lobby", 0, limit=100_000)
    await storage.close()
    return [(message.id, message.text) for message in messages]
