"""serve() with several processes."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tornado.web import Application

from tests.serving.running import PATIENCE, Process, get
from tornado_ext.errors import ConfigurationError
from tornado_ext.serving import serve

Run = Callable[[str], Process]

TWO = """
import os
from tornado_ext.rooms import RedisBus

class Pid(RequestHandler):
    def get(self):
        self.write(str(os.getpid()))

def make():
    if pathlib.Path("broken").exists():
        raise OSError("it is broken")
    app = make_app(room_bus=RedisBus("redis://127.0.0.1:1"), database=Closing("database"))
    app.add_handlers(".*", [("/pid", Pid)])
    return app

serve(make, 0, processes=2)
print("after")
"""


def children(process: Process) -> set[int]:
    """Return the processes that answer, once they are two."""
    found: set[int] = set()
    for _ in range(2000):
        found.add(int(get(process.url + "/pid")))
        if len(found) == 2:
            return found
    raise AssertionError(found)


def ended(pid: int) -> bool:
    for _ in range(PATIENCE * 100):
        with suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.01)
                continue
        return True
    return False


def test_two_processes_share_a_port_and_end_with_the_parent(run: Run) -> None:
    process = run(TWO)
    process.serves()
    pids = children(process)
    assert process.process.pid not in pids
    process.send(signal.SIGTERM)
    assert process.ends() == (0, "closed database\nclosed database\nafter\n", "")
    assert all(ended(pid) for pid in pids)


def test_a_child_that_dies_is_started_again(run: Run) -> None:
    process = run(TWO)
    process.serves()
    before = children(process)
    os.kill(min(before), signal.SIGKILL)
    assert ended(min(before))
    assert len(children(process) & before) == 1


def test_a_child_that_can_not_start_again_tries_until_it_can(run: Run, tmp_path: Path) -> None:
    process = run(TWO)
    process.serves()
    before = children(process)
    (tmp_path / "broken").touch()
    os.kill(min(before), signal.SIGKILL)
    assert ended(min(before))
    time.sleep(0.3)
    assert int(get(process.url + "/pid")) == max(before)
    (tmp_path / "broken").unlink()
    assert max(before) in children(process)


def test_children_end_though_the_parent_is_killed(run: Run) -> None:
    process = run(TWO)
    process.serves()
    pids = children(process)
    process.send(signal.SIGKILL)
    assert process.ends()[1] == "closed database\nclosed database\n"
    assert all(ended(pid) for pid in pids)


def test_what_can_not_start_ends_with_one_complaint(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    status, out, err = run(TWO).ends()
    assert (status, out) == (1, "")
    assert err.count("OSError: it is broken") == 1


@pytest.mark.parametrize(
    ("setting", "kind"),
    [("room_bus=LocalBus()", "LocalBus"), ("session_store=MemoryStore()", "MemoryStore")],
)
def test_what_one_process_has_for_itself_is_refused(run: Run, setting: str, kind: str) -> None:
    status, _, err = run(
        "from tornado_ext.rooms import RedisBus\n"
        "from tornado_ext.sessions import MemoryStore\n"
        "settings = {'room_bus': RedisBus('redis://127.0.0.1:1')}\n"
        f"settings.update({setting})\n"
        "serve(lambda: make_app(**settings), 0, processes=2)"
    ).ends()
    assert status == 1
    name = setting.partition("=")[0]
    assert f"ConfigurationError: the setting '{name}' is a {kind}, which the other" in err


@pytest.mark.parametrize("number", [0, -1, "2"])
def test_a_wrong_number_of_processes_is_refused(number: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"processes must be 1 or more, not {number!r}"):
        serve(Application, 0, processes=number)


def test_one_child_that_can_not_start_ends_the_other(run: Run) -> None:
    process = run(
        TWO.replace('if pathlib.Path("broken").exists():', 'if not claimed("first"):').replace(
            "def make():",
            "def claimed(name):\n"
            "    try:\n"
            "        pathlib.Path(name).touch(exist_ok=False)\n"
            "    except FileExistsError:\n"
            "        return False\n"
            "    return True\n\n"
            "def make():",
        )
    )
    status, out, err = process.ends()
    assert status == 1
    assert out.endswith("closed database\n")
    assert err.count("OSError: it is broken") == 1
