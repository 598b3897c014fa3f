"""serve() with several processes."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.serving.running import PATIENCE, Process, get, open_slow

Run = Callable[[str], Process]

TWO = """
import os, time
from tornado_ext.rooms import RedisBus

class Pid(RequestHandler):
    def get(self):
        self.write(str(os.getpid()))

    post = get

class Blocked(RequestHandler):
    def get(self):
        print("blocked", flush=True)
        time.sleep(1000)

def make():
    if pathlib.Path("broken").exists():
        raise OSError("it is broken")
    app = make_app(room_bus=RedisBus("redis://127.0.0.1:1"), database=Closing("database"))
    app.add_handlers(".*", [("/pid", Pid), ("/blocked", Blocked)])
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


def test_children_are_started_again_however_often_they_die(run: Run) -> None:
    process = run(
        "import os\n"
        "from tornado_ext.serving.children import Children\n"
        "children = Children(1, [], 1000)\n"
        "if children.fork():\n"
        "    children.serving()\n"
        "    with open('deaths', 'a+') as deaths:\n"
        "        deaths.write('x')\n"
        "        often = deaths.tell() > 101\n"  # more often than Tornado would by itself
        "    os._exit(0 if often else 1)\n"
        "print('after')"
    )
    assert process.ends()[:2] == (0, "after\n")


def test_a_child_that_died_is_not_among_those_to_kill(run: Run) -> None:
    process = run(
        "import os, time\n"
        "from tornado_ext.serving.children import Children\n"
        "children = Children(1, [], 1000)\n"
        "if children.fork():\n"
        "    children.serving()\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(1000)\n"
        "print(list(children._pids))"
    )
    child = int(process.line())
    process.send(signal.SIGTERM)
    time.sleep(0.1)
    os.kill(child, signal.SIGKILL)  # the one that replaces it ends at once
    assert process.ends()[:2] == (0, "[0]\n")


def test_a_child_that_can_not_start_again_tries_until_it_can(run: Run, tmp_path: Path) -> None:
    process = run(TWO)
    process.serves()
    before = children(process)
    (tmp_path / "broken").touch()
    began = time.monotonic()
    os.kill(min(before), signal.SIGKILL)
    assert ended(min(before))
    time.sleep(0.3)
    assert int(get(process.url + "/pid")) == max(before)
    (tmp_path / "broken").unlink()
    seconds = time.monotonic() - began
    assert max(before) in children(process)
    process.send(signal.SIGTERM)
    assert 1 <= process.ends()[2].count("OSError: it is broken") <= 2 + seconds


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


def test_nobody_connects_while_the_children_finish(run: Run, in_thread: ThreadPoolExecutor) -> None:
    process = run(TWO)
    answer = open_slow(process, in_thread)
    process.stops()
    process.let_go()
    assert answer.result() == "slow"
    assert process.ends()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_all_at_once(
    run: Run, in_thread: ThreadPoolExecutor, number: int
) -> None:
    process = run(TWO.replace("processes=2", "processes=2, grace=1000"))
    answer = open_slow(process, in_thread)
    pids = children(process)
    process.stops()
    process.send(number)
    assert process.ends()[0] == -number
    assert all(ended(pid) for pid in pids)
    assert answer.exception() is not None


def test_a_signal_to_all_counts_as_one(run: Run, in_thread: ThreadPoolExecutor) -> None:
    process = run(TWO)
    answer = open_slow(process, in_thread)
    pids = children(process)
    process.stops()
    for pid in pids:  # as a service manager sends it, after the parent has told them
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    process.let_go()
    assert answer.result() == "slow"
    status, _, err = process.ends()
    assert (status, err) == (0, "")


def test_children_that_are_blocked_are_killed(run: Run, in_thread: ThreadPoolExecutor) -> None:
    process = run(
        "from tornado_ext.serving import process\n"
        "process.CLOSE_TIMEOUT = 0.1\n"
        + TWO.replace("processes=2", "processes=2, grace=0.1")
        + "\n"
    )
    process.serves()
    answer = in_thread.submit(get, process.url + "/blocked")
    assert process.line() == "blocked"
    process.send(signal.SIGTERM)
    status, _, err = process.ends()
    assert status == 1
    assert "Killed what had not stopped after 0.5 s" in err
    assert "Traceback" not in err  # none of them is begun again
    assert answer.exception() is not None


def test_a_child_that_is_told_to_stop_is_started_again_and_no_request_is_lost(run: Run) -> None:
    process = run(TWO)
    process.serves()
    before = children(process)
    with ThreadPoolExecutor() as threads:
        busy = [threads.submit(ask_on_and_on, process) for _ in range(4)]
        for pid in before:
            os.kill(pid, signal.SIGTERM)
            assert ended(pid)
        (process.directory / "enough").touch()
        for request in busy:
            assert request.result() > 10
    assert not children(process) & before


def ask_on_and_on(process: Process) -> int:
    """Ask on kept connections, as a proxy does, until told to stop; return how often."""
    number = 0
    with closing(HTTPConnection(process.url.removeprefix("http://"))) as connection:
        while not (process.directory / "enough").exists():
            connection.request("POST", "/pid", body=b"x")
            assert connection.getresponse().read().isdigit()
            number += 1
    return number


def test_children_that_have_not_served_yet_end_with_a_parent_that_is_killed(run: Run) -> None:
    process = run(
        "import os\n"
        "async def make():\n"
        "    print(f'{os.getpid()}\\n', end='', flush=True)\n"
        "    await asyncio.sleep(1000)\n"
        "serve(make, 0, processes=2)\n"
    )
    pids = [int(process.line()), int(process.line())]
    process.send(signal.SIGKILL)
    assert all(ended(pid) for pid in pids)


@pytest.mark.parametrize("death", ["sys.exit('no')", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_child_that_dies_as_it_starts_ends_all(run: Run, death: str) -> None:
    process = run(f"import os, signal, sys\nserve(lambda: {death}, 0, processes=2)\nprint('after')")
    status, out, _ = process.ends()
    assert (status, out) == (1, "")


def test_a_child_that_is_told_to_stop_as_it_starts_is_started_again(run: Run) -> None:
    process = run(
        "import os\n"
        "from tornado_ext.rooms import RedisBus\n"
        "async def make():\n"
        "    print(f'{os.getpid()}\\n', end='', flush=True)\n"
        "    while not pathlib.Path('go').exists():\n"
        "        await asyncio.sleep(0.01)\n"
        "    return make_app(room_bus=RedisBus('redis://127.0.0.1:1'))\n"
        "serve(make, 0, processes=2)\n"
    )
    pids = {int(process.line()), int(process.line())}
    os.kill(min(pids), signal.SIGTERM)
    assert int(process.line()) not in pids
    process.let_go()
    assert get(process.serves()) == "hello"
