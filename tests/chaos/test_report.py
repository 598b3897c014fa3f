import math

import pytest

from tests.chaos.ledger import Counts
from tests.chaos.report import LEAST_RATE, TIMEOUT, TIMES, Row, complaints, p99, table

BEFORE = 0.02  # seconds
BOUND = TIMES * BEFORE + TIMEOUT


def row(**kwargs: object) -> Row:
    given = {"rate": LEAST_RATE, "p99": [BEFORE, BOUND, BOUND], "counts": Counts(), **kwargs}
    return Row("kill -9", "a", **given)  # type: ignore[arg-type]


def test_a_trial_within_its_bounds_has_no_complaint() -> None:
    assert complaints([row(), row()]) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"counts": Counts(lost=1)}, "lost 1"),
        ({"counts": Counts(idle_lost=1)}, "idle_lost 1"),
        ({"counts": Counts(writes_lost=1)}, "writes_lost 1"),
        ({"counts": Counts(logouts_undone=1)}, "logouts_undone 1"),
        ({"counts": Counts(failed=1)}, "failed 1"),
        ({"rate": LEAST_RATE - 1}, "199 requests/s are less than 200"),
        ({"rate": math.nan}, "nan requests/s are less than 200"),
        ({"p99": [BEFORE, BOUND + 0.001, BOUND]}, "p99 of 601 ms is above 600 ms"),
        ({"p99": [BEFORE, BOUND, BOUND + 0.001]}, "p99 of 601 ms is above 600 ms"),
        ({"failure": "not settled"}, "not settled"),
    ],
)
def test_each_bound_that_is_broken_is_named(given: dict[str, object], said: str) -> None:
    assert complaints([row(), row(**given)]) == [f"kill -9, shard a: {said}"]


def test_p99_is_of_the_requests_that_were_sent_in_that_time() -> None:
    times = [(at / 100, at / 1000) for at in range(200)]
    assert p99(times, 0.5, 1.5) == pytest.approx(0.149)
    assert math.isnan(p99(times, 5, 6))


def test_every_line_of_the_table_is_as_wide() -> None:
    lines = table([row(), Row("return with old data", "b", Counts(failed=12345))]).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
