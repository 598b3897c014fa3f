"""What the store finds in place of servers, time and chance."""

import logging
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from tests.sessions.simulation.world import PROCESS
from tornado_ext.sessions import ring
from tornado_ext.sessions._sharding import node

VNODES = 16  # few, so that a ring is made at once


class Clock:
    """Stands where modules have ``time``: each process has its own idea of it."""

    @staticmethod
    def time() -> float:
        process = PROCESS.get()
        return process.world.time() + process.skew

    def time_ns(self) -> int:
        return int(self.time() * 1e9)

    perf_counter = monotonic = time


class Chance:
    """Stands where modules have ``secrets``: the same each time."""

    @staticmethod
    def token_hex(size: int) -> str:
        return PROCESS.get().world.chance.randbytes(size).hex()


@contextmanager
def simulated() -> Iterator[pytest.MonkeyPatch]:
    """Have the store find all that in the process that it runs in."""
    instead = {time: Clock(), secrets: Chance()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ring, "VNODES", VNODES)
        patch.setattr(node, "RedisServer", lambda *args: PROCESS.get().server(*args))
        for name, module in list(sys.modules.items()):
            if name.startswith("tornado_ext.sessions"):
                for attribute, value in list(vars(module).items()):
                    if isinstance(value, ModuleType) and value in instead:
                        patch.setattr(module, attribute, instead[value])
        logging.disable()
        try:
            yield patch
        finally:
            logging.disable(logging.NOTSET)
