"""What hangs, or fails, while a process stops: the process ends all the same."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.serving.running import PATIENCE, Process, open_slow

Run = Callable[[str], Process]

BRIEF = """
import time
from tornado_ext.serving import process
process.CLOSE_TIMEOUT = 0.4

class Stubborn:
    async def close(self):
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                pass
"""


def test_a_setting_that_hangs_in_its_close_does_not_keep_the_others_open(run: Run) -> None:
    process = run(
        BRIEF + "class Hanging:\n"
        "    async def close(self):\n"
        "        await asyncio.sleep(1000)\n"
        "serve(lambda: make_app(session_store=Hanging(), database=Closing('database')), 0)"
    )
    process.serves()
    process.send(signal.SIGTERM)
    status, out, err = process.ends()
    assert (status, out) == (0, "closed database\n")
    assert "TimeoutError: not done in 0.4 s" in err


def test_rooms_that_hang_in_their_close_do_not_keep_the_others_open(run: Run) -> None:
    process = run(
        BRIEF + "class HangingBus(LocalBus):\n"
        "    async def close(self):\n"
        "        await asyncio.sleep(1000)\n"
        "serve(lambda: make_app(room_bus=HangingBus(), database=Closing('database')), 0)"
    )
    process.serves()
    process.send(signal.SIGTERM)
    assert process.ends()[:2] == (0, "closed database\n")


def test_a_close_that_can_not_be_cancelled_ends_with_the_process(run: Run) -> None:
    process = run(
        BRIEF
        + "serve(lambda: make_app(store=Stubborn(), database=Closing('database')), 0, grace=0.1)"
    )
    process.serves()
    process.send(signal.SIGTERM)
    status, out, err = process.ends()
    assert (status, out) == (1, "closed database\n")
    assert err.index("Can't close") < err.index("Timeout (0:00:01.3")


def test_a_child_whose_close_can_not_be_cancelled_says_so_and_ends(run: Run) -> None:
    process = run(
        BRIEF + "import os\n"
        "from tornado_ext.rooms import RedisBus\n"
        "process.CLOSE_TIMEOUT = 5.0\n"
        "os.register_at_fork(after_in_child=lambda: setattr(process, 'CLOSE_TIMEOUT', 0.4))\n"
        "bus = RedisBus('redis://127.0.0.1:1')\n"
        "serve(lambda: make_app(room_bus=bus, store=Stubborn()), 0, grace=0.1, processes=2)"
    )
    process.serves()
    process.send(signal.SIGTERM)
    status, _, err = process.ends()
    assert status == 0
    assert err.count("Timeout (0:00:01.3") == 2


def test_what_comes_after_serve_takes_as_long_as_it_likes(run: Run) -> None:
    process = run(BRIEF + "serve(make_app, 0, grace=0.1)\ntime.sleep(1)\nprint('after')")
    process.serves()
    process.send(signal.SIGTERM)
    assert process.ends() == (0, "after\n", "")


def test_a_close_that_is_cancelled_from_inside_does_not_keep_the_others_open(run: Run) -> None:
    process = run(
        "class Careless:\n"
        "    async def close(self):\n"
        "        task = asyncio.create_task(asyncio.sleep(1000))\n"
        "        task.cancel()\n"
        "        await task\n"
        "serve(lambda: make_app(store=Careless(), database=Closing('database')), 0)"
    )
    process.serves()
    process.send(signal.SIGTERM)
    status, out, err = process.ends()
    assert (status, out) == (0, "closed database\n")
    assert "RuntimeError: cancelled" in err


@pytest.mark.parametrize(
    ("what", "where"),
    [
        ("time.sleep(1000)", "in get"),
        ("asyncio.get_running_loop().run_in_executor(None, time.sleep, 1000)", "in _worker"),
    ],
)
def test_a_blocked_process_says_where_and_ends(run: Run, what: str, where: str) -> None:
    process = run(
        BRIEF + "class Blocking(RequestHandler):\n"
        "    def get(self):\n"
        "        print('open', flush=True)\n"
        f"        {what}\n"
        "def make():\n"
        "    return Application([('/slow', Blocking)])\n"
        "serve(make, 0, grace=0.1)\n"
    )
    with ThreadPoolExecutor() as threads:
        answer = open_slow(process, threads)
        process.send(signal.SIGTERM)
        status, _, err = process.ends()
        answer.exception(PATIENCE)
    assert status == 1
    assert "Timeout (0:00:01.3" in err
    assert where in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_blocked_process_at_once(run: Run, number: int) -> None:
    process = run(
        "import time\n"
        "class Blocking(RequestHandler):\n"
        "    def get(self):\n"
        "        print('open', flush=True)\n"
        "        time.sleep(1000)\n"
        "serve(lambda: Application([('/slow', Blocking)]), 0)\n"
    )
    with ThreadPoolExecutor() as threads:
        answer = open_slow(process, threads)
        process.send(signal.SIGTERM)
        while process.process.poll() is None:  # the first one may have to be seen
            process.send(number)
        assert process.ends()[0] == -number
        answer.exception(PATIENCE)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_make_app_that_hangs_is_left(run: Run, processes: int) -> None:
    process = run(
        "async def make():\n"
        "    print('begun\\n', end='', flush=True)\n"
        "    await asyncio.sleep(1000)\n"
        f"serve(make, 0, processes={processes})\n"
    )
    for _ in range(processes):
        assert process.line() == "begun"
    process.send(signal.SIGTERM)
    assert process.ends() == (0, "", "")
