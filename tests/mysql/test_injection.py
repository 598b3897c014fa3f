"""Hostile texts in every place, under every setting that changes how SQL is read."""

from collections.abc import Callable
from itertools import product

import pytest

from tests.mysql.server import MYSQLD
from tornado_ext.mysql import Database
from tornado_ext.mysql.queries import Queries

gen_test = pytest.mark.gen_test(timeout=60)

MakeDatabase = Callable[..., Database]

PAYLOADS = [
    "' OR 1=1 -- ",
    "\\' OR 1=1 -- ",
    "'; DROP TABLE v; -- ",
    "\\'; DROP TABLE v; -- ",
    '"; DROP TABLE v; -- ',
    "`; DROP TABLE v; -- ",
    "\\",
    "\\\\",
    "ends with \\",
    "''",
    "%s %% %(a)s",
    "/* */ # --",
    "\0 \b \t \n \r \x1a \x7f",
    "\u00bf'; DROP TABLE v; -- ",  # in gbk and sjis the bytes before a quote can swallow an escape
    "\ubf27 \ubf5c' OR 1=1 -- ",
    "naïve 😀 中文 かな",
]
QUOTING = ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"]
MODES = [
    "REAL_AS_FLOAT",
    "PIPES_AS_CONCAT",
    "ANSI_QUOTES",
    "IGNORE_SPACE",
    "IGNORE_BAD_TABLE_OPTIONS",
    "ONLY_FULL_GROUP_BY",
    "NO_UNSIGNED_SUBTRACTION",
    "NO_DIR_IN_CREATE",
    "POSTGRESQL",
    "ORACLE",
    "MSSQL",
    "DB2",
    "MAXDB",
    "NO_KEY_OPTIONS",
    "NO_TABLE_OPTIONS",
    "NO_FIELD_OPTIONS",
    "MYSQL323",
    "MYSQL40",
    "ANSI",
    "NO_AUTO_VALUE_ON_ZERO",
    "NO_BACKSLASH_ESCAPES",
    "STRICT_TRANS_TABLES",
    "STRICT_ALL_TABLES",
    "NO_ZERO_IN_DATE",
    "NO_ZERO_DATE",
    "ALLOW_INVALID_DATES",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "TRADITIONAL",
    "NO_AUTO_CREATE_USER",
    "HIGH_NOT_PRECEDENCE",
    "NO_ENGINE_SUBSTITUTION",
    "PAD_CHAR_TO_FULL_LENGTH",
    "EMPTY_STRING_IS_NULL",
    "SIMULTANEOUS_ASSIGNMENT",
    "TIME_ROUND_FRACTIONAL",
]
MARIADB_MODES = {
    *("IGNORE_BAD_TABLE_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS", "NO_FIELD_OPTIONS"),
    *("POSTGRESQL", "ORACLE", "MSSQL", "DB2", "MAXDB", "MYSQL323", "MYSQL40"),
    *("NO_AUTO_CREATE_USER", "EMPTY_STRING_IS_NULL", "SIMULTANEOUS_ASSIGNMENT"),
    "TIME_ROUND_FRACTIONAL",
}
WIDE = ["ucs2", "utf16", "utf16le", "utf32"]  # no client may have these
OTHER_LETTERS = "swe7"  # has letters in the place of some ASCII, in the SQL as in its literals
TABLE = "CREATE TABLE v (id INT AUTO_INCREMENT PRIMARY KEY, t TEXT, b BLOB)"


async def check_payloads(connection: Queries, setting: object) -> None:
    """Store every payload, as text and as bytes, and see that it comes back."""
    marks = ", ".join(["(%s, %s)"] * len(PAYLOADS))
    values = [value for payload in PAYLOADS for value in (payload, payload.encode())]
    await connection.execute(f"INSERT INTO v (t, b) VALUES {marks}", *values)
    assert await connection.fetch_value("SELECT COUNT(*) FROM v WHERE t = %s", "'") == 0, setting
    await connection.execute("SET NAMES utf8mb4")  # to read it
    stored = await connection.fetch_all("SELECT t, b FROM v ORDER BY id")
    assert [row.t for row in stored] == PAYLOADS, setting
    assert [row.b for row in stored] == [payload.encode() for payload in PAYLOADS], setting
    await connection.execute("DELETE FROM v")


@gen_test
async def test_no_payload_is_taken_for_sql_in_any_charset(db: Database) -> None:
    await db.execute(TABLE)
    rows = await db.fetch_all("SHOW CHARACTER SET")
    charsets = {row.Charset for row in rows} - {*WIDE, OTHER_LETTERS}
    assert {"gbk", "sjis", "big5", "latin1", "binary"} <= charsets

    async with db.acquire() as connection:
        for mode, charset in product(QUOTING, charsets):
            await connection.execute("SET sql_mode = %s", mode)
            await connection.execute(f"SET NAMES {charset}")
            await check_payloads(connection, (mode, charset))


@gen_test
async def test_no_payload_is_taken_for_sql_in_any_mode(db: Database) -> None:
    await db.execute(TABLE)
    modes = MODES if MYSQLD is None else sorted({*MODES} - MARIADB_MODES)

    async with db.acquire() as connection:
        for mode, charset in product(modes, ["utf8mb4", "gbk"]):
            await connection.execute("SET sql_mode = %s", mode)
            await connection.execute(f"SET NAMES {charset}")
            await check_payloads(connection, (mode, charset))


@gen_test
async def test_no_payload_ends_its_literal_in_a_charset_with_other_letters(db: Database) -> None:
    await db.execute(TABLE)

    async with db.acquire() as connection:
        await connection.execute(f"SET NAMES {OTHER_LETTERS}")
        for payload in PAYLOADS:
            await connection.execute("INSERT INTO v (t) VALUES (%s)", payload)
            assert await connection.fetch_value("SELECT COUNT(*) FROM v WHERE t = %s", "'") == 0

    assert await db.fetch_value("SELECT COUNT(*) FROM v") == len(PAYLOADS)


@pytest.mark.parametrize("charset", ["gbk", "latin1"])
@gen_test
async def test_no_payload_is_taken_for_sql_whatever_the_server_sets(
    db: Database, url: str, make_db: MakeDatabase, charset: str
) -> None:
    await db.execute(TABLE)
    variables = ["sql_mode", "character_set_server", "character_set_client", "init_connect"]
    before = {name: await db.fetch_value(f"SELECT @@GLOBAL.{name}") for name in variables}
    init = f"SET NAMES {charset}, sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'"
    for name, value in zip(variables, [*QUOTING[3:], charset, charset, init], strict=True):
        await db.execute(f"SET GLOBAL {name} = %s", value)
    try:
        async with make_db(url).acquire() as connection:
            assert "ANSI_QUOTES" in await connection.fetch_value("SELECT @@sql_mode")
            await check_payloads(connection, charset)
    finally:
        for name, value in before.items():
            await db.execute(f"SET GLOBAL {name} = %s", value)


@pytest.mark.parametrize("mode", QUOTING)
@gen_test
async def test_no_payload_is_taken_for_sql_in_any_place_of_a_statement(
    db: Database, mode: str
) -> None:
    sql = (
        "INSERT INTO v (t, b) SELECT %(p)s, %(p)s FROM DUAL"
        " WHERE %(p)s = %(p)s AND %(p)s IN %(all)s AND CONCAT(%(p)s, 'x') LIKE %(p)s || %(p)s"
        " OR NOT %(p)s <> %(p)s GROUP BY %(p)s HAVING MAX(%(p)s) = %(p)s ORDER BY %(p)s"
    )
    await db.execute(TABLE)
    async with db.acquire() as connection:
        await connection.execute("SET sql_mode = %s", mode)
        for payload in PAYLOADS:
            for value in (payload, payload.encode()):
                result = await connection.execute(sql, p=value, all=[value, "'"])
                assert result.rowcount == 1, value

    stored = await db.fetch_all("SELECT b FROM v ORDER BY id")
    assert [row.b for row in stored] == [
        payload.encode() for payload in PAYLOADS for _ in ("str", "bytes")
    ]
