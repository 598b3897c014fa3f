"""What the work of the app costs its process: ``python -m tests.demo_app.costs``.

Prints milliseconds of CPU in the process of the app, on three Redis shards, a Redis for rooms and
MariaDB, with all browsers at work at once.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from tornado.web import Application

from tests.demo_app.process import Program
from tests.demo_app.talker import Talker
from tornado_ext.testing import Client, MariaDBServer, RedisServer

BROWSERS = 20
TIMES = 40  # by each browser, which may send 100 frames at once
TICK = 1000 / os.sysconf("SC_CLK_TCK")  # milliseconds
PASSWORD = "correct horse"


def main() -> None:
    """Start everything, and measure."""
    with ExitStack() as running:
        shards = [running.enter_context(RedisServer()) for _ in range(3)]
        rooms = running.enter_context(RedisServer())
        database = running.enter_context(MariaDBServer())
        options = [f"--rooms={rooms.url}", f"--database={database.url}", "--sessions"]
        options += [f"{name}={shard.url}" for name, shard in zip("abc", shards, strict=True)]
        program = running.enter_context(Program("demo_app", "--port=0", *options))
        url = program.prints(r"http://\S+")[0][0]
        asyncio.run(measure_all(program.process.pid, url))


async def measure_all(pid: int, url: str) -> None:
    """Print a line for each piece of work."""
    clients = [Client(Application(xsrf_cookies=True), url) for _ in range(BROWSERS)]
    for number, client in enumerate(clients):
        form = {"name": f"user {number}", "password": PASSWORD}
        await client.post("/register", form)
        await client.post("/", {"room": f"room-{number}"})
    talkers = [await enter(client, number) for number, client in enumerate(clients)]

    async def say(number: int) -> None:
        await talkers[number].say("The night run has finished.")
        await talkers[number].next("message")

    async def sync(number: int) -> None:
        await talkers[number].ask("sync", after=TIMES)
        await talkers[number].next("ready")

    async def come_back(number: int) -> None:
        talkers[number].socket.close()
        await talkers[number].is_closed()
        talkers[number] = await enter(clients[number], number)

    async def read(number: int) -> None:
        response = await clients[number].get(f"/rooms/room-{number}")
        assert response.code == 200

    async def log_in(number: int) -> None:
        form = {"name": f"user {number}", "password": PASSWORD}
        assert (await clients[number].post("/login", form)).code == 200

    await measure(pid, "say a message, to oneself", say)
    await asyncio.gather(*(come_back(number) for number in range(BROWSERS)))
    await measure(pid, "ask what is missing: nothing", sync)
    await measure(pid, "come back with a new socket", come_back, 10)
    await measure(pid, "open the page of a room with 40 messages", read, 10)
    await measure(pid, "log in", log_in, 1)


async def enter(client: Client, number: int) -> Talker:
    """Open the socket of a room, and wait until it is ready."""
    talker = Talker(await client.websocket(f"/rooms/room-{number}/socket?after={TIMES}"))
    await talker.next("ready")
    return talker


async def measure(
    pid: int, name: str, work: Callable[[int], Awaitable[None]], times: int = TIMES
) -> None:
    """Do it ``times`` by each browser, and print what one took."""
    before = ticks(pid)
    for _ in range(times):
        await asyncio.gather(*(work(number) for number in range(BROWSERS)))
    spent = (ticks(pid) - before) * TICK / (times * BROWSERS)
    sys.stdout.write(f"{spent:6.2f} ms  {name}\n")


def ticks(pid: int) -> int:
    """Return the CPU that a process has had, with its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    main()
