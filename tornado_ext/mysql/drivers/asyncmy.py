"""asyncmy, for ``mysql://``."""

from collections.abc import Awaitable
from functools import cache
from typing import Any

from tornado_ext.mysql._url import Address
from tornado_ext.mysql.drivers.connection import DriverConnection, Values
from tornado_ext.mysql.errors import AuthenticationFailed

MULTI_STATEMENTS, DEPRECATE_EOF = 1 << 16, 1 << 24  # capabilities, in the login
CLEAR_TEXT = ("mysql_clear_password", "dialog")  # ways to log in
CONNECT_TIMEOUT = 3600.0  # seconds; the pool's comes first


class AsyncmyConnection(DriverConnection):
    """A connection of asyncmy."""

    client_module = "asyncmy.connection"
    extra = "mysql"

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._transport = client._transport  # which the client forgets when it closes

    @classmethod
    async def _connect(cls, address: Address) -> Any:
        in_clear = {} if address.tls else dict.fromkeys(CLEAR_TEXT, _refuse_clear_text)
        client = _client_class(cls.load().Connection)(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password.encode(),  # of a str asyncmy 0.2.18 makes latin1
            database=address.database,
            charset="utf8mb4",
            autocommit=None,
            connect_timeout=CONNECT_TIMEOUT,
            ssl=address.tls,
            auth_plugin_map=in_clear,
        )
        try:
            await client.connect()
        except RuntimeError as exc:  # a way to log in for which asyncmy needs another package
            raise AuthenticationFailed(str(exc)) from exc
        return client

    def terminate(self) -> None:
        """Close at once, even if the server does not take what was written."""
        super().terminate()
        self._transport.abort()

    async def _rows(self, answer: Any) -> Values:
        # asyncmy 0.2.18 would go on to read, and hold it all, while the rows are looked at.
        self._transport.resume_reading()
        row = await answer._read_rowdata_packet_unbuffered()
        if row is None:
            return ()
        self._transport.pause_reading()
        return (row, *answer._take_pending_rows())

    def _leave(self) -> Awaitable[Any]:
        return self.client.ensure_closed()  # type: ignore[no-any-return]  # no types


def _refuse_clear_text(_: Any) -> None:
    raise AuthenticationFailed("the server asks for the password in clear text: use TLS (ssl=)")


@cache
def _client_class(base: Any) -> Any:
    """Make the library's connection without two capabilities that it insists on."""

    class Client(base):  # type: ignore[misc]  # no types
        async def _get_server_information(self) -> None:
            await super()._get_server_information()
            self._client_flag &= ~MULTI_STATEMENTS
            # With it asyncmy 0.2.18 takes a row whose first value is 16 MiB for the end of the
            # rows, and the rest for the answer to the next statement.
            self.server_capabilities &= ~DEPRECATE_EOF

    return Client
