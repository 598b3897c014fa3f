"""A wait that ends, whatever is waited for does."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def within(seconds: float, work: Coroutine[Any, Any, Result]) -> Result:
    """Return what ``work`` returns, or raise what it raises.

    :raises TimeoutError: after ``seconds``, even if ``work`` goes on though it is cancelled, which
        `asyncio.wait_for` of CPython 3.11 would wait for.
    :raises RuntimeError: if it was cancelled from inside.
    """
    task = asyncio.ensure_future(work)
    await asyncio.wait([task], timeout=seconds)
    if not task.done():
        task.cancel()
        raise TimeoutError(f"not done in {seconds:g} s")
    if task.cancelled():  # it has awaited a task that it cancelled
        raise RuntimeError("cancelled")
    return task.result()
