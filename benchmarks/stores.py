"""What a session takes in a `MemoryStore` of a million, and whether the store is still fast.

An idle session of five small keys, in resident memory, its key included. Loads and saves are of
sessions at random, in CPU time; a process of its own holds the store.
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
from statistics import median

from benchmarks._figures import Figure, spread
from benchmarks._servers import resident
from tornado_ext.sessions import MemoryStore
from tornado_ext.sessions.store import Change, Record

NEXT_TO: tuple[str, ...] = ()
MANY = 1_000_000  # sessions
BATCHES, BATCH = 40, 500  # of calls
IDLE = 14 * 86400.0  # seconds
FIELDS = {"user_id": "7", "name": '"ann"', "theme": '"dark"', "visits": "0", "cart": "[1,2,3]"}


def measure(quick: bool = False) -> list[Figure]:
    """Return the size of a session, and how long a verb takes."""
    command = [sys.executable, "-m", "benchmarks.stores", str(1000 if quick else MANY)]
    size, *verbs = json.loads(subprocess.check_output(command))
    return [
        Figure(f"a session, of {MANY:,}", size / 1024, "KiB", 1.5),
        *(
            Figure(f"{verb}, of {MANY:,}", median(costs), "us", 15, spread(costs))
            for verb, costs in zip(("load", "save"), verbs, strict=True)
        ),
    ]


async def fill(number: int) -> tuple[float, list[float], list[float]]:
    """Return the resident bytes of a session, and what loads and saves took, in microseconds."""
    store = MemoryStore(max_sessions=number)
    keys: list[str] = []
    gc.collect()
    before = resident(os.getpid())
    for n in range(number):
        # As they come from clients, each with texts of its own.
        key, now = sha256(b"%d" % n).hexdigest(), time.time()
        keys.append(key)
        fields = {name: "".join(list(text)) for name, text in FIELDS.items()}
        await store.create(key, Record(fields, now, now, ends_at=now + 90 * 86400), IDLE)
    gc.collect()
    taken = resident(os.getpid()) - before

    def save(key: str) -> Awaitable[object]:
        return store.save(key, Change({"visits": "1"}, (), time.time(), IDLE))

    return taken / number, await microseconds(store.load, keys), await microseconds(save, keys)


async def microseconds(verb: Callable[[str], Awaitable[object]], keys: list[str]) -> list[float]:
    """Return the CPU time of a call in each batch, on keys at random."""
    costs = []
    for _ in range(BATCHES):
        batch = random.choices(keys, k=BATCH)
        start = time.process_time_ns()
        for key in batch:
            await verb(key)
        costs.append((time.process_time_ns() - start) / BATCH / 1000)
    return costs


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fill(int(sys.argv[1])))))
