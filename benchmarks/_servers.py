"""Server processes, and the client that talks to them. Linux alone: see `Server.cpu`."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.wsgi import WSGIContainer

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CPUS = os.sched_getaffinity(0)
SERVER_CPU = max(CPUS)  # of every server, so that each has the same neighbours
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes
IDLE = 0.005  # seconds; Linux 6 brings the clock of a running process up to date every 4 ms


@dataclass(frozen=True)
class Server:
    """A server process on 127.0.0.1."""

    port: int
    pid: int

    def cpu(self) -> int:
        """Return the CPU time that it has used, in nanoseconds: its own and the kernel's for it.

        Call it when no request is left. Exact to a microsecond, unlike /proc.
        """
        time.sleep(IDLE)
        # What clock_getcpuclockid(3) returns for another process, which Python doesn't have.
        return time.clock_gettime_ns(~self.pid << 3 | 2)


@contextmanager
def server(module: str, *arguments: str) -> Iterator[Server]:
    """Run a module that prints its port and ends with its standard input, as `serve` does."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        os.sched_setaffinity(process.pid, {SERVER_CPU})
        try:
            yield Server(int(process.stdout.readline()), process.pid)
        finally:
            process.stdin.close()


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def keep_away(pid: int) -> None:
    """Keep a process off the servers' CPU, if there is another."""
    os.sched_setaffinity(pid, CPUS - {SERVER_CPU} or CPUS)


@contextmanager
def away_from_servers() -> Iterator[None]:
    """Keep this process off the servers' CPU, if there is another."""
    keep_away(os.getpid())
    try:
        yield
    finally:
        os.sched_setaffinity(0, CPUS)


async def serve(application: Application | WSGIContainer) -> None:
    """Print a free port and serve on it, until standard input ends."""
    HTTPServer(application).add_sockets([listen()])
    await until_stdin_ends()


def listen() -> socket.socket:
    """Print a free port and return a socket that listens on it."""
    (listening,) = bind_sockets(0, "127.0.0.1")
    print(listening.getsockname()[1], flush=True)
    return listening


async def until_stdin_ends() -> None:
    """Return when who started this process wants it to end."""
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class Client:
    """A connection that is kept alive."""

    def __init__(self, port: int) -> None:
        """Connect to ``port``."""
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, request: bytes = GET) -> bytes:
        """Return the body of a short reply, which comes in one piece."""
        self._socket.sendall(request)
        return self._socket.recv(65536).partition(b"\r\n\r\n")[2]

    def __enter__(self) -> "Client":
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connection."""
        self._socket.close()
