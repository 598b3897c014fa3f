"""The time and CPU time of queries, next to the client libraries' own pools, on a private MariaDB.

The CPU time is the client's alone. Rows are tuples there, and mappings here. Both pools are open
and have eight connections at most; "8 ways" are eight tasks that ask at once. A ratio is the
median of those within a round. Many rows at once (`executemany`) are 10,000, next to as many
`execute`, once. Streaming is the memory above what there was before, in a process of its own.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from benchmarks._figures import Figure, spread
from tornado_ext.mysql import Database
from tornado_ext.testing import MariaDBServer

NEXT_TO = ("mariadbd", "asyncmy", "Tornado-MySQL")
ROUNDS = 20  # of each, in turn
QUERIES = 256  # in each round
SLOW = 8  # times fewer, where Tornado-MySQL is
WAYS = 8
ROWS = 1_000_000  # to stream
ONE = "SELECT 1"
HUNDRED = "SELECT seq AS id, seq * 0.5 AS price, CONCAT('name ', seq) AS name FROM seq_1_to_100"
INSERT = "INSERT INTO t (id, name, price) VALUES (%s, %s, %s)"

Query = Callable[[str], Awaitable[object]]
Work = Callable[[], Awaitable[object]]


def measure(quick: bool = False) -> list[Figure]:
    """Return ratios to the libraries' own pools, and what many rows cost."""
    rounds, queries = (1, 64) if quick else (ROUNDS, QUERIES)
    with MariaDBServer() as server:
        figures = asyncio.run(compare_queries(server.url, rounds, queries))
        figures += asyncio.run(compare_inserts(server.url, 20 if quick else 10_000))
        rows = str(1000 if quick else ROWS)
        command = [sys.executable, "-m", "benchmarks.mysql", server.url, rows]
        grown = float(subprocess.check_output(command))
    return [*figures, Figure(f"iterate, {ROWS:,} rows", grown, "MB", 30)]


async def compare_queries(url: str, rounds: int, queries: int) -> list[Figure]:
    """Compare pools, one query at a time and some at once."""
    async with pools(url) as (ours, asyncmy, ours_on_tornado, tornado):
        fast = [
            ("asyncmy again", ONE, 1, asyncmy, asyncmy, "asyncmy", None),
            ("SELECT 1", ONE, 1, ours, asyncmy, "asyncmy", 1.25),
            ("SELECT 1, 8 ways", ONE, WAYS, ours, asyncmy, "asyncmy", 1.25),
            ("100 rows", HUNDRED, 1, ours, asyncmy, "asyncmy", 1.11),
            ("100 rows, 8 ways", HUNDRED, WAYS, ours, asyncmy, "asyncmy", 1.11),
        ]
        slow = [
            ("asyncmy, 100 rows, 8 ways", HUNDRED, WAYS, ours, tornado, "Tornado-MySQL", 0.067),
            ("SELECT 1 on Tornado-MySQL", ONE, 1, ours_on_tornado, tornado, "its pool", 1.11),
            ("100 rows on it, 8 ways", HUNDRED, WAYS, ours_on_tornado, tornado, "its pool", 1.11),
        ]
        figures = []
        for cases, number in ((fast, queries), (slow, queries // SLOW)):
            for what, sql, ways, mine, theirs, peer, target in cases:
                works: list[Work] = [
                    partial(repeat, query, sql, ways, number) for query in (mine, theirs)
                ]
                figures += await compare(what, f"of {peer}", target, works, rounds)
        return figures


async def compare_inserts(url: str, count: int) -> list[Figure]:
    """Compare 10,000 rows at once with one at a time."""
    database = Database(url)
    await database.execute("CREATE TABLE t (id INT, name VARCHAR(50), price DOUBLE)")
    rows = [(number, f"name {number}", number / 3) for number in range(count)]

    async def one_by_one() -> None:
        for row in rows:
            await database.execute(INSERT, *row)

    works: list[Work] = [partial(database.executemany, INSERT, rows), one_by_one]
    figures = await compare("executemany", "of one by one", 0.05, works, 1)
    await database.close()
    return figures


async def stream(url: str, count: int) -> float:
    """Read rows as they come; return the memory that it took, in MB."""
    database = Database(url)
    await database.fetch_all(HUNDRED)
    before = peak_memory()
    seen = 0
    async for _ in database.iterate(
        "SELECT seq, seq * 0.5, CONCAT('name ', seq) FROM seq_1_to_1000000 LIMIT %s", count
    ):
        seen += 1
    assert seen == count
    await database.close()
    return peak_memory() - before


def peak_memory() -> float:
    """Return the most that this process ever had, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def compare(
    what: str, unit: str, target: float | None, works: Sequence[Work], rounds: int
) -> list[Figure]:
    """Return the ratio of the first to the second: of time and of CPU time."""
    costs = [[await cost(work) for work in works] for _ in range(rounds)]
    figures = []
    for position, kind in enumerate(("time", "CPU")):
        ratios = [ours[position] / theirs[position] for ours, theirs in costs]
        figures.append(Figure(f"{what}: {kind}", median(ratios), unit, target, spread(ratios)))
    return figures


async def cost(work: Work) -> tuple[int, int]:
    """Return the time and the CPU time of some work, in nanoseconds."""
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    await work()
    return time.perf_counter_ns() - wall, max(1, time.process_time_ns() - cpu)


async def repeat(query: Query, sql: str, ways: int, queries: int) -> None:
    """Send a query many times, from several tasks."""

    async def some() -> None:
        for _ in range(queries // ways):
            await query(sql)

    await asyncio.gather(*(some() for _ in range(ways)))


@asynccontextmanager
async def pools(url: str) -> AsyncIterator[tuple[Query, Query, Query, Query]]:
    """Open a pool of each kind; yield what each does for a query."""
    import asyncmy
    from tornado_mysql.pools import Pool

    parts = urlsplit(url)
    address: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "charset": "utf8mb4",
    }
    databases = [
        Database(url.replace("mysql", scheme, 1), max_size=WAYS, connect_timeout=10)
        for scheme in ("mysql", "mysql+tornado")
    ]
    tornado = Pool({**address, "db": parts.path[1:]}, max_idle_connections=WAYS)
    async with asyncmy.create_pool(
        minsize=1, maxsize=WAYS, autocommit=True, db=parts.path[1:], **address
    ) as pool:

        async def on_asyncmy(sql: str) -> object:
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(sql)
                return await cursor.fetchall()

        async def on_tornado(sql: str) -> object:
            return (await tornado.execute(sql)).fetchall()

        queries = (databases[0].fetch_all, on_asyncmy, databases[1].fetch_all, on_tornado)
        for query in queries:
            await repeat(query, ONE, WAYS, WAYS)
        yield queries
    for database in databases:
        await database.close()
    await asyncio.sleep(0)


if __name__ == "__main__":
    print(asyncio.run(stream(sys.argv[1], int(sys.argv[2]))))
