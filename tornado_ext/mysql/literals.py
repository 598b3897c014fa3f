"""How parameters become SQL: here, for every driver, and nowhere else.

A literal means the same in every ``sql_mode`` and in every character set of the connection but
swe7, which has letters in the place of some ASCII. Text of ASCII without ``\\`` is quoted, with
``'`` doubled, which every mode reads alike. All other text is written in hexadecimal, with the
character set that it is in, so that nothing in it can end the literal, be taken for an escape, or
be read in another character set.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import Any
from uuid import UUID

from tornado_ext.mysql.errors import ParameterError

CACHED_STATEMENTS = 512
CACHED_LENGTH = 4096  # characters; a longer statement is rarely met twice
MAX_DIGITS = 65  # of a DECIMAL
MAX_TIME = timedelta(hours=838, minutes=59, seconds=59)  # what a TIME column holds

_MICROSECOND = timedelta(microseconds=1)
_TOO_LARGE = 10**MAX_DIGITS
_is_plain = re.compile(r"[\t\n\r -\[\]-~]*").fullmatch  # ASCII without \ and most controls
_marks = re.compile(r"([^%]*)(%.?)?", re.DOTALL).findall
_passages = re.compile(  # quoted and comments, to the end of the SQL if they are not closed
    r"""
      (['"`]) .*? (?: \1 | \Z )  # a doubled quote ends one passage and begins another
    | /\* .*? (?: \*/ | \Z )
    | (?: \# | --(?=[\0-\ ]) ) [^\n]*
    """,
    re.DOTALL | re.VERBOSE,
).finditer
# With NO_BACKSLASH_ESCAPES in the sql_mode it ends the text, without it does not.
_ambiguous_quote = re.compile(r"""(?<!\\)(?:\\\\)*\\['"]""").search


def render(sql: str, parameters: Sequence[object]) -> bytes:
    """Put a literal for each parameter in the place of its ``%s``; ``%%`` is a percent sign.

    Raises `ParameterError` when they don't match, or a parameter is of a type that can't be one.
    """
    if not isinstance(sql, str):
        raise ParameterError(f"the SQL is a {type(sql).__name__}, not a str")
    pieces = _cached_pieces(sql) if len(sql) <= CACHED_LENGTH else _pieces(sql)
    if len(parameters) == 1 and isinstance(parameters[0], (tuple, list, dict)):
        raise ParameterError("parameters are given one by one: fetch_all(sql, *values)")
    if len(pieces) != len(parameters) + 1:
        raise ParameterError(
            f"the SQL has {len(pieces) - 1} placeholders, but {len(parameters)} parameters came"
        )
    values = zip(_literals(parameters), pieces[1:], strict=True)
    text = pieces[0] + "".join(value + piece for value, piece in values)
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ParameterError("the SQL has a lone surrogate, which is not a character") from None


def literal(value: object) -> str:
    """Write one value as SQL; raises `ParameterError` if its type or range can't be written."""
    write = _WRITERS.get(type(value))
    if write is not None:
        return write(value)
    if isinstance(value, Enum):
        return literal(value.value)
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    hint = "; json.dumps() makes JSON of it" if isinstance(value, (dict, list, tuple)) else ""
    raise ParameterError(f"a {type(value).__name__} can't be a parameter{hint}")


def _literals(parameters: Sequence[object]) -> Iterator[str]:
    for position, value in enumerate(parameters, 1):
        try:
            yield literal(value)
        except ParameterError as exc:
            raise ParameterError(f"parameter {position}: {exc}") from None


def _pieces(sql: str) -> tuple[str, ...]:
    """Split the SQL at its placeholders."""
    pieces = [""]
    for text, mark in _marks(sql):
        pieces[-1] += text
        if mark == "%s":
            pieces.append("")
        elif mark == "%%":
            pieces[-1] += "%"
        elif mark:
            raise ParameterError(f"{mark} in the SQL: a parameter is %s, a percent sign is %%")
    if len(pieces) > 1:
        _check_that_all_are_bare(sql)
    return tuple(pieces)


def _check_that_all_are_bare(sql: str) -> None:
    """Refuse 'O%s', which would put a literal inside the quotes that the SQL already has."""
    if _ambiguous_quote(sql):
        raise ParameterError("a quote after a backslash: double the quote, or make it a parameter")
    for passage in _passages(sql):
        if any(mark == "%s" for _, mark in _marks(passage[0])):
            raise ParameterError("%s stands in quotes or in a comment: write it bare")


_cached_pieces = lru_cache(CACHED_STATEMENTS)(_pieces)


# What is written comes from the methods of the base type, whatever a subclass has in their place.


def _text(value: str) -> str:
    value = str.__str__(value)
    if _is_plain(value):
        return "'" + value.replace("'", "''") + "'"
    try:
        return f" _utf8mb4 X'{value.encode().hex()}'"
    except UnicodeEncodeError:
        raise ParameterError("the str has a lone surrogate, which is not a character") from None


def _binary(value: bytes | bytearray | memoryview) -> str:
    return f"X'{memoryview(value).hex()}'"


def _integer(value: int) -> str:
    if abs(value) >= _TOO_LARGE:
        raise ParameterError(f"the int has more than {MAX_DIGITS} digits")
    return int.__repr__(value)


def _float(value: float) -> str:
    if not isfinite(value):
        raise ParameterError(f"SQL has no {float.__repr__(value)}")
    digits = float.__repr__(value)
    return digits if "e" in digits else f"{digits}e0"  # without an exponent it were a DECIMAL


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ParameterError("SQL has no infinite Decimal and no NaN")
    exponent = value.as_tuple().exponent
    if value.adjusted() >= MAX_DIGITS or -int(exponent) > MAX_DIGITS:
        raise ParameterError(f"the Decimal has more than {MAX_DIGITS} digits")
    return Decimal.__format__(value, "f")


def _datetime(value: datetime) -> str:
    if value.tzinfo is not None:
        try:
            value = value.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            raise ParameterError("the datetime is not in the years 1 to 9999 of UTC") from None
    return f"'{datetime.isoformat(value, ' ')}'"


def _time(value: time) -> str:
    if value.tzinfo is not None:
        raise ParameterError("a time with a time zone has no meaning without a date")
    return f"'{time.isoformat(value)}'"


def _timedelta(value: timedelta) -> str:
    if abs(value) > MAX_TIME:
        raise ParameterError("the timedelta is longer than 838:59:59, the most that TIME holds")
    seconds, microseconds = divmod(abs(value) // _MICROSECOND, 1_000_000)
    sign = "-" if value < timedelta() else ""
    fraction = f".{microseconds:06}" if microseconds else ""
    return f"'{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}'"


# A subclass before its base.
_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "NULL",
    str: _text,
    bool: lambda value: "1" if value else "0",
    int: _integer,
    float: _float,
    Decimal: _decimal,
    bytes: _binary,
    bytearray: _binary,
    memoryview: _binary,
    datetime: _datetime,
    date: lambda value: f"'{date.isoformat(value)}'",
    time: _time,
    timedelta: _timedelta,
    UUID: lambda value: f"'{UUID.__str__(value)}'",
}
