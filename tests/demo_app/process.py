"""The app as a process of its own, which can't outlive the tests."""

import re
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

from tornado_ext.testing._guard import Guard

START_TIMEOUT = 30  # seconds
STOP_TIMEOUT = 15  # seconds
POLL_INTERVAL = 0.02  # seconds


class Program:
    """Run ``python -m module options`` in a directory of its own, until the end of the block."""

    def __init__(self, module: str, *options: str) -> None:
        self._module = module
        self._options = options

    def __enter__(self) -> Self:
        self._guard = Guard(self._module)
        self.process = self._spawn()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self.process.poll() is None:
                self.end()
        finally:
            self._guard.close()
            self.process.wait()

    def restart(self) -> None:
        """End it and run it again, on the files that it left."""
        self.end()
        self._guard.log.unlink()
        self.process = self._spawn()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, if it still runs, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._guard.log.read_text() if self._guard.log.exists() else ""

    def prints(self, pattern: str) -> list[re.Match[str]]:
        """Wait until it prints what matches, and return all that does."""
        deadline = time.monotonic() + START_TIMEOUT
        while not (found := list(re.finditer(pattern, self.output, re.MULTILINE))):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(POLL_INTERVAL)
        return found

    def _spawn(self) -> subprocess.Popen[bytes]:
        return self._guard.spawn([sys.executable, "-m", self._module, *self._options])
