"""Rooms over TLS, where a write may be taken in part and has to be repeated as it was."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

from tornado_ext.rooms import LocalBus, RoomMixin

SIZE = 200_000  # bytes of a message: many times what a TLS record, or a socket, takes


class Socket(RoomMixin, WebSocketHandler):
    async def open(self) -> None:
        await self.join("lobby")


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server's context, with a certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    file = tmp_path / "both.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


@pytest.mark.gen_test(timeout=20)
async def test_large_and_small_messages_arrive_whole_and_in_order(tls: ssl.SSLContext) -> None:
    bus = LocalBus(outgoing_bytes=2**26)
    server = HTTPServer(Application([("/", Socket)], room_bus=bus), ssl_options=tls)
    (listening,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(listening)
    url = f"wss://127.0.0.1:{listening.getsockname()[1]}/"
    client = await websocket_connect(HTTPRequest(url, validate_cert=False))
    said = [f"{number}" * (SIZE if number % 3 else 1) for number in range(30)]
    for text in said:
        await bus.publish("lobby", text)
    for text in said:
        await asyncio.sleep(0.005)  # a slow reader: some of it waits at the server
        assert await client.read_message() == text
    client.close()
    server.stop()
    await bus.close()
    await server.close_all_connections()
