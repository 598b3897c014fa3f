"""What a session takes in a `MemoryStore`, and whether the store slows down as it fills.

``python -m benchmarks.stores NUMBER`` measures a store of so many sessions.
"""

import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from statistics import median

from benchmarks._figures import Figure
from tornado_ext.sessions import MemoryStore
from tornado_ext.sessions.store import Change, Record

MANY = 1_000_000  # sessions
BATCHES, BATCH = 40, 500  # of calls
IDLE = 14 * 86400.0  # seconds
FIELDS = {"user_id": "7", "name": '"ann"', "theme": '"dark"', "visits": "0", "cart": "[1,2,3]"}
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes


def measure(quick: bool = False) -> list[Figure]:
    """Return the size of an idle session of five small keys, and how long a verb takes."""
    number = 1000 if quick else MANY
    command = [sys.executable, "-m", "benchmarks.stores", str(number)]
    found = json.loads(subprocess.check_output(command))
    return [
        Figure(f"a session, of {number:,}", found["bytes"] / 1024, "KiB", 1.5),
        Figure(f"load, of {number:,}", found["load"], "us", 15),
        Figure(f"save, of {number:,}", found["save"], "us", 15),
    ]


async def fill(number: int) -> dict[str, float]:
    """Return the resident bytes of a session, and the microseconds of a load and of a save."""
    store = MemoryStore(max_sessions=number)
    keys: list[str] = []
    gc.collect()
    before = resident()
    for n in range(number):
        # As they come from clients, each with texts of its own.
        key, now = sha256(b"%d" % n).hexdigest(), time.time()
        keys.append(key)
        fields = {name: "".join(list(text)) for name, text in FIELDS.items()}
        await store.create(key, Record(fields, now, now, ends_at=now + 90 * 86400), IDLE)
    gc.collect()
    taken = resident() - before

    def save(key: str) -> Awaitable[object]:
        return store.save(key, Change({"visits": "1"}, (), time.time(), IDLE))

    return {
        "bytes": taken / number,
        "load": await microseconds(store.load, keys),
        "save": await microseconds(save, keys),
    }


async def microseconds(verb: Callable[[str], Awaitable[object]], keys: list[str]) -> float:
    """Return the CPU time of a call, on keys at random."""
    costs = []
    for _ in range(BATCHES):
        batch = random.choices(keys, k=BATCH)
        start = time.process_time_ns()
        for key in batch:
            await verb(key)
        costs.append((time.process_time_ns() - start) / BATCH / 1000)
    return median(costs)


def resident() -> int:
    """Return the bytes of memory that this process takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fill(int(sys.argv[1])))))
