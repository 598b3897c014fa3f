"""Apps with a bus, for the length of a test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from tests.rooms.chat import HEARTBEAT, Process
from tornado_ext.rooms import LocalBus, RedisBus


@pytest.fixture
def start(io_loop: IOLoop) -> Iterator[Callable[..., Process]]:
    """A function that serves an app with the bus and settings that it is given."""
    started: list[Process] = []

    def start(bus: LocalBus, **settings: Any) -> Process:
        started.append(Process(bus, **settings))
        return started[-1]

    yield start
    for process in started:
        io_loop.run_sync(process.close)


@pytest.fixture
def process(start: Callable[..., Process], redis_url: str) -> Process:
    """One app on the Redis of the test."""
    return start(RedisBus(redis_url, heartbeat=HEARTBEAT))
