"""Which address counts: that of the connection, and what trusted proxies say of it."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.netutil import bind_unix_socket
from tornado.tcpclient import TCPClient
from tornado.web import Application, RequestHandler

from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware._address import client_address, networks

Ask = Callable[..., Any]

CLIENT = "203.0.113.9"


class Handler(RequestHandler):
    def get(self) -> None:
        self.write(client_address(self, networks("test", self.settings["proxies"])))


@pytest.fixture
def app() -> Application:
    return Application([("/", Handler)], proxies=["127.0.0.0/24", "10.0.0.0/8", "2001:db8::/32"])


@pytest.fixture
def server(io_loop: IOLoop, app: Application) -> Iterator[HTTPServer]:
    """A server that takes ``remote_ip`` from anybody's headers."""
    server = HTTPServer(app, xheaders=True)
    yield server
    server.stop()


@pytest.fixture
def ask(server: HTTPServer) -> Ask:
    """A function that returns the address of who asks from ``source`` with these headers."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    server.add_sockets([listening])

    async def ask(*forwarded: str, source: str = "127.0.0.1", **headers: str) -> str:
        port = listening.getsockname()[1]
        stream = await TCPClient().connect("127.0.0.1", port, source_ip=source)
        lines = [("X-Forwarded-For", value) for value in forwarded]
        return await fetch(stream, *lines, *headers.items())

    return ask


async def fetch(stream: IOStream, *headers: tuple[str, str]) -> str:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers)
    await stream.write(f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
    reply = await stream.read_until_close()
    assert reply.startswith(b"HTTP/1.1 200"), reply
    return reply.rpartition(b"\r\n\r\n")[2].decode()


@pytest.mark.gen_test
@pytest.mark.parametrize("forged", [CLIENT, "10.0.0.1", "127.0.0.1"])
async def test_stranger_is_not_believed(ask: Ask, forged: str) -> None:
    assert await ask(forged, source="127.0.1.7", X_Real_IP=forged) == "127.0.1.7"


@pytest.mark.gen_test
async def test_nobody_is_believed_without_trusted_proxies(app: Application, ask: Ask) -> None:
    app.settings["proxies"] = []
    assert await ask(CLIENT, X_Real_IP=CLIENT) == "127.0.0.1"


@pytest.mark.gen_test
async def test_proxy_without_the_header_counts_itself(ask: Ask) -> None:
    assert await ask() == "127.0.0.1"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "forwarded",
    [
        CLIENT,
        f" {CLIENT}\t",
        f"198.51.100.1, {CLIENT}",  # the client has forged the first
        f"10.0.0.1,{CLIENT}",
        f"10.9.9.9, {CLIENT}, 10.0.0.2, 10.0.0.1",  # two more proxies of ours on the way
        f"{CLIENT}, 2001:db8::7",
        f"rubbish, {CLIENT}",
        f"::ffff:{CLIENT}",
    ],
)
async def test_last_hop_that_is_no_proxy_counts(ask: Ask, forwarded: str) -> None:
    assert await ask(forwarded) == CLIENT


@pytest.mark.gen_test
async def test_several_headers_are_one_list(ask: Ask) -> None:
    assert await ask("198.51.100.1", CLIENT, "10.0.0.1") == CLIENT


@pytest.mark.gen_test
async def test_real_ip_is_anybodys_to_say(ask: Ask) -> None:
    assert await ask(CLIENT, X_Real_IP="198.51.100.1") == CLIENT


@pytest.mark.gen_test
@pytest.mark.parametrize("rubbish", ["unknown", "", ",", "1.2.3", "1.2.3.4:80", "_x", "<script>"])
async def test_hop_that_says_rubbish_counts_itself(ask: Ask, rubbish: str) -> None:
    assert await ask(f"{CLIENT}, {rubbish}, 10.0.0.7") == "10.0.0.7"


@pytest.mark.gen_test
async def test_chain_of_proxies_alone_counts_the_first(ask: Ask) -> None:
    assert await ask("10.0.0.2, 10.0.0.1") == "10.0.0.2"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "address", ["2001:4860:0:1::", "2001:4860:0:1:2:3:4:5", "2001:4860::1:0:0:0:9"]
)
async def test_addresses_of_one_ipv6_network_are_one(ask: Ask, address: str) -> None:
    assert await ask(address) == "2001:4860:0:1::/64"


@pytest.mark.gen_test
async def test_neighbouring_ipv6_networks_are_two(ask: Ask) -> None:
    assert await ask("2001:4860:0:2::1") == "2001:4860:0:2::/64"


async def connected(server: HTTPServer, family: int, host: str, to: str) -> IOStream:
    listening = socket.socket(family)
    listening.bind((host, 0))
    listening.listen()
    listening.setblocking(False)
    server.add_sockets([listening])
    return await TCPClient().connect(to, listening.getsockname()[1])


@pytest.mark.gen_test
async def test_connection_over_ipv6_counts_as_its_network(server: HTTPServer) -> None:
    stream = await connected(server, socket.AF_INET6, "::1", "::1")
    assert await fetch(stream, ("X-Forwarded-For", CLIENT)) == "::/64"


@pytest.mark.gen_test
async def test_ipv4_on_a_socket_of_ipv6_is_ipv4(server: HTTPServer) -> None:
    stream = await connected(server, socket.AF_INET6, "::ffff:127.0.0.1", "127.0.0.1")
    assert await fetch(stream, ("X-Forwarded-For", CLIENT)) == CLIENT


@pytest.mark.gen_test
@pytest.mark.parametrize(("proxies", "counted"), [(["0.0.0.0/32"], CLIENT), ([], "0.0.0.0")])
async def test_unix_socket_can_be_trusted(
    app: Application, server: HTTPServer, tmp_path: Path, proxies: list[str], counted: str
) -> None:
    app.settings["proxies"] = proxies
    server.add_sockets([bind_unix_socket(str(tmp_path / "socket"))])
    stream = IOStream(socket.socket(socket.AF_UNIX))
    await stream.connect(str(tmp_path / "socket"))
    assert await fetch(stream, ("X-Forwarded-For", CLIENT)) == counted


@pytest.mark.parametrize(
    "proxies",
    ["10.0.0.0/8", "", ["10.0.0.1/8"], ["nginx"], [""], [None], None, 7, [["10.0.0.0/8"]]],
)
def test_what_is_no_network_is_refused(proxies: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^RateLimit\(trusted_proxies\) "):
        networks("RateLimit(trusted_proxies)", proxies)
