import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import _machine

SPIN = "import time\nwhile time.process_time() < 0.5: pass"


def test_it_is_told_on_what_and_next_to_which_versions() -> None:
    told = _machine.Run().conditions(["Django", "redis-server"])
    for part in ("Measured 20", "UTC in 0 s", "CPUs (", "CPython 3", "tornado 6", "Django 5"):
        assert part in told
    assert "Redis 7." in told


def test_what_the_machine_does_for_itself_is_not_what_others_take() -> None:
    before = _machine.own(), _machine.busy()
    subprocess.run([sys.executable, "-c", SPIN], check=True)
    assert _machine.own() - before[0] > 0.4
    assert _machine.busy() - before[1] > 0.4


def test_what_others_take_of_all_cpus_is_told() -> None:
    before = time.monotonic() - 10, _machine.busy() - 5 * _machine.CPUS, _machine.own()
    told = _machine.Run(*before).conditions([])
    assert "UTC in 10 s; other programs took 50% of the CPUs" in told


def test_a_server_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_machine, "SYSTEM_PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="mariadbd is not installed"):
        _machine.named("mariadbd")
