"""What every driver must do: the same values, errors and guarantees whichever library speaks."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tornado_ext.mysql import (
    Database,
)

gen_test = pytest.mark.gen_test

MakeDatabase = Callable[..., Database]

LIBRARY = {"mysql": "asyncmy.connection", "mysql+tornado": "tornado_mysql.connections"}


@gen_test
async def test_the_library_of_the_scheme_speaks(db: Database, scheme: str) -> None:
    async with db.acquire() as connection:
        modules = {kind.__module__ for kind in type(connection.driver_connection).__mro__}

    assert modules & set(LIBRARY.values()) == {LIBRARY[scheme]}


# Values ------------------------------------------------------------------------------------------

COLUMNS: list[tuple[str, object, object]] = [
    ("TINYINT", -128, -128),
    ("BOOL", True, 1),
    ("BIGINT UNSIGNED", 2**64 - 1, 2**64 - 1),
    ("DOUBLE", 0.1 + 0.2, 0.30000000000000004),
    ("DOUBLE", 1.7976931348623157e308, 1.7976931348623157e308),
    ("DOUBLE", 5e-324, 5e-324),
    ("DECIMAL(65, 30)", Decimal("-1.000000000000000000000000000001"), ...),
    ("YEAR", 2024, 2024),
    ("BIT(10)", 5, b"\x00\x05"),
    ("VARCHAR(50)", "naïve 😀 'quoted' \\ \0", ...),
    ("TEXT", "", ""),
    ("VARCHAR(50) CHARACTER SET latin1", "é", "é"),
    ("VARBINARY(50)", b"\x00\xff'\\", ...),
    ("BLOB", bytearray(range(256)), bytes(range(256))),
    ("GEOMETRY", b"\0\0\0\0\1\1" + bytes(19), ...),
    ("JSON", '{"a": "\\\\é"}', ...),
    ("ENUM('it''s', 'b')", "it's", "it's"),
    ("SET('a', 'b')", "a,b", "a,b"),
    ("DATE", date(1, 1, 1), ...),
    ("DATETIME", datetime(2024, 2, 29, 23, 59, 59), ...),
    ("DATETIME(6)", datetime(9999, 12, 31, 23, 59, 59, 999999), ...),
    ("DATETIME(3)", datetime(2024, 1, 1, 0, 0, 0, 7000), ...),
    ("DATETIME", datetime(2024, 1, 1, 12, tzinfo=UTC), datetime(2024, 1, 1, 12)),
    ("TIME(6)", -timedelta(hours=838, minutes=59, seconds=58, microseconds=1), ...),
    ("TIME", timedelta(hours=100), ...),
    ("TIME(6)", timedelta(microseconds=1), ...),
    ("INT", None, None),
    ("VARCHAR(10)", None, None),
]


@gen_test
async def test_a_value_comes_back_as_it_was_stored(db: Database) -> None:
    names = [f"c{number}" for number in range(len(COLUMNS))]
    definition = ", ".join(
        f"{name} {kind}" for name, (kind, *_) in zip(names, COLUMNS, strict=True)
    )
    await db.execute(f"CREATE TABLE t ({definition})")
    marks = ", ".join(["%s"] * len(COLUMNS))
    await db.execute(f"INSERT INTO t VALUES ({marks})", *(sent for _, sent, _ in COLUMNS))

    row = await db.fetch_one("SELECT * FROM t")

    assert row is not None
    for name, (kind, sent, expected) in zip(names, COLUMNS, strict=True):
        expected = sent if expected is ... else expected
        assert (kind, row[name], type(row[name])) == (kind, expected, type(expected))
