"""How serve() ends, told to by real signals."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
from tornado.websocket import websocket_connect

from tests.serving.running import PATIENCE, Process, open_slow


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(run: Callable[[str], Process], number: int) -> None:
    process = run("serve(make_app, 0)\nprint('after')")
    process.serves()
    process.stops(number)
    assert process.ends() == (0, "after\n", "")


def test_signals_are_what_they_were_when_serve_has_returned(run: Callable[[str], Process]) -> None:
    process = run(
        "import signal\n"
        "before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]\n"
        "serve(make_app, 0)\n"
        "print([signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before)"
    )
    process.serves()
    process.stops()
    assert process.ends() == (0, "True\n", "")


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    run: Callable[[str], Process], in_thread: ThreadPoolExecutor, number: int
) -> None:
    process = run("serve(make_app, 0, grace=1000)")
    answer = open_slow(process, in_thread)
    process.stops()
    process.send(number)
    assert process.ends() == (-number, "", "")
    with pytest.raises(OSError, match=r"without response|reset"):
        answer.result()


def test_an_idle_connection_delays_the_end_for_a_moment_alone(
    run: Callable[[str], Process],
) -> None:
    process = run("serve(make_app, 0, grace=1000)")
    connection = HTTPConnection(process.serves().removeprefix("http://"))
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"
    process.stops()
    assert process.ends() == (0, "", "")
    connection.close()


@pytest.mark.parametrize("used", [True, False])
def test_a_connection_ends_with_its_next_answer(run: Callable[[str], Process], used: bool) -> None:
    process = run("serve(make_app, 0)")
    connection = HTTPConnection(process.serves().removeprefix("http://"))
    connection.connect()
    if used:
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello"
    process.stops()
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.read() == b"hello"
    assert response.headers["Connection"] == "close"
    connection.close()
    assert process.ends() == (0, "", "")


def test_connections_are_kept_while_requests_come(run: Callable[[str], Process]) -> None:
    process = run("serve(make_app, 0)")
    url = process.serves().removeprefix("http://")
    connections = [HTTPConnection(url), HTTPConnection(url)]
    for connection in connections:
        connection.connect()
    process.stops()
    for connection in connections:
        time.sleep(0.6)  # the second one asks later than a second after the signal
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello"
        connection.close()
    assert process.ends() == (0, "", "")


def test_an_answer_that_was_begun_before_the_signal_says_that_its_connection_ends(
    run: Callable[[str], Process],
) -> None:
    process = run("serve(make_app, 0)")
    connection = HTTPConnection(process.serves().removeprefix("http://"))
    connection.request("GET", "/slow")
    assert process.line() == "open"
    process.stops()
    process.let_go()
    response = connection.getresponse()
    assert response.read() == b"slow"
    assert response.headers["Connection"] == "close"
    connection.close()
    assert process.ends() == (0, "", "")


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_websocket_that_opens_after_the_signal_is_told_that_the_service_restarts(
    run: Callable[[str], Process],
) -> None:
    process = run(
        "class SlowSocket(Socket):\n"
        "    async def prepare(self):\n"
        "        await super().prepare()\n"
        "        print('open', flush=True)\n"
        "        while not pathlib.Path('go').exists():\n"
        "            await asyncio.sleep(0.01)\n"
        "serve(lambda: Application([('/', SlowSocket)], room_bus=LocalBus()), 0)"
    )
    connecting = websocket_connect("ws" + process.serves().removeprefix("http") + "/")
    assert await asyncio.to_thread(process.line) == "open"
    process.stops()
    process.let_go()
    client = await connecting
    assert await client.read_message() == "joined"
    assert await client.read_message() is None
    assert client.close_code == 1012
    client.close()
    assert process.ends() == (0, "", "")


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
