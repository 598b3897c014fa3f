"""serve() in processes of its own, told to stop by real signals."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from tornado.websocket import websocket_connect

PATIENCE = 20  # seconds until a test that waits in vain fails

APP = """
import asyncio, pathlib
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler
from tornado_ext.rooms import LocalBus, RoomMixin
from tornado_ext.serving import serve

class Hello(RequestHandler):
    def get(self):
        self.write("hello")

class Slow(RequestHandler):
    async def get(self):
        print("open", flush=True)
        while not pathlib.Path("go").exists():
            await asyncio.sleep(0.01)
        self.write("slow")

class Socket(RoomMixin, WebSocketHandler):
    async def open(self):
        await self.join("lobby")
        await self.write_message("joined")

class Closing:
    def __init__(self, name):
        self.name = name
    async def close(self):
        print(f"closed {self.name}\\n", end="", flush=True)
        if self.name == "broken":
            raise OSError("broken")

class ClosingBus(LocalBus):
    async def close(self):
        await super().close()
        print("closed rooms", flush=True)

def make_app(**settings):
    handlers = [("/", Hello), ("/slow", Slow), ("/socket", Socket)]
    settings.setdefault("room_bus", LocalBus())
    return Application(handlers, **settings)

"""


class Process:
    """A Python process that runs `APP` and ``code``."""

    def __init__(self, code: str, directory: Path) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-W", "default", "-c", APP + code],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def serves(self) -> str:
        """Return the URL that it prints, without the last slash."""
        self.url = self.line()
        return self.url

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def stops(self, number: int = signal.SIGTERM) -> None:
        """Send the signal, and return when no connection is taken any more."""
        self.send(number)
        for _ in range(PATIENCE * 100):
            if not self.takes_connections():
                return
            time.sleep(0.01)
        raise AssertionError("it still takes connections")

    def takes_connections(self) -> bool:
        parts = urlsplit(self.url)
        with socket.socket() as client:
            return client.connect_ex((parts.hostname, parts.port)) == 0

    def let_go(self) -> None:
        """Let the slow requests end."""
        (self.directory / "go").touch()

    def ends(self) -> tuple[int, str, str]:
        """Return its exit status, and what else it wrote to stdout and stderr."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    """A function that runs code in a process that ends with the test."""
    with ExitStack() as running:

        def run(code: str) -> Process:
            process = Process(code, tmp_path)
            running.callback(process.close)
            return process

        yield run


@pytest.fixture
def in_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def get(url: str) -> str:
    with urlopen(url, timeout=PATIENCE) as response:
        return str(response.read().decode())


def open_slow(process: Process, threads: ThreadPoolExecutor) -> "Future[str]":
    """Ask for a page that comes when `Process.let_go` is called."""
    answer = threads.submit(get, process.serves() + "/slow")
    assert process.line() == "open"
    return answer


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_serves_what_make_app_returns(run: Callable[[str], Process], kind: str) -> None:
    process = run(f"{kind} make():\n  return make_app()\nserve(make, 0)")
    assert get(process.serves()) == "hello"


def test_options_are_those_of_http_server(run: Callable[[str], Process]) -> None:
    process = run(
        "import ssl\n"
        "serve(make_app, 0, ssl_options=ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))"
    )
    assert process.serves().startswith("https://127.0.0.1:")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(run: Callable[[str], Process], number: int) -> None:
    process = run("serve(make_app, 0)\nprint('after')")
    process.serves()
    process.stops(number)
    assert process.ends() == (0, "after\n", "")


def test_an_open_request_is_finished(
    run: Callable[[str], Process], in_thread: ThreadPoolExecutor
) -> None:
    process = run("serve(make_app, 0)")
    answer = open_slow(process, in_thread)
    process.stops()
    process.let_go()
    assert answer.result() == "slow"
    assert process.ends() == (0, "", "")


def test_a_request_that_takes_longer_than_the_grace_is_cut_off(
    run: Callable[[str], Process], in_thread: ThreadPoolExecutor
) -> None:
    process = run("serve(make_app, 0, grace=0.1)")
    answer = open_slow(process, in_thread)
    process.send(signal.SIGTERM)
    with pytest.raises(OSError, match="without response"):
        answer.result()
    status, _, err = process.ends()
    assert status == 0
    assert "Cut 1 requests off" in err


def test_a_second_signal_ends_it_at_once(
    run: Callable[[str], Process], in_thread: ThreadPoolExecutor
) -> None:
    process = run("serve(make_app, 0, grace=1000)")
    answer = open_slow(process, in_thread)
    process.stops()
    process.send(signal.SIGTERM)
    assert process.ends()[0] == -signal.SIGTERM
    with pytest.raises(OSError, match=r"without response|reset"):
        answer.result()


def test_an_idle_connection_does_not_delay_the_end(run: Callable[[str], Process]) -> None:
    process = run("serve(make_app, 0, grace=1000)")
    connection = HTTPConnection(process.serves().removeprefix("http://"))
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"
    process.stops()
    assert process.ends() == (0, "", "")
    connection.close()


def test_a_connection_in_use_ends_with_its_next_answer(
    run: Callable[[str], Process], in_thread: ThreadPoolExecutor
) -> None:
    process = run("serve(make_app, 0)")
    answer = open_slow(process, in_thread)
    connection = HTTPConnection(process.url.removeprefix("http://"))
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"
    process.stops()
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.read() == b"hello"
    assert response.headers["Connection"] == "close"
    connection.close()
    process.let_go()
    assert answer.result() == "slow"


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_websockets_are_told_that_the_service_restarts(
    run: Callable[[str], Process],
) -> None:
    process = run("serve(make_app, 0)")
    client = await websocket_connect("ws" + process.serves().removeprefix("http") + "/socket")
    assert await client.read_message() == "joined"
    process.send(signal.SIGTERM)
    assert await client.read_message() is None
    assert client.close_code == 1012
    client.close()
    assert process.ends() == (0, "", "")


def test_settings_are_closed_the_rooms_first(run: Callable[[str], Process]) -> None:
    process = run(
        "store = Closing('store')\n"
        "serve(lambda: make_app(session_store=store, again=store, database=Closing('database'),\n"
        "    room_bus=ClosingBus(), middleware=[Closing('limit')], closing_class=Closing), 0)"
    )
    process.serves()
    process.send(signal.SIGTERM)
    assert process.ends() == (0, "closed rooms\nclosed store\nclosed database\nclosed limit\n", "")


def test_a_setting_that_can_not_be_closed_does_not_keep_the_others_open(
    run: Callable[[str], Process],
) -> None:
    process = run(
        "serve(lambda: make_app(session_store=Closing('broken'), database=Closing('database')), 0)"
    )
    process.serves()
    process.send(signal.SIGTERM)
    status, out, err = process.ends()
    assert (status, out) == (0, "closed broken\nclosed database\n")
    assert "OSError: broken" in err


def test_a_port_in_use_is_named_with_what_to_do(run: Callable[[str], Process]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = run(f"serve(make_app, {port})").ends()
    assert (status, out) == (1, "")
    assert (
        f"tornado_ext.serving.PortInUse: can't listen on port {port} of 127.0.0.1: Address already"
        " in use; choose another port, or stop what uses this one"
    ) in err.splitlines()


def test_an_address_of_another_machine_is_refused(run: Callable[[str], Process]) -> None:
    status, _, err = run("serve(make_app, 0, address='192.0.2.1')").ends()
    assert status == 1
    assert "ConfigurationError: can't listen on port 0 of 192.0.2.1: " in err


def test_a_wrong_setting_stops_the_start(run: Callable[[str], Process]) -> None:
    status, out, err = run(
        "serve(lambda: make_app(room_bus='redis://h', database=Closing('database')), 0)"
    ).ends()
    assert (status, out) == (1, "closed database\n")
    assert "ConfigurationError: the setting 'room_bus' must be" in err.splitlines()[-1]


def test_what_make_app_raises_is_passed_on_and_the_port_is_free_again(
    run: Callable[[str], Process],
) -> None:
    process = run(
        "from tornado.netutil import bind_sockets\n"
        "port = bind_sockets(0, '127.0.0.1')[0]\n"
        "number = port.getsockname()[1]\n"
        "port.close()\n"
        "try:\n"
        "  serve(lambda: 1 / 0, number)\n"
        "except ZeroDivisionError:\n"
        "  serve(make_app, number)"
    )
    assert get(process.serves()) == "hello"


def test_make_app_must_return_an_application(run: Callable[[str], Process]) -> None:
    status, _, err = run("serve(lambda: None, 0)").ends()
    assert status == 1
    assert "make_app must return a tornado.web.Application, not None" in err


def test_a_database_that_is_down_stops_the_start(run: Callable[[str], Process]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # it does not listen
        url = f"mysql://user:pw@127.0.0.1:{silent.getsockname()[1]}/chat"
        status, out, err = run(
            "from tornado_ext.mysql import Database\n"
            "async def make():\n"
            f"  database = Database({json.dumps(url)})\n"
            "  await database.fetch_value('SELECT 1')\n"
            "  return make_app(database=database)\n"
            "serve(make, 0)"
        ).ends()
    assert (status, out) == (1, "")
    assert "ConnectFailed" in err.splitlines()[-1]


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_process_that_is_stopping_is_not_ready(
    run: Callable[[str], Process], in_thread: ThreadPoolExecutor
) -> None:
    process = run(
        "from tornado_ext.serving import ReadyHandler\n"
        "def make():\n"
        "  app = make_app()\n"
        "  app.add_handlers('.*', [('/readyz', ReadyHandler)])\n"
        "  return app\n"
        "serve(make, 0)"
    )
    answer = open_slow(process, in_thread)
    connection = HTTPConnection(process.url.removeprefix("http://"))
    connection.request("GET", "/readyz")
    assert connection.getresponse().read() == b'{"ready": true, "settings": {"room_bus": "ok"}}'
    process.stops()
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    assert response.status == 503
    assert json.loads(response.read())["settings"]["process"] == "stopping"
    connection.close()
    process.let_go()
    assert answer.result() == "slow"
