"""Private Redis and MariaDB servers on free ports of 127.0.0.1, for tests and demonstrations."""

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from tornado_ext.errors import TornadoExtError
from tornado_ext.testing._guard import Guard

# Below the ports that systems give to outgoing connections: one of those could take the port of a
# killed server before its restart.
PORTS = range(10_000, 32_768)
PORT_ATTEMPTS = 5
POLL_INTERVAL = 0.02  # seconds
REPLY_TIMEOUT = 2.0  # seconds
LOG_LINES = 12  # of a server's log, in an error
# Small, and quick to make; a commit reaches the kernel, and survives a kill, but not the disk.
INNODB = {
    "innodb-log-file-size": "8M",
    "innodb-buffer-pool-size": "32M",
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-flush-method": "nosync",
}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"  # Debian's mariadbd is in sbin


class MissingProgram(TornadoExtError):
    """A server's program is not on this machine. The message says what to install."""


class ServerFailed(TornadoExtError):
    """A private server did not get ready, or was asked for something that it could not do.

    The message has the end of the server's log.
    """


class _PortTaken(ServerFailed):
    """Somebody took the port after it was found free."""


class PrivateServer(ABC):
    """Run a server process with a port and a temporary directory of its own.

    A context manager; or call `start` and `stop`. Process and directory are gone with the Python
    process that started them, even when that one is killed. Keyword arguments are options of the
    server program, with ``_`` for ``-``, and replace the ones that are given by default.
    """

    host = "127.0.0.1"
    start_timeout = 30.0  # seconds

    def __init__(self, **options: str | int) -> None:
        self.port = 0  # found by start()
        self._options = {name.replace("_", "-"): str(value) for name, value in options.items()}
        self._guard: Guard | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL to connect to, with user name and password."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

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

    def _started(self) -> Guard:
        if self._guard is None:
            raise ServerFailed(f"{self} is not started")
        return self._guard

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or not self.is_running:
            raise self._failure("is not running")
        return self._process

    def _run_on_a_free_port(self) -> None:
        for _ in range(PORT_ATTEMPTS - 1):
            self.port = free_port()
            try:
                return self._run()
            except _PortTaken:
                continue
        self.port = free_port()
        return self._run()

    def _run(self) -> None:
        self._process = self._started().spawn(self._command())
        deadline = time.monotonic() + self.start_timeout
        while not self._is_ready():
            if not self.is_running:
                raise self._failure(f"ended with status {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._failure(f"did not answer within {self.start_timeout:g} s")
            time.sleep(POLL_INTERVAL)

    def _failure(self, what: str) -> ServerFailed:
        log = self._started().log
        text = log.read_text(errors="replace") if log.exists() else ""
        kind = _PortTaken if "Address already in use" in text else ServerFailed
        return kind("\n".join([f"{self} {what}", *text.splitlines()[-LOG_LINES:]]))

    def __str__(self) -> str:
        return type(self).__name__

    @abstractmethod
    def _find_programs(self) -> None:
        """Look for the programs that are needed; raises `MissingProgram`."""

    @abstractmethod
    def _make_data(self) -> None:
        """Make the data directory, with what the server expects there."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line, for the port that was found."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether this very process, not another one on its port, answers."""


class RedisServer(PrivateServer):
    """Run a private ``redis-server``: ``RedisServer(password="pw", maxmemory="2mb")``."""

    def __init__(self, *, password: str | None = None, **options: str | int) -> None:
        super().__init__(**options)
        self.password = password

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:PORT/0``, with the password if there is one."""
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{user}{self.host}:{self.port}/0"

    def flush(self) -> None:
        """Delete all keys; raises `ServerFailed` if the server does not do so within 2 seconds."""
        try:
            reply = self._ask("FLUSHALL")
        except OSError as exc:
            raise self._failure(f"did not answer: {exc}") from exc
        if b"-" in reply:
            raise self._failure(reply.decode(errors="replace"))

    def _find_programs(self) -> None:
        self._program = find_program("redis-server", "redis-server")

    def _make_data(self) -> None:
        self.data.mkdir()

    def _command(self) -> list[str]:
        options = {
            "port": str(self.port),
            "bind": self.host,
            "dir": str(self.data),
            # Every write reaches the kernel before its reply leaves, and survives a kill.
            "appendonly": "yes",
            "appendfsync": "no",
            # No snapshot, no rewrite: they fork children.
            "save": "",
            "auto-aof-rewrite-percentage": "0",
            **({"requirepass": self.password} if self.password else {}),
            **self._options,
        }
        return [self._program, *(part for name in options for part in (f"--{name}", options[name]))]

    def _is_ready(self) -> bool:
        try:
            return f"process_id:{self.pid}\r\n".encode() in self._ask("INFO", "server")
        except OSError:
            return False

    def _ask(self, *command: str) -> bytes:
        """Send a command on a connection of its own; return all that comes back."""
        login = [("AUTH", self.password)] if self.password else []
        with socket.create_connection((self.host, self.port), REPLY_TIMEOUT) as connection:
            for words in (*login, command, ("QUIT",)):
                connection.sendall(b"*%d\r\n" % len(words))
                for word in (word.encode() for word in words):
                    connection.sendall(b"$%d\r\n%s\r\n" % (len(word), word))
            with connection.makefile("rb") as replies:
                return replies.read()


class MariaDBServer(PrivateServer):
    """Run a private ``mariadbd`` that has a database and a user who may do everything."""

    user = "tester"
    database = "test"

    def __init__(self, **options: str | int) -> None:
        super().__init__(**options)
        self.password = secrets.token_hex(8)

    @property
    def url(self) -> str:
        """``mysql://tester:PASSWORD@127.0.0.1:PORT/test``."""
        return self.url_of(self.database)

    def url_of(self, database: str, scheme: str = "mysql") -> str:
        """Return the URL of a database, for a driver such as ``mysql+tornado``."""
        return f"{scheme}://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self.query(f"CREATE DATABASE `{name}`")
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Delete a database and all that is in it."""
        self.query(f"DROP DATABASE `{name}`")

    def query(self, sql: str) -> str:
        """Run SQL with the ``mariadb`` client; return the rows as lines of tab-separated columns.

        Raises `ServerFailed` with the server's message.
        """
        done = self._query(sql)
        if done.returncode:
            raise ServerFailed(done.stderr.strip().splitlines()[-1])
        return done.stdout

    def _query(self, sql: str) -> subprocess.CompletedProcess[str]:
        command = [
            *(self._client, "--no-defaults", "--batch", "--skip-column-names"),
            *(f"--host={self.host}", f"--port={self.port}", "--protocol=tcp"),
            *(f"--user={self.user}", f"--password={self.password}"),
            *("--default-character-set=utf8mb4", f"--execute={sql}"),
        ]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=self.start_timeout, check=False
        )

    def _find_programs(self) -> None:
        self._program = find_program("mariadbd", "mariadb-server")
        self._installer = find_program("mariadb-install-db", "mariadb-server")
        self._client = find_program("mariadb", "mariadb-client")

    def _make_data(self) -> None:
        installation = self._started().spawn(
            [
                *(self._installer, "--no-defaults", *self._run_as(), f"--datadir={self.data}"),
                "--skip-test-db",
                *(f"--{name}={value}" for name, value in INNODB.items()),
            ]
        )
        if installation.wait(self.start_timeout):
            raise self._failure("can't make its data directory")
        (self.data.parent / "init.sql").write_text(
            f"CREATE DATABASE IF NOT EXISTS {self.database};\n"
            f"CREATE USER IF NOT EXISTS {self.user} IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {self.user} WITH GRANT OPTION;\n"
        )

    def _command(self) -> list[str]:
        options = {
            "datadir": str(self.data),
            "init-file": str(self.data.parent / "init.sql"),
            "bind-address": self.host,
            "port": str(self.port),
            "socket": "mariadbd.sock",  # in datadir: a whole path may be too long for a socket
            "pid-file": "mariadbd.pid",
            "skip-name-resolve": "1",
            "character-set-server": "utf8mb4",
            "collation-server": "utf8mb4_unicode_ci",
            **INNODB,
            **self._options,
        }
        return [
            *(self._program, "--no-defaults", *self._run_as()),
            *(f"--{name}={value}" for name, value in options.items()),
        ]

    def _run_as(self) -> list[str]:
        """Return the flag without which the programs refuse to run as root."""
        return ["--user=root"] if os.geteuid() == 0 else []

    def _is_ready(self) -> bool:
        return self._query("SELECT 1").returncode == 0  # only this server knows the password


def find_program(name: str, package: str) -> str:
    """Return the path of a program; raises `MissingProgram` with the command that installs it."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_PATH]))
    if path is None:
        raise MissingProgram(f"{name} is not installed: apt-get install {package}")
    return path


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listened on a moment ago."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
