"""Errors: what is known of them without a server."""

import pickle

import pytest

from tornado_ext.errors import TornadoExtError, Unavailable
from tornado_ext.mysql import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    DatabaseError,
    Deadlock,
    DuplicateKey,
    IntegrityError,
    LockTimeout,
    PoolTimeout,
    ProgrammingError,
    QueryTimeout,
)
from tornado_ext.mysql.drivers.connection import meaning
from tornado_ext.mysql.errors import from_server


@pytest.mark.parametrize("kind", [ConnectFailed, ConnectionLost, PoolTimeout, QueryTimeout])
def test_a_server_that_does_not_answer_is_unavailable(kind: type[DatabaseError]) -> None:
    assert issubclass(kind, Unavailable)
    assert kind("...").status_code == 503


@pytest.mark.parametrize("kind", [AuthenticationFailed, Deadlock, ProgrammingError, IntegrityError])
def test_a_server_that_answers_is_not_unavailable(kind: type[DatabaseError]) -> None:
    assert issubclass(kind, TornadoExtError)
    assert not issubclass(kind, Unavailable)


@pytest.mark.parametrize(
    ("errno", "sqlstate", "kind"),
    [
        (1040, "08004", ConnectFailed),
        (1053, "08S01", ConnectionLost),
        (1205, "HY000", LockTimeout),
        (1226, "42000", ConnectFailed),
        (3032, "HY000", ConnectFailed),
        (1317, "70100", QueryTimeout),
        (1792, "25006", ProgrammingError),
        (3159, "HY000", AuthenticationFailed),
        (4151, "HY000", AuthenticationFailed),
        (1213, "40001", Deadlock),
        (3819, "HY000", IntegrityError),
        (9999, "42999", ProgrammingError),
        (9999, "23999", IntegrityError),
        (9999, None, DatabaseError),
    ],
)
def test_the_number_decides_and_then_the_class_of_the_sqlstate(
    errno: int, sqlstate: str | None, kind: type[DatabaseError]
) -> None:
    exc = from_server(errno, sqlstate, "text")

    assert (type(exc), exc.errno, exc.sqlstate) == (kind, errno, sqlstate)
    assert str(exc) == f"text (error {errno})"


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ("Duplicate entry 'a' for key 'PRIMARY'", "PRIMARY"),
        ("Duplicate entry 'a' for key 'users.by_email'", "by_email"),  # MySQL 8.0.19
        ("Duplicate entry 'it's.a' for key 'by_email'", "by_email"),
        ("Can't write; duplicate key in table 't'", None),
        ("Can't write, because of unique constraint, to table 't'", None),
    ],
)
def test_the_key_of_a_duplicate_is_read_from_the_message(message: str, key: str | None) -> None:
    assert DuplicateKey(message).key == key


@pytest.mark.parametrize("exc", [KeyError(255), OSError(111, "refused"), Exception(2013, "lost")])
def test_what_no_server_said_is_a_lost_connection(exc: Exception) -> None:
    assert type(meaning(exc)) is ConnectionLost


def test_an_error_can_be_pickled() -> None:
    exc = from_server(1062, "23000", "Duplicate entry 'a' for key 'b'")
    exc.sql = "INSERT"

    copy = pickle.loads(pickle.dumps(exc))

    assert (type(copy), str(copy), vars(copy)) == (type(exc), str(exc), vars(exc))
