"""How values become SQL, in text and as a real server reads it."""

from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest

from tornado_ext.mysql import Database, ParameterError
from tornado_ext.mysql.literals import literal, render, render_many

gen_test = pytest.mark.gen_test

EAST = timezone(timedelta(hours=2))


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Shade(StrEnum):
    DARK = "it's dark"


class Loud(str):
    """A str whose looks deceive."""

    __slots__ = ()

    def __str__(self) -> str:
        return "' OR 1=1 -- "

    def __format__(self, spec: str) -> str:
        return "' OR 1=1 -- "

    def encode(self, *_: str) -> bytes:
        return b"' OR 1=1 -- "


class Sly(bytes):
    """Bytes whose looks deceive."""

    def __bytes__(self) -> "Sly":
        return self

    def hex(self, *_: object) -> str:
        return "' OR 1=1 -- "


LITERALS: list[tuple[object, str]] = [
    (None, "NULL"),
    (True, "1"),
    (-7, "-7"),
    (10**64, "1" + "0" * 64),
    (0.1, "0.1e0"),
    (1e100, "1e+100"),
    (-0.0, "-0.0e0"),
    (Decimal("1E+3"), "1000"),
    (Decimal("-0.10"), "-0.10"),
    ("", "''"),
    ('plain "text" `50%`\n', "'plain \"text\" `50%`\n'"),
    ("it's", "'it''s'"),
    ("'", "''''"),
    ("it's\\", " _utf8mb4 X'697427735c'"),
    ("\\", " _utf8mb4 X'5c'"),
    ("\0", " _utf8mb4 X'00'"),
    ("\x1a", " _utf8mb4 X'1a'"),
    ("é", " _utf8mb4 X'c3a9'"),
    (Loud("abc"), "'abc'"),
    (Loud("é"), " _utf8mb4 X'c3a9'"),
    (b"", "X''"),
    (b"a'\\", "X'61275c'"),
    (Sly(b"\xff"), "X'ff'"),
    (bytearray(b"\xff"), "X'ff'"),
    pytest.param(memoryview(b"\xff"), "X'ff'", id="memoryview"),
    (date(1, 2, 3), "'0001-02-03'"),
    (datetime(2024, 1, 2, 3, 4, 5), "'2024-01-02 03:04:05'"),
    (datetime(2024, 1, 2, 3, 4, 5, 6), "'2024-01-02 03:04:05.000006'"),
    (datetime(2024, 1, 2, 3, 4, 5, tzinfo=EAST), "'2024-01-02 01:04:05'"),
    (time(3, 4, 5, 6), "'03:04:05.000006'"),
    (timedelta(), "'00:00:00'"),
    (timedelta(days=1, microseconds=1), "'24:00:00.000001'"),
    (timedelta(microseconds=-1), "'-00:00:00.000001'"),
    (-timedelta(hours=838, minutes=59, seconds=59), "'-838:59:59'"),
    (UUID(int=1), "'00000000-0000-0000-0000-000000000001'"),
    (Colour.RED, "'red'"),
    (Level.HIGH, "3"),
    (Shade.DARK, "'it''s dark'"),
]


@pytest.mark.parametrize(("value", "text"), LITERALS, ids=repr)
def test_a_value_is_written_as(value: object, text: str) -> None:
    assert literal(value) == text


class Nowhere(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(hours=1)


REFUSED: list[tuple[object, str]] = [
    ({"a": 1}, "a dict can't be a parameter; json.dumps"),
    (OrderedDict(a=1), "a OrderedDict can't"),
    ([1], "a list can't be a parameter; json.dumps"),
    ((1,), "a tuple can't"),
    ({1}, "a set can't"),
    (object(), "a object can't"),
    (Enum("Nested", {"A": [1]})["A"], "a list can't"),  # type: ignore[misc]
    (float("nan"), "SQL has no nan"),
    (float("-inf"), "SQL has no -inf"),
    (10**65, "more than 65 digits"),
    (Decimal("NaN"), "no NaN"),
    (Decimal("1E+999999999"), "more than 65 digits"),
    (Decimal("1E-999999999"), "more than 65 digits"),
    ("\ud800", "lone surrogate"),
    (time(1, tzinfo=UTC), "time zone"),
    (timedelta(hours=839), "838:59:59"),
    (datetime(1, 1, 1, tzinfo=Nowhere()), "years 1 to 9999"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=lambda value: type(value).__name__)
def test_what_is_no_value_is_refused_with_its_position(value: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as raised:
        render("SELECT %s, %s", [1, value], {})

    assert str(raised.value).startswith("parameter 2: ")


RENDERED: list[tuple[str, list[object], str]] = [
    ("SELECT 1", [], "SELECT 1"),
    ("SELECT %s + %s", [1, 2], "SELECT 1 + 2"),
    ("%s", ["%s"], "'%s'"),
    ("SELECT %s LIKE '50%%' -- 100%%", ["é"], "SELECT  _utf8mb4 X'c3a9' LIKE '50%' -- 100%"),
    ("SELECT 'it''s', `a` -- it's\n, %s", [1], "SELECT 'it''s', `a` -- it's\n, 1"),
    ("SELECT %s LIKE 'a' ESCAPE '\\\\'", [1], "SELECT 1 LIKE 'a' ESCAPE '\\\\'"),
    ("SELECT 'it\\'s'", [], "SELECT 'it\\'s'"),
    ("/* isn't */ SELECT %s # isn't", [1], "/* isn't */ SELECT 1 # isn't"),
    ("SELECT 5--%s", [1], "SELECT 5--1"),
    ("SELECT %s", ["x" * 5000], f"SELECT '{'x' * 5000}'"),
    ("SELECT " + " " * 5000 + "%s", [1], "SELECT " + " " * 5000 + "1"),
]


@pytest.mark.parametrize(("sql", "parameters", "rendered"), RENDERED)
def test_literals_stand_where_the_placeholders_were(
    sql: str, parameters: list[object], rendered: str
) -> None:
    assert render(sql, parameters, {}) == rendered.encode()


WRONG: list[tuple[Any, list[object], str]] = [
    ("SELECT %s", [], "the SQL has 1 placeholders, but 0 parameters came"),
    ("SELECT %s", [1, 2], "the SQL has 1 placeholders, but 2 parameters came"),
    ("SELECT %s, %s", [(1, 2)], r"one by one: fetch_all\(sql, \*values\)"),
    ("SELECT %s", [(1,)], "one by one"),
    ("SELECT %s", [{"a": 1}], "one by one"),
    ("SELECT '50%'", [], r"%' in the SQL: a parameter is %s or %\(name\)s, a percent sign is %%"),
    ("SELECT %d", [1], "%d in the SQL"),
    ("SELECT %(name)d", [1], r"%\( in the SQL"),
    ("SELECT %(name)s", [1], r"\['name'\], by name, but 1 without a name and \[\] came"),
    ("SELECT '%(name)s'", [], "in quotes"),
    ("SELECT %s, %(name)s", [1], r"both %s and %\(name\)s"),
    ("SELECT 1 IN (%s)", [[1, 2]], "a list is one after IN alone"),
    ("SELECT %s, 1 IN (%s)", [1, [1, 2]], "parameter 2: a list can't be a parameter"),
    ("SELECT 1 IN %s", [[1, [2]]], "parameter 1: a list can't be a parameter"),
    ("SELECT 1 IN %s", [{"a": 1}], "a dict can't"),
    ("SELECT 1 IN %s", [1, [2]], "1 placeholders, but 2 parameters"),
    ("SELECT 1 %", [], "% in the SQL"),
    ("SELECT '%s'", ["a"], "in quotes"),
    ("SELECT a LIKE '%%%s%%'", ["a"], "in quotes"),
    ('SELECT "%s"', ["a"], "in quotes"),
    ("SELECT `%s`", ["a"], "in quotes"),
    ("SELECT 'it''s %s'", ["a"], "in quotes"),
    ("SELECT 'it\\'s', %s", ["a"], "a quote after a backslash"),
    ("SELECT 'a\\' AND x = '%s'", ["a"], "a quote after a backslash"),
    ("SELECT 'a\\\\' AND x = '%s'", ["a"], "in quotes"),
    ('SELECT "\\"", %s', ["a"], "a quote after a backslash"),
    ("SELECT 'a, %s", ["a"], "in quotes"),
    ("SELECT 1 /* %s", ["a"], "in a comment"),
    ("SELECT 1 --\1 %s", ["a"], "in a comment"),
    ("SELECT /*! '*/%s'*/", ["a"], "a comment that the server executes"),
    ("SELECT /*!50708 1, */ %s", ["a"], "a comment that the server executes"),
    ("SELECT /*M!100101 1, */ %s", ["a"], "a comment that the server executes"),
    (b"SELECT 1", [], "the SQL is a bytes, not a str"),
    (None, [], "the SQL is a NoneType, not a str"),
    ("SELECT 1 /* %s */", ["a"], "in a comment"),
    ("SELECT 1 -- %s", ["a"], "in a comment"),
    ("SELECT '\ud800'", [], "lone surrogate"),
]


@pytest.mark.parametrize(("sql", "parameters", "message"), WRONG)
def test_sql_that_does_not_go_with_its_parameters_is_refused(
    sql: Any, parameters: list[object], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        render(sql, parameters, {})


@pytest.mark.parametrize(
    ("sql", "named", "message"),
    [
        ("SELECT %s", {"a": 1}, r"no \['a'\], which came by name"),
        ("SELECT %(a)s", {"a": 1, "b": 2}, r"\['a'\], by name, but 0 .* and \['a', 'b'\] came"),
        ("SELECT %(a)s", {"a": [1]}, "parameter a: a list can't"),
    ],
)
def test_names_that_do_not_match_are_refused(
    sql: str, named: dict[str, object], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        render(sql, (), named)


def test_a_name_may_be_used_twice() -> None:
    assert render("SELECT %(a)s + %(a)s", (), {"a": 2}) == b"SELECT 2 + 2"


def test_a_list_stands_after_in() -> None:
    sql = "SELECT * FROM t WHERE a in %s AND b NOT IN\n%s AND c IN %s"

    assert render(sql, [[1, "a"], (2,), []], {}) == (
        b"SELECT * FROM t WHERE a in (1, 'a') AND b NOT IN\n(2)"
        b" AND c IN (SELECT NULL FROM DUAL WHERE FALSE)"
    )


MANY: list[tuple[str, list[object], list[str]]] = [
    (
        "INSERT INTO t (a, b, c, d) VALUES (%s, %s, -1.5, Default)",
        [(1, 2), [3, 4]],
        ["INSERT INTO t (a, b, c, d) VALUES (1, 2, -1.5, Default),(3, 4, -1.5, Default)"],
    ),
    (
        "insert into t values (%(a)s) on duplicate key update n = values(n)",
        [{"a": 1}, {"a": 2}],
        ["insert into t values (1),(2) on duplicate key update n = values(n)"],
    ),
    ("REPLACE t VALUE (%s)", [(1,), (2,)], ["REPLACE t VALUE (1),(2)"]),
    ("INSERT INTO t VALUES (%s)", [], []),
    # Anything else is sent for each row by itself.
    ("UPDATE t SET a = %s", [(1,), (2,)], ["UPDATE t SET a = 1", "UPDATE t SET a = 2"]),
    ("INSERT INTO t VALUES (1)", [(), ()], ["INSERT INTO t VALUES (1)"] * 2),
    ("INSERT INTO t VALUES (%s), (0)", [(1,)] * 2, ["INSERT INTO t VALUES (1), (0)"] * 2),
    # A function or a subquery may see the rows before it.
    ("INSERT t VALUES (%s, f())", [(1,)] * 2, ["INSERT t VALUES (1, f())"] * 2),
    ("INSERT t VALUES (%s, (SELECT 1))", [(1,)] * 2, ["INSERT t VALUES (1, (SELECT 1))"] * 2),
    ("INSERT t VALUES (%s, ')')", [(1,)] * 2, ["INSERT t VALUES (1, ')')"] * 2),
    (
        "INSERT t VALUES (%s) ON DUPLICATE KEY UPDATE n = %s",
        [(1, 2)] * 2,
        ["INSERT t VALUES (1) ON DUPLICATE KEY UPDATE n = 2"] * 2,
    ),
    (
        "INSERT t SELECT a FROM u WHERE a IN (VALUES (%s))",
        [(1,)] * 2,
        ["INSERT t SELECT a FROM u WHERE a IN (VALUES (1))"] * 2,
    ),
]


@pytest.mark.parametrize(("sql", "rows", "rendered"), MANY)
def test_an_insert_is_rendered_for_many_rows_at_once(
    sql: str, rows: list[object], rendered: list[str]
) -> None:
    assert [statement.decode() for statement in render_many(sql, rows)] == rendered


def test_many_rows_are_cut_into_statements_that_a_server_takes() -> None:
    statements = list(render_many("INSERT INTO t VALUES (%s)", [("x" * 300_000,)] * 7))

    assert [statement.count(b"),(") + 1 for statement in statements] == [3, 3, 1]
    assert all(len(statement) < 2**20 + 100 for statement in statements)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ab", "row 2: it is a str, not a tuple"),
        ((1,), "row 2: the SQL has 2 placeholders, but 1"),
        ((1, [2]), "row 2: parameter 2: a list can't"),
    ],
)
def test_a_wrong_row_is_named(row: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        list(render_many("INSERT INTO t VALUES (%s, %s)", [(1, 2), row]))


def test_a_message_has_no_value_in_it() -> None:
    with pytest.raises(ParameterError) as raised:
        render("SELECT %s", [{"password": "secret"}, "secret"], {})

    assert "secret" not in str(raised.value)


# On the server -----------------------------------------------------------------------------------


@gen_test
async def test_a_literal_in_hexadecimal_is_as_good_as_a_quoted_one(db: Database) -> None:
    await db.execute(
        "CREATE TABLE t (uni VARCHAR(50) COLLATE utf8mb4_unicode_ci,"
        " lat VARCHAR(50) CHARACTER SET latin1, bin VARCHAR(50) COLLATE utf8mb4_bin,"
        " moment DATETIME, choice ENUM('é', 'b'), doc JSON, KEY (uni), KEY (lat), KEY (bin))"
    )
    for number in range(50):
        name = f"é {number}"
        await db.execute(
            "INSERT INTO t VALUES (%s, %s, %s, '2024-01-01', 'é', %s)",
            *[name, name, name, '{"k": "it\'s"}'],
        )

    for column in ("uni", "lat", "bin"):
        assert await db.fetch_value(f"SELECT COUNT(*) FROM t WHERE {column} = %s", "é 7") == 1
        plan = await db.fetch_one(
            f"EXPLAIN FORMAT=TRADITIONAL SELECT * FROM t WHERE {column} = %s", "é 7"
        )
        assert plan is not None
        assert (plan.type, plan.key) == ("ref", column)
    assert await db.fetch_value("SELECT CHARSET(%s)", "é") == "utf8mb4"
    checks = [
        ("SELECT COUNT(*) FROM t WHERE uni LIKE %s", "é 4_"),
        ("SELECT COUNT(*) FROM t WHERE choice = %s AND uni LIKE 'é 4_'", "é"),
        ("SELECT COUNT(*) FROM t WHERE JSON_VALUE(doc, '$.k') = %s AND uni LIKE 'é 4_'", "it's"),
        ("SELECT COUNT(*) FROM t WHERE CONCAT('x', %s, uni) LIKE 'x_é 4_'", "é"),
    ]
    for sql, parameter in checks:
        assert await db.fetch_value(sql, parameter) == 10, sql
    assert len(await db.fetch_all("SELECT * FROM t LIMIT %s OFFSET %s", 5, 1)) == 5


@gen_test
async def test_the_server_finds_what_is_in_a_list(db: Database) -> None:
    asked: list[object] = ["é", "it's", 7]

    assert await db.fetch_value("SELECT %s IN %s", "é", asked) == 1
    assert await db.fetch_value("SELECT %s IN %s", "e", {"a", "\\"}) == 0
    assert await db.fetch_value("SELECT %(a)s IN %(b)s", a="a", b=()) == 0
    assert await db.fetch_value("SELECT %s NOT IN %s", "é", []) == 1
    assert await db.fetch_value("SELECT %s NOT IN %s", 5, []) == 1


@gen_test
async def test_like_escapes_are_the_callers(db: Database) -> None:
    assert await db.fetch_value("SELECT %s LIKE %s", "50%", "50\\%") == 1
    assert await db.fetch_value("SELECT %s LIKE %s", "500", "50\\%") == 0
