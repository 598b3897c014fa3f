"""A process that changes a session: ``writers.py URL SESSION_ID FIRST``."""

import asyncio
import sys

from tornado_ext.sessions import Session
from tornado_ext.sessions.lifetimes import Lifetimes
from tornado_ext.sessions.redis import RedisStore


async def write(store: RedisStore, session_id: str, number: int) -> None:
    """Set a key of one's own, and count up the one that all share."""
    session = Session(store, Lifetimes(3600, 3600))
    await session.load(session_id)
    session[f"key{number}"] = number
    await session.save()
    async with session.exclusive(wait=20):
        session["n"] += 1


async def main(url: str, session_id: str, first: str) -> None:
    """Write eight times at once."""
    store = RedisStore(url)
    await asyncio.gather(*(write(store, session_id, int(first) + n) for n in range(8)))
    await store.close()


asyncio.run(main(*sys.argv[1:]))
