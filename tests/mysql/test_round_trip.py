"""Any value of any type, sent and read back."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tornado.ioloop import IOLoop

from tornado_ext.mysql import Database

EXAMPLES = 20  # of lists of values, for each type and driver

TEXT = st.text(st.characters(codec="utf-8"))
INTEGERS = st.integers(-(2**63), 2**63 - 1)
SECOND = timedelta(seconds=1)
LONGEST = 839 * 3600 * SECOND - SECOND
SOON_AND_LATE = {"min_value": datetime(2, 1, 1), "max_value": datetime(9998, 1, 1)}


def same(value: Any) -> Any:
    return value


def plain_json(value: object) -> str:
    """Write JSON as MySQL does, which keeps the value and not the text."""
    return json.dumps(value, ensure_ascii=False)


KINDS: list[tuple[str, st.SearchStrategy[Any], Callable[[Any], object]]] = [
    ("TEXT CHARACTER SET utf8mb4", TEXT, same),
    ("BLOB", st.binary(), same),
    ("BLOB", st.binary().map(bytearray), bytes),
    ("BIGINT", INTEGERS, same),
    ("BIGINT UNSIGNED", st.integers(0, 2**64 - 1), same),
    ("BOOL", st.booleans(), int),
    ("DOUBLE", st.floats(allow_nan=False, allow_infinity=False), same),
    ("DECIMAL(65, 30)", st.decimals(Decimal(-(10**34)), Decimal(10**34), places=30), same),
    ("DATE", st.dates(), same),
    ("DATETIME(6)", st.datetimes(), same),
    (
        "DATETIME(6)",
        st.datetimes(**SOON_AND_LATE, timezones=st.timezones()),
        lambda value: value.astimezone(UTC).replace(tzinfo=None),
    ),
    ("TIME(6)", st.timedeltas(-LONGEST, LONGEST), same),
    ("TIME(6)", st.times(), lambda value: datetime.combine(datetime.min, value) - datetime.min),
    ("YEAR", st.integers(1901, 2155), same),
    ("BIT(64)", st.integers(0, 2**64 - 1), lambda value: value.to_bytes(8, "big")),
    ("CHAR(36)", st.uuids(), str),
    ("JSON", st.recursive(TEXT | INTEGERS, st.lists).map(plain_json), same),
    ("SET('a', 'b', 'c')", st.sets(st.sampled_from("abc")).map(sorted).map(",".join), same),
    ("ENUM('é', 'it''s')", st.sampled_from(["é", "it's", None]), same),
]


@pytest.mark.parametrize(("kind", "values", "stored"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_what_is_stored_is_read(
    db: Database,
    io_loop: IOLoop,
    kind: str,
    values: st.SearchStrategy[Any],
    stored: Callable[[Any], object],
) -> None:
    io_loop.run_sync(
        lambda: db.execute(f"CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v {kind})")
    )

    async def store(sent: list[Any]) -> list[Any]:
        await db.execute("DELETE FROM t")
        await db.executemany("INSERT INTO t (v) VALUES (%s)", [(value,) for value in sent])
        return [row.v for row in await db.fetch_all("SELECT v FROM t ORDER BY id")]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.none() | values, min_size=1))
    def check(sent: list[Any]) -> None:
        expected = [None if value is None else stored(value) for value in sent]
        assert io_loop.run_sync(lambda: store(sent)) == expected

    check()
