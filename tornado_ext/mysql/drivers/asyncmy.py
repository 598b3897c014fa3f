"""asyncmy, for ``mysql://``."""

from collections.abc import Awaitable
from typing import Any

from tornado_ext.mysql._url import Address
from tornado_ext.mysql.drivers.connection import DriverConnection

MULTI_STATEMENTS = 1 << 16  # a capability, in the login
CONNECT_TIMEOUT = 3600.0  # seconds; the pool's comes first


class OneStatement(int):
    """Flags that never have `MULTI_STATEMENTS`, which asyncmy adds to those that it is given."""

    def __or__(self, flags: int) -> "OneStatement":
        return OneStatement(int(self) | flags & ~MULTI_STATEMENTS)


class AsyncmyConnection(DriverConnection):
    """A connection of asyncmy."""

    library = "asyncmy"
    extra = "mysql"

    @classmethod
    async def _connect(cls, address: Address) -> Any:
        return await cls.load().connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password.encode(),  # of a str asyncmy 0.2.18 makes latin1
            database=address.database,
            charset="utf8mb4",
            autocommit=None,
            client_flag=OneStatement(),
            connect_timeout=CONNECT_TIMEOUT,
        )

    async def _wait(self, call: Awaitable[Any]) -> Any:
        return await call

    def _leave(self) -> Awaitable[Any]:
        return self.client.ensure_closed()  # type: ignore[no-any-return]  # no types
