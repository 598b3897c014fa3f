"""Private Redis and MariaDB servers on free ports of 127.0.0.1, for tests and demonstrations."""

import os
import secrets
import shlex
import socket
import subprocess
from contextlib import suppress
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from tornado_ext.testing._process import PrivateServer, ServerFailed, find_program

REPLY_TIMEOUT = 2.0  # seconds

# Small, and quick to make; a commit reaches the kernel, and survives a kill, but not the disk.
INNODB = {
    "innodb-log-file-size": "8M",
    "innodb-buffer-pool-size": "32M",
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-flush-method": "nosync",
}


class RedisServer(PrivateServer):
    """Run a private ``redis-server``: ``RedisServer(password="pw", maxmemory="2mb")``.

    An option's value may be several words, quoted as in a shell where they have spaces.
    """

    def __init__(self, *, password: str | None = None, **options: str | int) -> None:
        super().__init__(**options)
        self.password = password

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:PORT/0``, with the password if there is one."""
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{user}{self.host}:{self.port}/0"

    def flush(self) -> None:
        """Delete all keys; raises `ServerFailed` if that is not done within 2 seconds."""
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
            "dir": shlex.quote(str(self.data)),
            # Every write reaches the kernel before its reply leaves, and survives a kill.
            "appendonly": "yes",
            "appendfsync": "no",
            # Nothing that forks: neither snapshots nor rewrites.
            "save": "",
            "auto-aof-rewrite-percentage": "0",
            "requirepass": shlex.quote(self.password or ""),
            **self._options,
        }
        flags = [[f"--{name}", *(shlex.split(value) or [""])] for name, value in options.items()]
        return [self._program, *chain.from_iterable(flags)]

    def _is_ready(self) -> bool:
        with suppress(OSError):
            info = self._ask("INFO")
            return f"process_id:{self.pid}\r\n".encode() in info and b"\nloading:0\r" in info
        return False

    def _ask(self, *command: str) -> bytes:
        """Send a command on a connection of its own; return the replies to it, AUTH and QUIT."""
        login = [("AUTH", self.password)] if self.password else []
        with socket.create_connection((self.host, self.port), REPLY_TIMEOUT) as connection:
            for words in (*login, command, ("QUIT",)):
                connection.sendall(b"*%d\r\n" % len(words))
                for word in (word.encode() for word in words):
                    connection.sendall(b"$%d\r\n%s\r\n" % (len(word), word))
            with connection.makefile("rb") as replies:
                return replies.read()


class MariaDBServer(PrivateServer):
    """Run a private ``mariadbd`` with a database, and a user who may do everything."""

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

    def query(self, sql: str, *, timeout: float = 10) -> str:
        """Run SQL with the ``mariadb`` client; return the rows, as lines of tabbed columns.

        Raises `ServerFailed` with the server's message, or after ``timeout`` seconds.
        """
        command = [
            *(self._client, "--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names"),
            *(f"--host={self.host}", f"--port={self.port}", "--default-character-set=utf8mb4"),
            *(f"--user={self.user}", f"--password={self.password}", f"--execute={sql}"),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=timeout, check=True)
        except subprocess.TimeoutExpired as exc:
            raise self._failure(f"did not answer in {timeout:g} s") from exc
        except subprocess.CalledProcessError as exc:
            raise ServerFailed(exc.stderr.decode().strip().splitlines()[-1]) from exc
        return done.stdout.decode()

    def _find_programs(self) -> None:
        self._program = find_program("mariadbd", "mariadb-server")
        self._installer = find_program("mariadb-install-db", "mariadb-server")
        self._client = find_program("mariadb", "mariadb-client")

    def _make_data(self) -> None:
        if self._started().spawn(self._install_command()).wait(self.start_timeout) != 0:
            raise self._failure("can't make its data directory")
        self._init_file.write_text(
            f"CREATE DATABASE IF NOT EXISTS {self.database};\n"
            f"CREATE USER IF NOT EXISTS {self.user} IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {self.user} WITH GRANT OPTION;\n"
        )

    def _install_command(self) -> list[str]:
        options = {"datadir": str(self.data), **INNODB}
        return [self._installer, *self._flags(options), "--skip-test-db"]

    def _command(self) -> list[str]:
        options = {
            "datadir": str(self.data),
            "init-file": str(self._init_file),
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
        return [self._program, *self._flags(options)]

    def _flags(self, options: dict[str, str]) -> list[str]:
        # As root, neither program runs without --user; as anybody else, it may not be given.
        user = ["--user=root"] if os.geteuid() == 0 else []
        return ["--no-defaults", *user, *(f"--{name}={value}" for name, value in options.items())]

    @property
    def _init_file(self) -> Path:
        return self.data.with_name("init.sql")

    def _is_ready(self) -> bool:
        with suppress(ServerFailed):  # wrong password: another one's server
            return self.query("SELECT 1", timeout=REPLY_TIMEOUT) == "1\n"
        return False
