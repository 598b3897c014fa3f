"""Nothing that was started outlives the process that started it, however that one ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STARTED = """
import time
from tornado_ext.testing import MariaDBServer, RedisServer
server = {kind}().start()
{then}
print("started", flush=True)
time.sleep(60)
"""

PYTEST = """
import time

def test_that_is_interrupted(redis_server, mariadb_server, redis_servers):
    one, two = redis_servers(2)
    two.freeze()
    print("started", flush=True)
    time.sleep(60)
"""

DEADLINE = 20  # seconds


def run(tmp_path: Path, *command: str | Path) -> subprocess.Popen[str]:
    """Start Python with temporary directories in ``tmp_path`` and a process group of its own."""
    return subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def wait_for_line(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert any(word in line for line in process.stdout), "the process ended too early"


def processes_in(directory: Path) -> dict[int, str]:
    """Return pid and command line of what works in ``directory`` or was told of it."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode().replace("\0", " ")
            where = os.readlink(process / "cwd")
        except OSError:  # it has ended
            continue
        if command and str(directory) in where + command:
            found[int(process.name)] = command
    return found


def installers_in(directory: Path) -> list[int]:
    return [pid for pid, command in processes_in(directory).items() if "--bootstrap" in command]


def assert_all_gone(directory: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while (left := [*processes_in(directory).values(), *directory.iterdir()]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.02)
    assert not left


@pytest.mark.parametrize(
    ("kind", "then"),
    [
        ("RedisServer", ""),
        ("RedisServer", "server.freeze()"),
        ("RedisServer", "server.kill()"),
        ("RedisServer", "server.restart()"),
        ("MariaDBServer", ""),
        ("MariaDBServer", "server.freeze()"),
    ],
)
def test_a_server_and_its_directory_go_when_its_python_is_killed(
    tmp_path: Path, kind: str, then: str
) -> None:
    with run(tmp_path, "-c", STARTED.format(kind=kind, then=then)) as process:
        wait_for_line(process, "started")
        assert processes_in(tmp_path)
        assert list(tmp_path.iterdir())
        process.kill()
        assert_all_gone(tmp_path)


def test_a_database_in_the_making_goes_when_its_python_is_killed(tmp_path: Path) -> None:
    with run(tmp_path, "-c", STARTED.format(kind="MariaDBServer", then="")) as process:
        while not (installers := installers_in(tmp_path)):
            assert process.poll() is None
        for pid in installers:
            os.kill(pid, signal.SIGSTOP)  # so that it does not end by itself
        process.kill()
        assert_all_gone(tmp_path)


def test_servers_go_when_their_python_just_ends(tmp_path: Path) -> None:
    code = "from tornado_ext.testing import RedisServer; RedisServer().start()"
    with run(tmp_path, "-W", "ignore", "-c", code) as process:
        assert process.wait(DEADLINE) == 0
        assert_all_gone(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_servers_of_a_pytest_run_go_with_it(tmp_path: Path, number: int) -> None:
    (tests := tmp_path / "tests").mkdir()
    (temporary := tmp_path / "tmp").mkdir()
    (tests / "test_interrupted.py").write_text(PYTEST)
    options = ["-m", "pytest", "-s", "-p", "tornado_ext.testing.fixtures"]
    with run(temporary, *options, f"--rootdir={tests}", tests) as process:
        wait_for_line(process, "started")
        os.killpg(process.pid, number)
        assert_all_gone(temporary)
