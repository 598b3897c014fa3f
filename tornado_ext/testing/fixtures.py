"""Pytest fixtures: ``pytest_plugins = ["tornado_ext.testing.fixtures"]`` in a ``conftest.py``.

The servers are started once for a run of pytest and only if a test asks for one. A test gets them
empty. What a test kills or freezes is running again for the next one.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from tornado_ext.testing._process import PrivateServer
from tornado_ext.testing.servers import MariaDBServer, RedisServer

_names = (f"test_{number}" for number in count(1))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The run's Redis. `redis_url` is the same one, emptied."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis."""
    _revive(redis_server)
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def redis_servers() -> Iterator[Callable[..., list[RedisServer]]]:
    """A function that starts ``count`` Redis servers, for this test alone.

    ``redis_servers(3, maxmemory="2mb")`` returns three; all are stopped after the test.
    """
    with ExitStack() as running:

        def start(
            count: int, *, password: str | None = None, **options: str | int
        ) -> list[RedisServer]:
            servers = (RedisServer(password=password, **options) for _ in range(count))
            return [running.enter_context(server) for server in servers]

        yield start


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDBServer]:
    """The run's MariaDB. `mysql_url` is a database in it."""
    with MariaDBServer() as server:
        yield server


@pytest.fixture
def mysql_url(mariadb_server: MariaDBServer) -> Iterator[str]:
    """The ``mysql://`` URL of an empty database, which is dropped after the test."""
    _revive(mariadb_server)
    name = next(_names)
    yield mariadb_server.create_database(name)
    _revive(mariadb_server)
    mariadb_server.drop_database(name)


def _revive(server: PrivateServer) -> None:
    if server.is_running:
        server.thaw()
    else:
        server.restart()
