"""A database on a private MariaDB, through each driver."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from tornado.ioloop import IOLoop

from tests.mysql.server import MYSQLD, SCHEMES
from tornado_ext.mysql import Database

collect_ignore = [] if MYSQLD else ["test_mysql.py"]
TIMEOUT = 10  # seconds; of a test's own, where the timeout is not what is tested

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    """The scheme of the URL: a test that takes it, or `db`, runs on every driver."""
    return str(request.param)


@pytest.fixture
def url(mysql_url: str, scheme: str) -> str:
    """The URL of an empty database."""
    return with_scheme(mysql_url, scheme)


@pytest.fixture
def make_db(io_loop: IOLoop) -> Iterator[Callable[..., Database]]:
    """A function that makes a `Database`, which is closed after the test."""
    made: list[Database] = []

    def make(url: str, **options: float) -> Database:
        made.append(Database(url, **{"timeout": TIMEOUT, "connect_timeout": TIMEOUT, **options}))
        return made[-1]

    yield make
    for database in made:
        io_loop.run_sync(database.close)


@pytest.fixture
def db(url: str, make_db: Callable[..., Database]) -> Database:
    """An empty database."""
    return make_db(url)


@pytest.fixture
def scripted(io_loop: IOLoop) -> Iterator[Callable[[bytes | None], str]]:
    """A function that starts a server which sends some bytes and hangs up, or nothing at all.

    It returns the address, ``127.0.0.1:PORT``.
    """
    servers: list[asyncio.Server] = []

    def start(answer: bytes | None) -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
            writer.close()

        async def listen() -> asyncio.Server:
            return await asyncio.start_server(serve, "127.0.0.1", 0)

        servers.append(io_loop.run_sync(listen))
        host, port = servers[-1].sockets[0].getsockname()
        return f"{host}:{port}"

    yield start
    for server in servers:
        server.close()


def with_scheme(url: str, scheme: str) -> str:
    """Replace the scheme of a URL."""
    return f"{scheme}://{url.partition('://')[2]}"
