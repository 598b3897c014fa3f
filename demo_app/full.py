"""Run the app as it would be run in earnest, on servers that start and end with it.

``python -m demo_app.full --port 8888`` starts three Redis shards for sessions, a Redis for rooms,
MariaDB for users and messages, and two processes of the app, on that port and the next.
"""

import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NoReturn

from tornado.netutil import bind_sockets

from demo_app.__main__ import LAST_PORT, Parser, port
from demo_app.config import naming
from tornado_ext.errors import TornadoExtError
from tornado_ext.testing import MariaDBServer, RedisServer

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHARDS = ("a", "b", "c")
STOP_TIMEOUT = 5  # seconds for a process to finish its requests
POLL_INTERVAL = 0.2  # seconds

GUIDE = """
{}

Open the two addresses in two browsers and talk; in a third tab open /internals and see which shard
keeps your session, and which has its replica. Then kill any one of the shards, such as

  kill -9 {}

Nobody is logged out, and the talk goes on; /internals shows that shard as away.
Ctrl-C stops all of it.
"""


class AppEnded(TornadoExtError):
    """One of the processes of the app is gone; the others are stopped too."""


@dataclass(frozen=True)
class App:
    """One process of the app, ready to serve."""

    process: subprocess.Popen[str]
    url: str


def main() -> None:
    """Run all of it until Ctrl-C, SIGTERM, or the end of one of the two processes."""
    parser = Parser(prog="demo_app.full", description="The app on private servers.")
    parser.add_argument("--port", type=first_port, default=8888, help="of the first process (8888)")
    parser.add_argument("--database", choices=["mysql", "mysql+tornado"], default="mysql")
    args = parser.parse_args()
    ports = [args.port, args.port + 1] if args.port else [0, 0]
    for number in SIGNALS:
        signal.signal(number, interrupt)
    try:
        check(ports)
        with ExitStack() as running:
            run(running, ports, args.database)
    except KeyboardInterrupt:
        print("All stopped.")
    except TornadoExtError as exc:
        sys.exit(f"demo_app.full: {exc}")


def first_port(text: str) -> int:
    """Return a TCP port that has a next one; 0 is any two that are free."""
    number = port(text)
    if number == LAST_PORT:
        raise ArgumentTypeError(f"{number} leaves no port for the second process")
    return number


def interrupt(*_: object) -> NoReturn:
    """Begin to stop, and let no second Ctrl-C interrupt that."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def check(ports: list[int]) -> None:
    """Raise `ConfigurationError` for a port that can't be had, before anything is started."""
    for number in ports:
        with naming(f"--port: {number}"):
            for listening in bind_sockets(number, "127.0.0.1"):
                listening.close()


def run(running: ExitStack, ports: list[int], driver: str) -> NoReturn:
    """Start the servers and the app on them, and watch. Raise `AppEnded` when one has ended."""
    print("Starting five servers and two processes ...", flush=True)
    shards = {name: running.enter_context(RedisServer()) for name in SHARDS}
    rooms = running.enter_context(RedisServer())
    database = running.enter_context(MariaDBServer())
    options = [
        f"--rooms={rooms.url}",
        f"--database={database.url_of(database.database, driver)}",
        "--sessions",
        *(f"{name}={shard.url}" for name, shard in shards.items()),
    ]
    apps = [running.enter_context(started(port, options)) for port in ports]
    print(GUIDE.format("\n".join(lines(apps, shards)), shards["b"].pid), flush=True)
    watch(apps)


def lines(apps: list[App], shards: dict[str, RedisServer]) -> Iterator[str]:
    """Yield a line for each process of the app and for each shard."""
    for app in apps:
        yield f"  {app.url}  the app, pid {app.process.pid}"
    for name, server in shards.items():
        yield f"  127.0.0.1:{server.port:<12} session shard {name}, pid {server.pid}"


@contextmanager
def started(port: int, options: list[str]) -> Iterator[App]:
    """Run one process of the app until the end of the block."""
    command = [sys.executable, "-m", "demo_app", f"--port={port}", *options]
    if setpriv := shutil.which("setpriv"):  # of util-linux: ends it, should this process be killed
        command = [setpriv, "--pdeathsig", "TERM", *command]
    # In a group of its own, or Ctrl-C would reach it twice and cut its requests off.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            if not url:
                raise AppEnded(f"the app did not start on port {port}")
            yield App(process, url)
        finally:
            stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End a process, in peace if it is quick."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()


def watch(apps: list[App]) -> NoReturn:
    """Wait until a process ends, and raise `AppEnded`."""
    while True:
        for app in apps:
            status = app.process.poll()
            if status is not None:
                raise AppEnded(f"the app on {app.url} has ended with status {status}")
        time.sleep(POLL_INTERVAL)


if __name__ == "__main__":
    main()
