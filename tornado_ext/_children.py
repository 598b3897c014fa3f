"""Several processes that serve one port: how they begin, and how all of them end."""

import mmap
import os
import select
import signal
import sys
from types import FrameType

from tornado.process import fork_processes

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PAUSE = 1.0  # seconds before a process that died and can't start is started once more
FAILED = 0  # the mark of the whole; those of the processes follow


class Children:
    """Fork ``number`` processes; `tornado.process.fork_processes` starts a dead one again.

    They end when ``stopping``, a file descriptor, is at its end: at a signal to the parent, or
    when that is killed. If one can't start in the first place, all of them end.
    """

    def __init__(self, number: int) -> None:
        self.stopping, self._open = os.pipe()
        self._marks = mmap.mmap(-1, 1 + number)  # shared by all
        self._number = number
        self._task: int | None = None

    def fork(self) -> bool:
        """Return True in each child. Return False in the parent, when all have ended.

        Raises SystemExit in the parent if they could not start.
        """
        handlers = {number: signal.signal(number, self._stop) for number in SIGNALS}
        try:
            self._task = fork_processes(self._number)
        except SystemExit:
            if self._marks[FAILED]:
                sys.exit(1)
            return False
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._close()
        if self._stopped(0):
            sys.exit(0)
        return True

    @property
    def first(self) -> bool:
        """True in one of the children, until that has served."""
        return self._task == 0 and not self._served

    def serving(self) -> None:
        """Remember that this child has begun to serve."""
        self._marks[1 + (self._task or 0)] = 1

    def failed(self) -> None:
        """Note that this child could not start; return if it is the one to tell why."""
        if self._served:  # before; then it died, and may start when what it needs is back
            self._stopped(PAUSE)
        elif self._marks[FAILED]:
            sys.exit(0)
        else:
            self._marks[FAILED] = 1
            os.kill(os.getppid(), signal.SIGTERM)

    @property
    def _served(self) -> bool:
        return bool(self._marks[1 + (self._task or 0)])

    def _stop(self, number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._close()

    def _close(self) -> None:
        if self._open >= 0:
            os.close(self._open)
            self._open = -1

    def _stopped(self, timeout: float) -> bool:
        return bool(select.select([self.stopping], [], [], timeout)[0])
