"""What tests of an app on this package need: private servers, a client that keeps cookies."""

from tornado_ext.testing.servers import (
    MariaDBServer,
    MissingProgram,
    PrivateServer,
    RedisServer,
    ServerFailed,
)

__all__ = ["MariaDBServer", "MissingProgram", "PrivateServer", "RedisServer", "ServerFailed"]
