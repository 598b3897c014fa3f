"""What can go wrong with a database, by meaning: the same classes on every driver and server."""

import re
from collections.abc import Collection

from tornado_ext.errors import TornadoExtError, Unavailable


class DatabaseError(TornadoExtError):
    """Base of every error of a database, and the class of those that have no name of their own.

    ``errno`` and ``sqlstate`` are the server's, None where no server spoke. ``sql`` is the
    statement without its parameters, None outside a statement.
    """

    sql: str | None = None

    def __init__(
        self, message: str, *, errno: int | None = None, sqlstate: str | None = None
    ) -> None:
        super().__init__(message)
        self.errno = errno
        self.sqlstate = sqlstate

    def __str__(self) -> str:
        message = super().__str__()
        return message if self.errno is None else f"{message} (error {self.errno})"


class ConnectFailed(DatabaseError, Unavailable):
    """No connection could be made: refused, not answered in time, or the server is full."""


class AuthenticationFailed(DatabaseError):
    """The server refused the user, the password, or the driver's way to log in.

    Or the user may not use the database, the account is locked, or its password has expired.
    """


class ConnectionLost(DatabaseError, Unavailable):
    """The connection broke before the answer was read; the statement may have been executed."""


class CommitUnknown(ConnectionLost):
    """The connection broke during COMMIT: the transaction is done as a whole, or not at all.

    Look which, before doing it again.
    """


class ReadOnlyServer(DatabaseError, Unavailable):
    """The server takes no changes: a replica, or a primary that was replaced.

    The connection is closed, so that the next one may reach the new primary.
    """


class PoolTimeout(DatabaseError, Unavailable):
    """No connection of the pool came free in time. The message has the pool's state."""


class QueryTimeout(DatabaseError, Unavailable):
    """The answer did not come in time.

    If it was our ``timeout`` that ran out (``errno`` is None), the connection is closed: its
    transaction is rolled back, but a statement outside of one may still be executed. If it was a
    limit of the server's (``max_statement_time``) or a ``KILL QUERY``, the statement alone is
    undone.
    """


class ProgrammingError(DatabaseError):
    """The statement, or the way that it was called, can't be right: mend the code."""


class ParameterError(ProgrammingError, ValueError):
    """Placeholders and parameters don't go together. Nothing was sent."""


class DataError(DatabaseError):
    """The server can't take a value: out of range, or of a wrong form for its column."""


class DataTooLong(DataError):
    """A value is longer than its column, or a statement longer than the server accepts."""


class IntegrityError(DatabaseError):
    """A rule of the schema forbids the change."""


class DuplicateKey(IntegrityError):
    """A row with this key exists already."""

    @property
    def key(self) -> str | None:
        """The name of the key, ``PRIMARY`` or as in the schema; None if the server gave none."""
        found = re.search(r"for key '(?:[^'.]*\.)?([^']*)'$", self.args[0])
        return found[1] if found else None


class ForeignKeyViolation(IntegrityError):
    """The row that is referred to does not exist, or this row is still referred to."""


class NotNullViolation(IntegrityError):
    """A column that must have a value was given none."""


class Deadlock(DatabaseError):
    """The server rolled back the whole transaction, to end a deadlock or a like conflict.

    Run it again.
    """


class LockTimeout(DatabaseError):
    """Another transaction held a lock for too long: try again.

    The statement was undone; where the server has ``innodb_rollback_on_timeout``, all of its
    transaction.
    """


def from_server(errno: int, sqlstate: str | None, message: str) -> DatabaseError:
    """Make the error that means what a server's error packet says."""
    kind = _BY_ERRNO.get(errno) or _BY_STATE.get((sqlstate or "")[:2], DatabaseError)
    if errno == OPTION_PREVENTS and re.search("read.only", message):
        kind = ReadOnlyServer
    return kind(message, errno=errno, sqlstate=sqlstate)


OPTION_PREVENTS = 1290  # which option, only the message says

_ERRNOS: dict[type[DatabaseError], Collection[int]] = {
    # Too many connections; host blocked; too many of the user; the user's hourly limit; offline.
    ConnectFailed: (1040, 1129, 1203, 1226, 3032),
    # From 1820 on: password expired; TLS alone; account locked or blocked.
    AuthenticationFailed: (
        *(1044, 1045, 1130, 1251, 1698, 2059),
        *(1820, 1862, 3159, 3118, 3955, 4151),
    ),
    ConnectionLost: (1053, 1927, 4031),  # shutdown; killed; idle for too long
    # KILL QUERY; max_statement_time (MariaDB); max_execution_time (MySQL)
    QueryTimeout: (1317, 1969, 3024),
    ReadOnlyServer: (1836,),
    ProgrammingError: (1792,),  # a change in a read-only transaction
    DataError: (1265, 1366),
    DataTooLong: (1153, 1406),
    IntegrityError: (3819, 4025),  # CHECK, in MySQL and in MariaDB
    DuplicateKey: (1022, 1062, 1169, 1586),
    ForeignKeyViolation: (1216, 1217, 1451, 1452),
    NotNullViolation: (1048, 1364),
    Deadlock: (1020, 1213),  # 1020: a row has changed since the transaction read it
    LockTimeout: (1205, 3572),
}
_BY_ERRNO = {errno: kind for kind, errnos in _ERRNOS.items() for errno in errnos}
# The class, the first two characters, of an SQLSTATE (ISO/IEC 9075-2 section 24.1).
_BY_STATE: dict[str, type[DatabaseError]] = {
    "08": ConnectionLost,
    "22": DataError,
    "23": IntegrityError,
    "40": Deadlock,
    "42": ProgrammingError,
}
