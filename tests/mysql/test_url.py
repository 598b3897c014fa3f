"""Database URLs and options: what they mean, and what is refused at construction."""

import pytest

from tornado_ext.errors import ConfigurationError
from tornado_ext.mysql import Database
from tornado_ext.mysql._url import Address, Options, parse

SCHEMES = ("mysql", "mysql+tornado")

READ: list[tuple[str, Address]] = [
    ("mysql://u:p@h/d", Address("mysql", "h", 3306, "u", "p", "d")),
    ("mysql+tornado://u@h:33/d", Address("mysql+tornado", "h", 33, "u", "", "d")),
    ("mysql://u%40x:p%2F%3A%25@h/d%20e", Address("mysql", "h", 3306, "u@x", "p/:%", "d e")),
    ("mysql://u:p@[::1]:33/d", Address("mysql", "::1", 33, "u", "p", "d")),
]


@pytest.mark.parametrize(("url", "address"), READ)
def test_a_url_says_where_the_database_is(url: str, address: Address) -> None:
    assert parse(url, {}, SCHEMES)[0] == address


def test_options_may_stand_in_the_url() -> None:
    _, options = parse("mysql://u:p@h/d?min_size=2&max_size=20&timeout=0.8", {}, SCHEMES)

    assert options == Options(min_size=2, max_size=20, timeout=0.8)


def test_an_argument_counts_more_than_the_url() -> None:
    _, options = parse("mysql://u:p@h/d?max_size=20", {"max_size": 3}, SCHEMES)

    assert options.max_size == 3


WRONG: list[tuple[str, dict[str, object], str]] = [
    ("redis://u:secret@h/d", {}, r"start with mysql:// or mysql\+tornado://"),
    ("mysql:u:secret@h/d", {}, "is not like"),
    ("mysql://u:secret@/d", {}, "has no host"),
    ("mysql://h/d", {}, "has no user"),
    ("mysql://u:secret@h", {}, "has no database"),
    ("mysql://u:secret@h/", {}, "has no database"),
    ("mysql://u:secret@h:0/d", {}, "port is 1 to 65535"),
    ("mysql://u:secret@h:65536/d", {}, "port is 1 to 65535"),
    ("mysql://u:secret@h:mysql/d", {}, "port is 1 to 65535"),
    ("mysql://u:sec/secret@h/d", {}, "percent-encoded"),
    ("mysql://u:sec?secret@h/d", {}, "percent-encoded"),
    ("mysql://u:sec#secret@h/d", {}, "percent-encoded"),
    ("mysql://u:secret@h/d#x", {}, "is not like"),
    ("mysql://[u:secret@h/d", {}, "is not like"),
    ("mysql://u:secret@h/d?charset=latin1", {}, "charset is not a database option; those are"),
    ("mysql://u:secret@h/d?max_size=many", {}, "max_size='many' is not a number of connections"),
    ("mysql://u:secret@h/d?timeout=soon", {}, "timeout='soon' is not a number of seconds"),
    ("mysql://u:secret@h/d?timeout=", {}, "timeout='' is not"),
    ("mysql://u:secret@h/d?timeout=nan", {}, "timeout='nan' is not"),
    ("mysql://u:secret@h/d?max_size=1_0", {}, "max_size='1_0' is not"),
    ("mysql://u:secret@h/d?max_size=\u0663", {}, "max_size='\u0663' is not"),
    ("mysql://u:secret@h/d?max_size=5&max_size=7", {}, "has max_size twice"),
    ("mysql://u:secret@h/d", {"pool": 3}, "pool is not a database option"),
    ("mysql://u:secret@h/d", {"min_size": 5, "max_size": 4}, "max_size=4 .* min_size=5"),
    ("mysql://u:secret@h/d", {"min_size": 0, "max_size": 0}, "max_size=0 is 0"),
    ("mysql://u:secret@h/d", {"min_size": -1}, "min_size=-1 is not"),
    ("mysql://u:secret@h/d", {"max_size": 1001}, "max_size=1001 is not"),
    ("mysql://u:secret@h/d", {"max_size": 2.5}, "max_size=2.5 is not"),
    ("mysql://u:secret@h/d", {"timeout": 0}, "timeout=0 is not"),
    ("mysql://u:secret@h/d", {"connect_timeout": -1}, "connect_timeout=-1 is not"),
    ("mysql://u:secret@h/d", {"acquire_timeout": float("nan")}, "acquire_timeout=nan is not"),
    ("mysql://u:secret@h/d", {"timeout": float("inf")}, "timeout=inf is not"),
    ("mysql://u:secret@h/d", {"timeout": None}, "timeout=None is not"),
    ("mysql://u:secret@h/d", {"timeout": True}, "timeout=True is not"),
    ("mysql://u:secret@h/d", {"max_size": True}, "max_size=True is not"),
]


@pytest.mark.parametrize(("url", "options", "message"), WRONG)
def test_what_cannot_be_right_is_refused_by_name(
    url: str, options: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        Database(url, **options)

    assert "sec" not in str(raised.value).replace("seconds", "")


@pytest.mark.parametrize("url", [None, b"mysql://u:p@h/d", 7])
def test_a_url_that_is_no_text_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Database(url)


def test_the_password_is_not_shown() -> None:
    database = Database("mysql://u:secret@h/d")

    assert repr(database) == "<Database mysql://u@h:3306/d>"
    assert "secret" not in repr(vars(database))
