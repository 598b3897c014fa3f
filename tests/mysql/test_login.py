"""Logging in: MySQL 8's way, played by a script; TLS; and what is refused."""

import asyncio
import hashlib
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.mysql.server import Server
from tornado_ext.errors import ConfigurationError
from tornado_ext.mysql import AuthenticationFailed, ConnectFailed, Database
from tornado_ext.testing import MariaDBServer

gen_test = pytest.mark.gen_test

MakeDatabase = Callable[..., Database]

PASSWORD, SALT = b"p\xc3\xa9", b"12345678901234567890"
NATIVE, SHA2, CLEAR = b"mysql_native_password", b"caching_sha2_password", b"mysql_clear_password"
FAST, FULL, PUBLIC_KEY = b"\x01\x03", b"\x01\x04", b"\x02"
OK = b"\0\0\0\x02\0\0\0"
KEY = rsa.generate_private_key(65537, 2048)
PEM = serialization.Encoding.PEM


def handshake(plugin: bytes, collation: int = 45) -> bytes:
    """Return the server's first packet (Protocol::HandshakeV10)."""
    return (
        (b"\x0a8.0.36\0" + bytes(4) + SALT[:8] + b"\0\xff\xf7")
        + (bytes([collation]) + b"\x02\0\x08\0\x15" + bytes(10))
        + (SALT[8:] + b"\0" + plugin + b"\0")
    )


def public_key() -> bytes:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return KEY.public_key().public_bytes(PEM, kind)


def scramble(salt: bytes) -> bytes:
    """Return what proves the password to a server that has it cached."""
    once = hashlib.sha256(PASSWORD).digest()
    mask = hashlib.sha256(hashlib.sha256(once).digest() + salt).digest()
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))


class Peer:
    """The server's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.number = reader, writer, 0

    def send(self, payload: bytes) -> None:
        self.writer.write(struct.pack("<I", len(payload) | self.number << 24) + payload)
        self.number += 1

    async def receive(self) -> bytes:
        (head,) = struct.unpack("<I", await self.reader.readexactly(4))
        self.number = (head >> 24) + 1
        return await self.reader.readexactly(head & 0xFFFFFF)

    async def answer_queries(self) -> None:
        while True:
            await self.receive()
            self.send(OK)


@asynccontextmanager
async def playing(script: Callable[..., object], scheme: str) -> AsyncIterator[str]:
    """Play a script for each connection; yield the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(Peer(reader, writer))  # type: ignore[misc]
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"{scheme}://u:p%C3%A9@127.0.0.1:{port}/d"


async def cached(peer: Peer) -> None:
    peer.send(handshake(SHA2))
    assert scramble(SALT) in await peer.receive()
    peer.send(FAST)
    peer.send(OK)
    await peer.answer_queries()


async def switched(peer: Peer) -> None:
    peer.send(handshake(NATIVE))
    await peer.receive()
    other = SALT[::-1]
    peer.send(b"\xfe" + SHA2 + b"\0" + other)
    assert await peer.receive() == scramble(other)
    peer.send(FAST)
    peer.send(OK)
    await peer.answer_queries()


async def not_cached(peer: Peer) -> None:
    peer.send(handshake(SHA2))
    await peer.receive()
    peer.send(FULL)
    assert await peer.receive() == PUBLIC_KEY
    peer.send(b"\x01" + public_key())
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    masked = KEY.decrypt(await peer.receive(), oaep)
    assert bytes(a ^ b for a, b in zip(masked, SALT, strict=False)) == PASSWORD + b"\0"
    peer.send(OK)
    await peer.answer_queries()


@pytest.mark.parametrize("script", [cached, switched, not_cached])
@gen_test
async def test_asyncmy_logs_in_to_a_default_account_of_mysql_8(
    script: Callable[..., object], make_db: MakeDatabase
) -> None:
    async with playing(script, "mysql") as url:
        database = make_db(url)
        assert (await database.execute("DO 1")).rowcount == 0
        await database.close()


async def no_common_way(peer: Peer) -> None:
    peer.send(handshake(SHA2))
    await peer.receive()
    peer.send(b"\xff\xe3\x04#08004Client does not support authentication protocol")
    await peer.reader.read()


async def unknown_collation(peer: Peer) -> None:
    peer.send(handshake(NATIVE, collation=255))
    await peer.receive()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (no_common_way, AuthenticationFailed),
        (switched, AuthenticationFailed),
        (unknown_collation, ConnectFailed),
    ],
)
@gen_test
async def test_tornado_mysql_names_asyncmy_for_what_it_cannot_do(
    script: Callable[..., object], error: type[Exception], make_db: MakeDatabase
) -> None:
    async with playing(script, "mysql+tornado") as url:
        with pytest.raises(error, match="use mysql://, which is asyncmy"):
            await make_db(url).execute("DO 1")


@gen_test
async def test_no_password_is_sent_in_clear_text(scheme: str, make_db: MakeDatabase) -> None:
    heard = b""

    async def ask(peer: Peer) -> None:
        nonlocal heard
        peer.send(handshake(NATIVE))
        await peer.receive()
        peer.send(b"\xfe" + CLEAR + b"\0")
        heard = await peer.reader.read()

    async with playing(ask, scheme) as url:
        with pytest.raises(AuthenticationFailed):
            await make_db(url).execute("DO 1")
        await asyncio.sleep(0)

    assert PASSWORD not in heard


@pytest.mark.parametrize("state", ["ACCOUNT LOCK", "PASSWORD EXPIRE"])
@gen_test
async def test_an_account_that_may_not_log_in_is_named(
    url: str, mariadb_server: MariaDBServer, make_db: MakeDatabase, state: str
) -> None:
    user = state.split()[1].lower()
    mariadb_server.query(f"CREATE USER IF NOT EXISTS {user}ed IDENTIFIED BY 'p' {state}")
    mariadb_server.query(f"GRANT ALL ON *.* TO {user}ed")
    at = url.index("://") + 3

    with pytest.raises(AuthenticationFailed):
        await make_db(f"{url[:at]}{user}ed:p{url[url.index('@') :]}").fetch_value("SELECT 1")


# TLS ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate for 127.0.0.1, and beside it its key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(KEY, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "cert.pem"
    file.write_bytes(made.public_bytes(PEM))
    kind = serialization.PrivateFormat.TraditionalOpenSSL
    key = KEY.private_bytes(PEM, kind, serialization.NoEncryption())
    file.with_name("key.pem").write_bytes(key)
    return file


@pytest.fixture(scope="module")
def tls_server(certificate: Path) -> Iterator[MariaDBServer]:
    """A MariaDB that speaks TLS."""
    key = certificate.with_name("key.pem")
    with Server(ssl_cert=str(certificate), ssl_key=str(key)) as server:
        yield server


@gen_test
async def test_tls_is_spoken_with_a_server_whose_certificate_is_known(
    tls_server: MariaDBServer, certificate: Path, make_db: MakeDatabase
) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    for database in (
        make_db(tls_server.url, ssl=str(certificate)),
        make_db(tls_server.url, ssl=context),
        make_db(f"{tls_server.url}?ssl={certificate}"),
    ):
        row = await database.fetch_one("SHOW STATUS LIKE 'Ssl_version'")
        assert row is not None
        assert row.Value.startswith("TLS")


@gen_test
async def test_a_server_of_another_certificate_or_name_is_refused(
    tls_server: MariaDBServer, certificate: Path, make_db: MakeDatabase
) -> None:
    with pytest.raises(ConnectFailed, match="CERTIFICATE_VERIFY_FAILED"):
        await make_db(tls_server.url, ssl="system").fetch_value("SELECT 1")
    other = tls_server.url.replace("127.0.0.1", "localhost")
    with pytest.raises(ConnectFailed, match="Hostname mismatch"):
        await make_db(other, ssl=str(certificate)).fetch_value("SELECT 1")


@gen_test
async def test_a_server_without_tls_is_refused(url: str, make_db: MakeDatabase) -> None:
    if url.startswith("mysql+tornado"):
        with pytest.raises(ConfigurationError, match="ssl needs mysql://, which is asyncmy"):
            make_db(url, ssl="system")
    else:
        with pytest.raises(ConnectFailed):
            await make_db(url, ssl="system", connect_timeout=1).fetch_value("SELECT 1")


def test_a_file_of_no_certificates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ssl='.*nothing'"):
        Database("mysql://u:p@h/d", ssl=str(tmp_path / "nothing"))
