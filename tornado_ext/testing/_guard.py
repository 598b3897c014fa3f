"""Processes that cannot outlive the one that started them, and a directory that goes with them."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Reads pids of process groups, one a line; the last one is guarded, after an empty line none.
# At end of file, which comes however the writer died, kills it (a stopped one too) and cleans up.
_GUARD = """
while read -r pid; do group=$pid; done
[ -z "$group" ] || kill -s KILL -- "-$group"
for attempt in 1 2 3 4 5; do rm -rf -- "$1" && break; sleep 0.2; done
"""

# The process tells the guard its pid by itself, before it becomes the command: there is no moment
# at which it runs and the guard does not know.
_LAUNCH = 'echo $$; exec "$@" >"$0" 2>&1'


class Guard:
    """Hold a temporary directory, and one process at a time in it, until `close` or our own end.

    A small shell in a session of its own, out of reach of Ctrl-C, holds the other end of a pipe.
    When the pipe closes, be it by `close` or because this Python process was killed, the shell
    kills the process with SIGKILL and removes the directory. Forks of this process, which have the
    pipe too, count as part of it.
    """

    def __init__(self, name: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.log = self.directory / "log"
        pipe, self._lifeline = os.pipe()
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self.directory)],
            stdin=pipe,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(pipe)

    def spawn(self, command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
        """Start ``command`` in the directory; what it prints goes to ``log``."""
        return subprocess.Popen(
            ["/bin/sh", "-c", _LAUNCH, self.log, *command],
            cwd=self.directory,
            # MariaDB, as it starts, deletes whatever temporary tables it finds: others' too.
            env={**os.environ, "LC_ALL": "C", "TMPDIR": str(self.directory)},
            stdin=subprocess.DEVNULL,
            stdout=self._lifeline,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the process and wait for its end."""
        process.kill()
        os.write(self._lifeline, b"\n")  # before wait(), which frees the pid for others
        process.wait()

    def close(self) -> None:
        """Kill the process, remove the directory, and wait until both are gone."""
        os.close(self._lifeline)
        self._shell.wait()
