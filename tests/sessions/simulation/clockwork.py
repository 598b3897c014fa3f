"""An asyncio event loop without sockets, whose clock goes on when it is told to."""

import asyncio
import contextvars
import functools
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


class Handle:
    """A callback that is due, or was cancelled."""

    __slots__ = ("_at", "_call", "_context")

    def __init__(
        self, call: Callable[[], Any], context: contextvars.Context | None, at: float
    ) -> None:
        self._call: Callable[[], Any] | None = call
        self._context = contextvars.copy_context() if context is None else context
        self._at = at

    def cancel(self) -> None:
        self._call = None

    def cancelled(self) -> bool:
        return self._call is None

    def when(self) -> float:
        return self._at

    def run(self) -> None:
        if self._call is not None:
            self._context.run(self._call)


class Loop(asyncio.AbstractEventLoop):
    """Run what is ready in order, and timers when `advance` gets to them."""

    def __init__(self) -> None:
        self.failures: list[dict[str, Any]] = []  # what nobody caught
        self._now = 0.0
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = 0  # of timers, so that those of one moment run in order

    def time(self) -> float:
        return self._now

    def run_ready(self) -> None:
        """Run until all wait for timers or messages."""
        while self._ready:
            self._ready.popleft().run()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the loop that asyncio finds."""
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def next_timer(self) -> float | None:
        """Return when the next timer is due."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def advance(self, to: float) -> None:
        """Let it be ``to``; the timers until then become ready."""
        self._now = max(self._now, to)
        while (due := self.next_timer()) is not None and due <= self._now:
            self._ready.append(heapq.heappop(self._timers)[2])

    # What asyncio asks of a loop.

    def call_soon(
        self,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        call = functools.partial(callback, *args) if args else callback
        handle = Handle(call, context, self._now)
        self._ready.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        handle = Handle(functools.partial(callback, *args), context, when)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        return self.call_at(self._now + delay, callback, *args, **kw)

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **kwargs: Any) -> "asyncio.Task[Any]":  # type: ignore[override]
        return asyncio.Task(coro, loop=self, **kwargs)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False
