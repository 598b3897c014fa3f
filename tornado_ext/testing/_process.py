"""A server process of one's own: its port, its directory, its life and its death."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Self

from tornado_ext.errors import TornadoExtError
from tornado_ext.testing._guard import Guard

# Below the ports that systems give to outgoing connections: one of those could take the port of a
# killed server before its restart.
PORTS = range(10_000, 32_768)
PORT_ATTEMPTS = 5
POLL_INTERVAL = 0.02  # seconds
LOG_LINES = 12  # of a server's log, in an error
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"  # Debian's mariadbd is in sbin


class MissingProgram(TornadoExtError):
    """A server's program is not on this machine. The message says what to install."""


class ServerFailed(TornadoExtError):
    """A private server did not get ready, does not answer, or is not running.

    The message ends with the last lines of its log.
    """


class PortTaken(ServerFailed):
    """Somebody took the port after it was found free."""


class PrivateServer(ABC):
    """Run a server process with a port and a temporary directory of its own.

    A context manager; or call `start` and `stop`. Process and directory are gone with the Python
    process that started them, even when that one is killed. Keyword arguments are options of the
    server program, with ``_`` for ``-``, and replace the ones that are given by default.
    """

    host = "127.0.0.1"  #: It is reached from this machine alone.
    port = 0  #: Found by `start`.
    start_timeout = 30.0  #: Seconds until it has to answer.

    def __init__(self, **options: str | int) -> None:
        self._options = {name.replace("_", "-"): str(value) for name, value in options.items()}
        self._guard: Guard | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL to connect to, with user name and password."""

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises `MissingProgram`, or `ServerFailed` after ``start_timeout`` seconds at the latest.
        """
        if self._guard is not None:
            raise ServerFailed(f"{self} is started already")
        self._find_programs()
        self._guard = Guard(f"tornado-ext-{self}")
        try:
            self._make_data()
            self._run_on_a_free_port()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Kill the server and remove its directory; does nothing if it was not started."""
        guard, self._guard = self._guard, None
        process, self._process = self._process, None
        if guard is not None:
            guard.close()
        if process is not None:
            process.wait()

    def kill(self) -> None:
        """Kill the server at once (SIGKILL). What it had acknowledged is there after `restart`."""
        process, self._process = self._process, None
        if process is not None:
            self._started().kill(process)

    def freeze(self) -> None:
        """Stop the server in its tracks (SIGSTOP): it accepts connections and never answers."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let a frozen server run on (SIGCONT); does nothing to one that runs."""
        self._running().send_signal(signal.SIGCONT)

    def restart(self, *, empty: bool = False) -> None:
        """Kill the server if it runs and start it on the same port, with its data or ``empty``."""
        self.kill()
        if empty:
            shutil.rmtree(self.data)
            self._make_data()
        self._run()

    @property
    def is_running(self) -> bool:
        """Whether there is a server process, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; raises `ServerFailed` if the server is not running."""
        return self._running().pid

    @property
    def data(self) -> Path:
        """The data directory; raises `ServerFailed` if the server is not started."""
        return self._started().directory / "data"

    @abstractmethod
    def _find_programs(self) -> None:
        """Look for the programs that are needed; raises `MissingProgram`."""

    @abstractmethod
    def _make_data(self) -> None:
        """Make the data directory, with what the server expects there."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command line, for the port that was found."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Ask whether this very process, not another one on its port, answers."""

    def _run_on_a_free_port(self) -> None:
        for _ in range(PORT_ATTEMPTS - 1):
            self.port = free_port()
            with suppress(PortTaken):
                return self._run()
        self.port = free_port()
        return self._run()

    def _run(self) -> None:
        self._process = self._started().spawn(self._command())
        deadline = time.monotonic() + self.start_timeout
        while not self._is_ready():
            if not self.is_running:
                raise self._failure(f"ended with status {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._failure(f"did not get ready in {self.start_timeout:g} s")
            time.sleep(POLL_INTERVAL)

    def _started(self) -> Guard:
        if self._guard is None:
            raise ServerFailed(f"{self} is not started")
        return self._guard

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or not self.is_running:
            raise self._failure("is not running")
        return self._process

    def _failure(self, what: str) -> ServerFailed:
        log = self._started().log
        text = log.read_text(errors="replace") if log.exists() else ""
        kind = PortTaken if "Address already in use" in text else ServerFailed
        return kind("\n".join([f"{self} {what}", *text.splitlines()[-LOG_LINES:]]))

    def __str__(self) -> str:
        return type(self).__name__


def find_program(name: str, package: str) -> str:
    """Return the path of a program; raises `MissingProgram` with the command that installs it."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_PATH]))
    if path is None:
        raise MissingProgram(f"{name} is not installed: apt-get install {package}")
    return path


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody has at this moment."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((PrivateServer.host, port))
            return port
    raise ServerFailed("100 ports of 127.0.0.1 were tried, and none is free")
