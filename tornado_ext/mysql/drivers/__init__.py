"""The client libraries, one for each URL scheme. They are imported when a `Database` is made."""

from tornado_ext.mysql.drivers.asyncmy import AsyncmyConnection
from tornado_ext.mysql.drivers.connection import Answer, DriverConnection, Limit
from tornado_ext.mysql.drivers.tornado_mysql import TornadoMySQLConnection

DRIVERS: dict[str, type[DriverConnection]] = {
    "mysql": AsyncmyConnection,
    "mysql+tornado": TornadoMySQLConnection,
}

__all__ = ["DRIVERS", "Answer", "DriverConnection", "Limit"]
