"""Several processes that serve one port: how they begin, and how all of them end."""

import mmap
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from tornado.log import gen_log
from tornado.process import fork_processes

from tornado_ext.serving.stop import SIGNALS, handling

PAUSE = 1.0  # seconds before a process that died as it started is started once more
RESTART = 75  # the exit status of one that was told to stop alone; EX_TEMPFAIL of sysexits.h
SOON = 0.1  # seconds within which a signal to all has reached all
STARTING, SERVED = 1, 2  # what is known of a process and of those that it replaces


class Children:
    """Fork ``number`` processes; `tornado.process.fork_processes` starts one that ended again.

    They end when ``stopping``, a file descriptor, is at its end: at a signal to the parent, or
    when that is killed. If one can't start in the first place, all of them end.
    """

    def __init__(self, number: int, sockets: Sequence[socket.socket], seconds: float) -> None:
        """Listen on ``sockets``; end within ``seconds``, or be killed."""
        self.stopping, self._open = os.pipe()
        self._sockets = sockets
        self._seconds = seconds
        self._parent = os.getpid()
        self._task = 0
        # In memory that all share: whether the whole has failed, and of each what is known.
        self._failed = mmap.mmap(-1, 1)
        self._known = mmap.mmap(-1, number)
        self._pids = memoryview(mmap.mmap(-1, 4 * number)).cast("i")

    def fork(self) -> bool:
        """Return True in each child. Return False in the parent, when all have ended.

        Raises SystemExit in the parent if they could not start, or had to be killed.
        """
        try:
            with handling(self._stop), handling(self._kill, [signal.SIGALRM]):
                self._task = fork_processes(len(self._known), max_restarts=sys.maxsize)
        except SystemExit:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if self._failed[0]:
                sys.exit(1)
            return False
        finally:
            self._close()
        self._begin()
        return True

    @property
    def first(self) -> bool:
        """True in one of the children, until that has served."""
        return self._task == 0 and not self._known[self._task] & SERVED

    def serving(self) -> None:
        """Remember that this child has begun to serve."""
        self._known[self._task] = SERVED

    def failed(self) -> None:
        """Note that this child could not start; return if it is the one to tell why."""
        if not self._known[self._task] & SERVED:  # else it tries again: what it needs may be back
            if self._stopped() or self._failed[0]:
                sys.exit(0)
            self._failed[0] = 1
            os.kill(os.getppid(), signal.SIGTERM)

    def end(self) -> NoReturn:
        """End this child. The parent starts it again, unless all of them end."""
        self._pids[self._task] = 0  # soon it may be the number of another program
        self._known[self._task] &= SERVED  # it may have been told so before it had started
        sys.exit(0 if self._stopped(SOON) else RESTART)

    def _begin(self) -> None:
        self._pids[self._task] = 0  # of the one before, if that died: see `end`
        if self._stopped():
            sys.exit(0)
        self._pids[self._task] = os.getpid()
        known = self._known[self._task]
        if known == STARTING:  # the one before was killed by what it did
            self.failed()
            sys.exit(1)
        if known & STARTING and self._stopped(PAUSE):
            sys.exit(0)
        self._known[self._task] = known | STARTING

    def _stop(self, *_: object) -> None:
        if os.getpid() != self._parent:  # a child that has only just begun: the pipe tells it
            return
        for number in SIGNALS:
            signal.signal(number, self._kill)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        self._close()
        for listening in self._sockets:  # as the children do, so that nobody waits for an answer
            listening.close()

    def _kill(self, number: int, _: FrameType | None) -> None:
        """End at once after a second signal; or end the children, when they take too long."""
        for pid in self._pids:
            with suppress(ProcessLookupError, PermissionError):
                if pid:
                    os.kill(pid, signal.SIGKILL)
        if number == signal.SIGALRM:
            gen_log.error("Killed what had not stopped after %g s", self._seconds)
            self._failed[0] = 1
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _close(self) -> None:
        if self._open >= 0:
            os.close(self._open)
            self._open = -1

    def _stopped(self, timeout: float = 0) -> bool:
        return bool(select.select([self.stopping], [], [], timeout)[0])
