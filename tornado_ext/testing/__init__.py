"""What tests of an app need: private servers, and a client that keeps cookies."""

from tornado_ext.testing._process import MissingProgram, PrivateServer, ServerFailed
from tornado_ext.testing.client import Client, TooManyRedirects
from tornado_ext.testing.servers import MariaDBServer, RedisServer

__all__ = [
    "Client",
    "MariaDBServer",
    "MissingProgram",
    "PrivateServer",
    "RedisServer",
    "ServerFailed",
    "TooManyRedirects",
]
