"""What the command line sets, and what is made of it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo_app.limits import PasswordLimits
from demo_app.sessions import SQLiteStore
from demo_app.storage.base import Storage
from demo_app.storage.mysql import MySQLStorage
from demo_app.storage.sqlite import SQLiteStorage
from tornado_ext.errors import ConfigurationError, TornadoExtError
from tornado_ext.mysql import Database
from tornado_ext.rooms import LocalBus, RedisBus
from tornado_ext.sessions import SessionStore
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.sessions.sharded import ShardedRedisStore

DATABASE_TIMEOUT = 0.9  # seconds for a query, connecting included: a page waits no longer


@dataclass(frozen=True)
class Config:
    """Where the app keeps what; by default all of it in files below ``data``."""

    port: int = 8888
    address: str = "127.0.0.1"
    data: Path = Path("var")
    sessions: Sequence[str] = ("sqlite",)
    database: str = "sqlite"
    rooms: str = "local"
    processes: int = 1
    trusted_proxies: Sequence[str] = ()

    def make_session_store(self) -> SessionStore:
        """Return the store: SQLite, one Redis, or several of which each has a name."""
        if list(self.sessions) == ["sqlite"]:
            return SQLiteStore(self.file("sessions.db"))
        with naming("--sessions"):
            if len(self.sessions) == 1:
                return RedisStore(self.sessions[0])
            return ShardedRedisStore(shards(self.sessions))

    def make_storage(self) -> Storage:
        """Return the storage: SQLite, or MySQL through either driver."""
        if self.database == "sqlite":
            return SQLiteStorage(self.file("chat.db"))
        with naming("--database"):
            return MySQLStorage(Database(self.database, timeout=DATABASE_TIMEOUT))

    def make_room_bus(self) -> LocalBus:
        """Return what carries rooms: this process alone, or Redis between several."""
        with naming("--rooms"):
            return RedisBus(self.redis_of_rooms) if self.redis_of_rooms else LocalBus()

    def make_password_limits(self) -> PasswordLimits:
        """Return the limits, which are counted where rooms are carried."""
        with naming("--trusted-proxies or --rooms"):
            return PasswordLimits(self.redis_of_rooms, self.trusted_proxies)

    @property
    def redis_of_rooms(self) -> str | None:
        """Return the URL of the Redis that carries rooms, if there is one."""
        return None if self.rooms == "local" else self.rooms

    def file(self, name: str) -> Path:
        """Return the path of a file below ``data``, which nobody else may read."""
        with naming("--data"):
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.data / name


def shards(words: Iterable[str]) -> dict[str, str]:
    """Return the URLs of shards by name, from words such as ``a=redis://host``."""
    urls: dict[str, str] = {}
    for word in words:
        name, equals, url = word.partition("=")
        if not equals:
            raise ConfigurationError(f"{word!r} is one of several and has no name: a={word}")
        if name in urls:
            raise ConfigurationError(f"two shards have the name {name!r}")
        urls[name] = url
    return urls


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Put the name of the ``setting`` before what is wrong with it."""
    try:
        yield
    except (TornadoExtError, OSError) as exc:
        raise ConfigurationError(f"{setting}: {exc}") from exc
