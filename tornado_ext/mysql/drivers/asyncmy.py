"""asyncmy, for ``mysql://``."""

from collections.abc import Awaitable
from functools import cache
from typing import Any

from tornado_ext.mysql._url import Address
from tornado_ext.mysql.drivers.connection import DriverConnection

MULTI_STATEMENTS, DEPRECATE_EOF = 1 << 16, 1 << 24  # capabilities, in the login
CONNECT_TIMEOUT = 3600.0  # seconds; the pool's comes first


class AsyncmyConnection(DriverConnection):
    """A connection of asyncmy."""

    library = "asyncmy.connection"
    extra = "mysql"

    @classmethod
    async def _connect(cls, address: Address) -> Any:
        client = _client_class(cls.load().Connection)(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password.encode(),  # of a str asyncmy 0.2.18 makes latin1
            database=address.database,
            charset="utf8mb4",
            autocommit=None,
            connect_timeout=CONNECT_TIMEOUT,
        )
        await client.connect()
        return client

    async def _wait(self, call: Awaitable[Any]) -> Any:
        return await call

    def _leave(self) -> Awaitable[Any]:
        return self.client.ensure_closed()  # type: ignore[no-any-return]  # no types


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
