# Run it: python traced_driver.py 'mysql+traced://user:pw@host/db'   (needs tornado-ext[mysql])
"""A driver of one's own: asyncmy, whose statements are counted and timed."""

import asyncio
import sys
import time

from tornado_ext.mysql import Database
from tornado_ext.mysql.drivers import DRIVERS
from tornado_ext.mysql.drivers.asyncmy import AsyncmyConnection


class TracedConnection(AsyncmyConnection):
    statements = 0
    seconds = 0.0

    async def query(self, sql, limit):
        start = time.perf_counter()
        try:
            return await super().query(sql, limit)
        finally:
            TracedConnection.statements += 1
            TracedConnection.seconds += time.perf_counter() - start


DRIVERS["mysql+traced"] = TracedConnection  # before the Database is made


async def main(url):
    db = Database(url)
    print(await db.fetch_value("SELECT %s + 1", 41))
    await db.close()
    print(f"{TracedConnection.statements} statement, {TracedConnection.seconds * 1000:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
