"""An app, and a process that serves it."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

PATIENCE = 20  # seconds until a test that waits in vain fails

APP = """
import asyncio, pathlib
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler
from tornado_ext.rooms import LocalBus, RoomMixin
from tornado_ext.serving import serve

class Hello(RequestHandler):
    def get(self):
        self.write("hello")

class Slow(RequestHandler):
    async def get(self):
        print("open", flush=True)
        while not pathlib.Path("go").exists():
            await asyncio.sleep(0.01)
        self.write("slow")

class Socket(RoomMixin, WebSocketHandler):
    async def open(self):
        await self.join("lobby")
        await self.write_message("joined")

class Closing:
    def __init__(self, name):
        self.name = name
    async def close(self):
        print(f"closed {self.name}\\n", end="", flush=True)
        if self.name == "broken":
            raise OSError("broken")

class ClosingBus(LocalBus):
    async def close(self):
        await super().close()
        print("closed rooms", flush=True)

def make_app(**settings):
    handlers = [("/", Hello), ("/slow", Slow), ("/socket", Socket)]
    settings.setdefault("room_bus", LocalBus())
    return Application(handlers, **settings)

"""


class Process:
    """A Python process that runs `APP` and ``code``."""

    def __init__(self, code: str, directory: Path) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-W", "default", "-c", APP + code],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def serves(self) -> str:
        """Return the URL that it prints, without the last slash."""
        self.url = self.line()
        return self.url

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def stops(self, number: int = signal.SIGTERM) -> None:
        """Send the signal, and return when no connection is taken any more."""
        self.send(number)
        for _ in range(PATIENCE * 100):
            if not self.takes_connections():
                return
            time.sleep(0.01)
        raise AssertionError("it still takes connections")

    def takes_connections(self) -> bool:
        parts = urlsplit(self.url)
        with socket.socket() as client:
            return client.connect_ex((parts.hostname, parts.port)) == 0

    def let_go(self) -> None:
        """Let the slow requests end."""
        (self.directory / "go").touch()

    def ends(self) -> tuple[int, str, str]:
        """Return its exit status, and what else it wrote to stdout and stderr."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its children too
        self.process.communicate()


def get(url: str) -> str:
    with urlopen(url, timeout=PATIENCE) as response:
        return str(response.read().decode())


def open_slow(process: Process, threads: ThreadPoolExecutor) -> "Future[str]":
    """Ask for a page that comes when `Process.let_go` is called."""
    answer = threads.submit(get, process.serves() + "/slow")
    assert process.line() == "open"
    return answer
