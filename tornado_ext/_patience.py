"""Waits for a server that a busy event loop does not cut short."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

WAITS = 10  # short ones that make up a long one


@asynccontextmanager
async def patience(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError after ``seconds`` in which an answer could have been heard.

    A loop that was busy for longer than a timeout runs its timers before it reads the answers that
    have come, so that `asyncio.timeout` blames a server which has answered. This counts short
    waits: however late each of them ends, the loop reads between them.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as deadline:
        timer: asyncio.TimerHandle

        def wait(times: int) -> None:
            nonlocal timer
            if times == 0:
                deadline.reschedule(loop.time())
            else:
                timer = loop.call_later(seconds / WAITS, wait, times - 1)

        wait(WAITS)
        try:
            yield
        finally:
            timer.cancel()
