"""Random requests on each store do what they would on plain dicts, whatever the store suffers.

A short form runs with the other tests, the same each time. ``make test-long MINUTES=10`` runs
more of it, new each time.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sessions.machine import Sessions
from tests.sessions.worlds import MemoryWorld, RedisWorld, RingWorld, SQLiteWorld, World
from tornado_ext.testing import RedisServer

MINUTES = float(os.environ.get("SESSION_MACHINE_MINUTES", "0"))  # for all stores together
EXAMPLES = {"memory": 40, "sqlite": 12, "redis": 12, "ring": 8}
ALL = settings(
    stateful_step_count=30,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="session")
def ring() -> Iterator[list[RedisServer]]:
    servers = [RedisServer().start() for _ in range(3)]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(params=EXAMPLES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_world(kind: str, request: pytest.FixtureRequest) -> Callable[[], World]:
    if kind in ("memory", "sqlite"):
        return MemoryWorld if kind == "memory" else SQLiteWorld
    request.getfixturevalue("redis_url")
    one, ring = (request.getfixturevalue(name) for name in ("redis_server", "ring"))
    return lambda: RedisWorld(one) if kind == "redis" else RingWorld(ring)


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_sessions_are_what_plain_dicts_would_be(kind: str, make_world: Callable[[], World]) -> None:
    def run(**kwargs: object) -> None:
        run_state_machine_as_test(lambda: Sessions(make_world), settings=settings(ALL, **kwargs))

    if not MINUTES:
        run(max_examples=EXAMPLES[kind], derandomize=True)
    until = time.monotonic() + 60 * MINUTES / len(EXAMPLES)
    while time.monotonic() < until:
        run(max_examples=2 * EXAMPLES[kind])
