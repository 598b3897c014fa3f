"""How a process is told to stop, and that it does."""

import asyncio
import faulthandler
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
STDERR = 2

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def handling(handler: Handler, numbers: Iterable[int] = SIGNALS) -> Iterator[None]:
    """Have ``handler`` called for the signals ``numbers``."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, other in before.items():
            signal.signal(number, other)


class Stop:
    """Tell a process to stop at the first signal; the next one ends it at once.

    A process that has not called `done` within ``seconds`` prints where each of its threads is,
    and ends with status 1: also one whose event loop is blocked.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self.asked: asyncio.Future[None] = self._loop.create_future()

    def on_signal(self, *_: object) -> None:
        """Ask to stop. Not by way of the loop, which may be blocked."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self.ask()

    def ask(self) -> None:
        """Have ``asked`` done; after this, a signal is still the first."""
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=STDERR)
        self._loop.call_soon_threadsafe(self._finish)

    @staticmethod
    def done() -> None:
        """Take the time no longer: the process has stopped."""
        faulthandler.cancel_dump_traceback_later()

    def _finish(self) -> None:
        if not self.asked.done():
            self.asked.set_result(None)
