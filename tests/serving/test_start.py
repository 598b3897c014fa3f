"""How serve() starts, and what keeps it from that."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import Application

from tests.serving.running import Process, get
from tornado_ext.errors import ConfigurationError
from tornado_ext.serving import serve


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


def test_a_port_in_use_is_named_with_what_to_do(run: Callable[[str], Process]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = run(f"serve(make_app, {port})").ends()
    assert (status, out) == (1, "")
    assert (
        f"tornado_ext.serving.start.PortInUse: can't listen on port {port} of 127.0.0.1: "
        "Address already in use; choose another port, or stop what uses this one"
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("processes", value) for value in (0, -1, "2")),
        *(("port", value) for value in (-1, 65536, "8888", None)),
        *(("grace", value) for value in (-1, float("inf"), float("nan"), "10", None)),
    ],
)
def test_a_wrong_argument_is_refused(name: str, value: Any) -> None:
    arguments: dict[str, Any] = {"port": 0, name: value}
    with pytest.raises(ConfigurationError, match=f"serve: {name} must be .*, not {value!r}"):
        serve(Application, **arguments)


@pytest.mark.parametrize("option", ["xheader", "request_callback"])
def test_an_option_that_the_server_does_not_know_is_named(
    run: Callable[[str], Process], option: str
) -> None:
    status, _, err = run(f"serve(make_app, 0, {option}=True)").ends()
    assert status == 1
    assert option in err.splitlines()[-1]
