"""Tornado-MySQL, for ``mysql+tornado://``: what it needs to do no harm.

Nobody maintains it. Version 0.5.1 is the last; what is said of it here is about that one.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import Resolver

from tornado_ext.mysql._url import Address
from tornado_ext.mysql.drivers.connection import DriverConnection, Values
from tornado_ext.mysql.errors import AuthenticationFailed, ConnectFailed

BINARY, UTF8MB4 = 63, 45  # ids of collations
INSTEAD = "use mysql://, which is asyncmy"
# Another way to log in, more to say about this one, and error 1251: no way that both sides know.
OTHER_LOGINS = (b"\xfe", b"\x01", b"\xff\xe3\x04")
ROWS = 50  # of a stream, at a time
JSON = 245  # a field type that it does not know


class TornadoMySQLConnection(DriverConnection):
    """A connection of Tornado-MySQL."""

    client_module = "tornado_mysql.connections"
    extra = "tornado-mysql"
    has_tls = False  # but that of 1999, and then it goes on without

    @classmethod
    async def _connect(cls, address: Address) -> Any:
        connections = cls.load()
        client = _client_class()(
            user=address.user,
            password=address.password.encode().decode("latin1"),  # which it encodes as latin1
            database=address.database,
            charset="utf8mb4",
            autocommit=None,
            client_flag=connections.CLIENT.MULTI_RESULTS,
            conv={**connections.decoders, **_decoders(connections.FIELD_TYPE)},
        )
        client.client_flag &= ~connections.CLIENT.MULTI_STATEMENTS
        # Its own connect() closes the socket under a failed login's stream: the loop goes on
        # watching the file descriptor, which by then is another connection's.
        stream = await _stream(address.host, address.port)
        try:
            stream.set_nodelay(True)
            client._stream = stream
            await _settled(client._get_server_information())
            await _settled(client._request_authentication())
            client.logged_in = True
            return client
        except KeyError as exc:
            raise ConnectFailed(f"Tornado-MySQL knows no collation {exc}: {INSTEAD}") from exc
        finally:
            if not client.logged_in:
                stream.close()

    def _wait(self, call: Awaitable[Any]) -> Awaitable[Any]:
        return _settled(call)

    async def _rows(self, answer: Any) -> Values:
        rows: list[tuple[object, ...]] = []
        while len(rows) < ROWS:
            row = await _settled(answer._read_rowdata_packet_unbuffered())
            if row is None:
                break
            rows.append(row)
        # What has come already is read without a turn of the loop, whose callbacks would pile up.
        await asyncio.sleep(0)
        return rows

    def _leave(self) -> Awaitable[Any]:
        return self.client.close_async()  # type: ignore[no-any-return]  # no types


async def _stream(host: str, port: int) -> IOStream:
    """Connect to the first of the host's addresses that answers.

    Tornado's TCPClient loses the socket of a connect that is cancelled as it succeeds.
    """
    failure: BaseException = OSError(f"{host} has no address")
    for family, address in await Resolver().resolve(host, port):
        stream = IOStream(socket.socket(family))
        try:
            return await stream.connect(address)
        except StreamClosedError as exc:
            failure = exc.real_error or exc
        except BaseException:
            stream.close()
            raise
    raise failure


async def _settled(call: Awaitable[Any]) -> Any:
    """Await a `tornado.gen.coroutine`, which goes on when its future is cancelled.

    Its end comes when the stream is closed, and is expected.
    """
    future = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise


@cache
def _client_class() -> Any:
    """Make the library's connection with packets that keep what its own lose."""
    from tornado_mysql import connections

    packet, login_packet, field = _packets(connections)

    class Client(connections.Connection):  # type: ignore[misc]  # no types
        logged_in = False

        def _read_packet(self, packet_type: Any = None) -> Any:
            if packet_type is not None:
                return super()._read_packet(field)
            return super()._read_packet(packet if self.logged_in else login_packet)

    return Client


def _packets(connections: Any) -> tuple[Any, Any, Any]:
    class Packet(connections.MysqlPacket):  # type: ignore[misc]  # no types
        def check_error(self) -> None:
            if self.is_error_packet():
                raise _server_error(connections.err, self.get_all_data())

        def is_load_local_packet(self) -> bool:
            if super().is_load_local_packet():
                raise RuntimeError("the server asks for a local file (LOAD DATA LOCAL)")
            return False

    class LoginPacket(Packet):
        def check_error(self) -> None:
            # The library would take it for a request to send the password as MySQL 3.23 did.
            if self.get_all_data().startswith(OTHER_LOGINS):
                raise AuthenticationFailed(
                    "Tornado-MySQL can't log in to the account, as to any with MySQL 8's"
                    f" caching_sha2_password: {INSTEAD}"
                )
            super().check_error()

    class Field(connections.FieldDescriptorPacket):  # type: ignore[misc]  # no types
        charsetnr: int
        type_code: int

        def __init__(self, data: bytes, encoding: str) -> None:
            super().__init__(data, encoding)
            if self.charsetnr != BINARY or self.type_code == JSON:
                self.charsetnr = UTF8MB4  # SET NAMES said so; newer collations are a KeyError
            if self.type_code in (JSON, connections.FIELD_TYPE.GEOMETRY):
                self.type_code = connections.FIELD_TYPE.BLOB  # they were decoded as ASCII

    return Packet, LoginPacket, Field


def _server_error(err: Any, data: bytes) -> Exception:
    """Read an error packet: 0xff, number, ``#``, SQLSTATE, message."""
    (errno,) = struct.unpack_from("<H", data, 1)
    state, message = (data[4:9], data[9:]) if data[3:4] == b"#" else (b"", data[3:])
    exc: Exception = err.DatabaseError(errno, message.decode(errors="replace"))
    exc.sqlstate = state.decode(errors="replace") or None  # type: ignore[attr-defined]
    return exc


def _decoders(types: Any) -> dict[int, Any]:
    """Return the readers for what the library rounds, loses, or reads otherwise than asyncmy."""
    return {
        types.DATETIME: _datetime,
        types.TIMESTAMP: _datetime,
        types.DATE: _date,
        types.TIME: _timedelta,
    }


def _datetime(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # 0000-00-00 00:00:00
        return text


def _date(text: str) -> date | str:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return text


def _timedelta(text: str) -> timedelta:
    hours, minutes, seconds = text.lstrip("-").split(":")
    whole, _, fraction = seconds.partition(".")
    value = timedelta(
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(whole),
        microseconds=int(fraction.ljust(6, "0")),
    )
    return -value if text.startswith("-") else value
