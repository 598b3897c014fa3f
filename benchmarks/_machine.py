"""When and on what something was measured, and whether the machine was busy with something else."""

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

SERVERS = {"redis-server": "Redis", "mariadbd": "MariaDB"}
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin"  # Debian's mariadbd is in sbin
CPUS = os.cpu_count() or 1
STAT = Path("/proc/stat")
CPU_INFO = Path("/proc/cpuinfo")


def busy() -> float:
    """Return the seconds that all CPUs have worked since the system started, for anybody."""
    _, user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = STAT.read_text().split()
    ticks = sum(map(int, (user, nice, system, irq, softirq, steal)))
    return ticks / os.sysconf("SC_CLK_TCK")


def own() -> float:
    """Return the seconds of CPU time of this process, and of the children that have ended."""
    return sum(os.times()[:4])


@dataclass(frozen=True)
class Run:
    """A stretch of time in which something is measured."""

    began: float = field(default_factory=time.monotonic)
    busy: float = field(default_factory=busy)
    own: float = field(default_factory=own)

    def conditions(self, names: Iterable[str]) -> str:
        """Return when it was, on what, next to which versions, and what others took meanwhile."""
        took = time.monotonic() - self.began
        others = (busy() - self.busy) - (own() - self.own)
        share = max(0.0, others / CPUS / took)
        return (
            f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC in {took:.0f} s; other programs took "
            f"{share:.0%} of the CPUs. {CPUS} CPUs ({processor()}), {platform.system()}, "
            f"{platform.python_implementation()} {platform.python_version()}, "
            f"{', '.join(map(named, ['tornado', *names]))}."
        )


def processor() -> str:
    """Return the model of the CPU, where Linux tells it."""
    found = re.search(r"model name\s*: (.*)", CPU_INFO.read_text()) if CPU_INFO.exists() else None
    return found[1] if found else platform.machine()


def named(name: str) -> str:
    """Return a distribution of Python's or a server program with its version."""
    if name not in SERVERS:
        return f"{name} {version(name)}"
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
    if program is None:
        raise FileNotFoundError(f"{name} is not installed")
    told = re.search(r"\d+\.\d+\.\d+", subprocess.check_output([program, "--version"], text=True))
    assert told
    return f"{SERVERS[name]} {told[0]}"
