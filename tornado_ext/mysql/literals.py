"""How parameters become SQL: here, for every driver, and nowhere else.

A literal means the same in every ``sql_mode`` and in every character set of the connection but
swe7, which has letters in the place of some ASCII. Text of ASCII without ``\\`` is quoted, with
``'`` doubled, which every mode reads alike. All other text is written in hexadecimal, with the
character set that it is in, so that nothing in it can end the literal, be taken for an escape, or
be read in another character set.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple
from uuid import UUID

from tornado_ext.mysql.errors import ParameterError

CACHED_STATEMENTS = 512
CACHED_LENGTH = 4096  # characters; a longer statement is rarely met twice
BATCH = 2**20  # characters of SQL for many rows; a server's default is 4 MiB or more
LISTS = (list, tuple, set, frozenset)
MAX_DIGITS = 65  # of a DECIMAL
MAX_TIME = timedelta(hours=838, minutes=59, seconds=59)  # what a TIME column holds

_MICROSECOND = timedelta(microseconds=1)
_TOO_LARGE = 10**MAX_DIGITS
_is_plain = re.compile(r"[\t\n\r -\[\]-~]*").fullmatch  # ASCII without \ and most controls
_marks = re.compile(r"([^%]*)(%(?:\((\w+)\)s|.?))?", re.DOTALL).findall
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
_ends_with_in = re.compile(r"\bIN\s*\Z", re.IGNORECASE).search
# What stands before its only row, the row, and what stands after it. The row has placeholders and
# constants: all else may see the rows before it, which are not there yet in one statement for many.
_insert = re.compile(
    r"""(\s*(?:INSERT|REPLACE)\b[^%]*?\bVALUES?\s*)
        (\(\s*(?:%s|%\(\w+\)s|-?[\d.]+|NULL|DEFAULT|TRUE|FALSE)
           (?:\s*,\s*(?:%s|%\(\w+\)s|-?[\d.]+|NULL|DEFAULT|TRUE|FALSE))*\s*\))
        (\s*(?:(?:AS|ON|RETURNING)\b[^%]*)?)""",
    re.IGNORECASE | re.VERBOSE,
).fullmatch


class Template(NamedTuple):
    """SQL, split at its placeholders."""

    texts: tuple[str, ...]  # around the placeholders: one more than of those
    names: tuple[str, ...]  # of the placeholders, as in %(name)s; empty for a bare %s


def render(sql: str, parameters: Sequence[object], named: Mapping[str, object]) -> bytes:
    """Put a literal in the place of each ``%s`` or ``%(name)s``; ``%%`` is a percent sign.

    After ``IN``, a list is written in parentheses. Raises `ParameterError` when SQL and parameters
    don't match, or a parameter is of a type that can't be one.
    """
    template = _template(sql)
    if not (parameters or named or template.names):
        return _encoded(template.texts[0])
    return _encoded(_filled(template, _values(template, parameters, named)))


def render_many(sql: str, rows: Iterable[object]) -> Iterator[bytes]:
    """Render the SQL for each row, a sequence or a mapping; an INSERT for many rows at once."""
    template, found = _template(sql), _insert(sql)
    if found is None or not template.names:
        yield from map(_encoded, _filled_rows(template, rows))
        return
    head, row, tail = found.groups()
    batch: list[str] = []
    size = 0
    for text in _filled_rows(_template(row), rows):
        if size + len(text) > BATCH and batch:
            yield _encoded(head + ",".join(batch) + tail)
            batch, size = [], 0
        batch.append(text)
        size += len(text) + 1
    if batch:
        yield _encoded(head + ",".join(batch) + tail)


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


def _template(sql: str) -> Template:
    if not isinstance(sql, str):
        raise ParameterError(f"the SQL is a {type(sql).__name__}, not a str")
    return _cached_split(sql) if len(sql) <= CACHED_LENGTH else _split(sql)


def _split(sql: str) -> Template:
    texts, names = [""], []
    for text, mark, name in _marks(sql):
        texts[-1] += text
        if mark == "%s" or name:
            texts.append("")
            names.append(name)
        elif mark == "%%":
            texts[-1] += "%"
        elif mark:
            raise ParameterError(
                f"{mark} in the SQL: a parameter is %s or %(name)s, a percent sign is %%"
            )
    if names:
        _check_that_all_are_bare(sql)
    if "" in names and any(names):
        raise ParameterError("the SQL has both %s and %(name)s")
    return Template(tuple(texts), tuple(names))


_cached_split = lru_cache(CACHED_STATEMENTS)(_split)


def _check_that_all_are_bare(sql: str) -> None:
    """Refuse 'O%s', which would put a literal inside the quotes that the SQL already has."""
    if _ambiguous_quote(sql):
        raise ParameterError("a quote after a backslash: double the quote, or make it a parameter")
    for passage in _passages(sql):
        if passage[0].startswith(("/*!", "/*M!")):
            raise ParameterError("a comment that the server executes can't stand with parameters")
        if any(mark not in ("", "%%") for _, mark, _ in _marks(passage[0])):
            raise ParameterError("a placeholder stands in quotes or in a comment: write it bare")


def _values(
    template: Template, parameters: Sequence[object], named: Mapping[str, object]
) -> Sequence[object]:
    """Return the value of each placeholder."""
    names = template.names
    if any(names):
        if parameters or set(names) != named.keys():
            raise ParameterError(
                f"the SQL has the parameters {sorted(set(names))}, by name, but"
                f" {len(parameters)} without a name and {sorted(named)} came"
            )
        return [named[name] for name in names]
    if named:
        raise ParameterError(f"the SQL has no {sorted(named)}, which came by name")
    lone = parameters[0] if len(parameters) == 1 else None
    if isinstance(lone, (*LISTS, dict)) and not _ends_with_in(template.texts[0]):
        raise ParameterError(
            "parameters are given one by one: fetch_all(sql, *values); a list is one after IN alone"
        )
    if len(names) != len(parameters):
        raise ParameterError(
            f"the SQL has {len(names)} placeholders, but {len(parameters)} parameters came"
        )
    return parameters


def _filled(template: Template, values: Sequence[object]) -> str:
    pieces = [template.texts[0]]
    for position, value in enumerate(values):
        try:
            if isinstance(value, LISTS) and _ends_with_in(template.texts[position]):
                pieces.append(_list(value))
            else:
                pieces.append(literal(value))
        except ParameterError as exc:
            name = template.names[position] or position + 1
            raise ParameterError(f"parameter {name}: {exc}") from None
        pieces.append(template.texts[position + 1])
    return "".join(pieces)


def _filled_rows(template: Template, rows: Iterable[object]) -> Iterator[str]:
    for number, row in enumerate(rows, 1):
        try:
            if isinstance(row, Mapping):
                yield _filled(template, _values(template, (), row))
            elif isinstance(row, (list, tuple)):
                yield _filled(template, _values(template, row, {}))
            else:
                raise ParameterError(f"it is a {type(row).__name__}, not a tuple, list or mapping")
        except ParameterError as exc:
            raise ParameterError(f"row {number}: {exc}") from None


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ParameterError("the SQL has a lone surrogate, which is not a character") from None


# What is written comes from the methods of the base type, whatever a subclass has in their place.


def _list(values: Iterable[object]) -> str:
    items = ", ".join(map(literal, values))
    return f"({items})" if items else "(SELECT NULL FROM DUAL WHERE FALSE)"


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
