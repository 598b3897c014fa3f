"""Fixtures for every test: an event loop of its own, and the package's private servers."""

import asyncio
from collections.abc import Iterator

import pytest
from tornado.ioloop import IOLoop

from tests.mysql.server import MYSQLD, MySQLServer

pytest_plugins = ["tornado_ext.testing.fixtures"]

if MYSQLD:

    @pytest.fixture(scope="session")
    def mariadb_server() -> Iterator[MySQLServer]:
        """The run's MySQL, in the place of MariaDB."""
        with MySQLServer() as server:
            yield server


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """pytest-tornado's fixture, without the calls that Tornado 6 and asyncio deprecate."""
    loop = IOLoop(make_current=False)
    asyncio.set_event_loop(loop.asyncio_loop)
    yield loop
    loop.run_sync(cancel_tasks)
    asyncio.set_event_loop(None)
    loop.close(all_fds=True)


async def cancel_tasks() -> None:
    """Cancel what a test left running, so that nothing is destroyed while pending."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
