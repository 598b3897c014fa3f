"""MySQL and MariaDB: a pool, safe parameters, transactions, errors by meaning, two drivers."""

from tornado_ext.mysql._row import Row
from tornado_ext.mysql.database import Connection, Database, DatabaseMixin
from tornado_ext.mysql.drivers import Result
from tornado_ext.mysql.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    DatabaseError,
    DataError,
    DataTooLong,
    Deadlock,
    DuplicateKey,
    ForeignKeyViolation,
    IntegrityError,
    LockTimeout,
    NotNullViolation,
    ParameterError,
    PoolTimeout,
    ProgrammingError,
    QueryTimeout,
)
from tornado_ext.mysql.pool import PoolStats

__all__ = [
    "AuthenticationFailed",
    "ConnectFailed",
    "Connection",
    "ConnectionLost",
    "DataError",
    "DataTooLong",
    "Database",
    "DatabaseError",
    "DatabaseMixin",
    "Deadlock",
    "DuplicateKey",
    "ForeignKeyViolation",
    "IntegrityError",
    "LockTimeout",
    "NotNullViolation",
    "ParameterError",
    "PoolStats",
    "PoolTimeout",
    "ProgrammingError",
    "QueryTimeout",
    "Result",
    "Row",
]
