"""When a session ends by itself, and when its expiry is renewed."""

import pytest

from tornado_ext.sessions import Record
from tornado_ext.sessions.lifetimes import Lifetimes

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("idle", "interval"),
    [(14 * 86400, 1.4 * 86400), (6000, 600), (600, 60), (300, 60), (120, 60), (60, 30), (1, 0.5)],
)
def test_renewal_is_due_once_in_a_tenth_of_the_idle_timeout_or_in_a_minute(
    idle: float, interval: float
) -> None:
    lifetimes = Lifetimes(idle, 90 * 86400)
    assert not lifetimes.renewal_due(NOW, NOW)
    assert not lifetimes.renewal_due(NOW - interval * 0.99, NOW)
    assert lifetimes.renewal_due(NOW - interval, NOW)


def test_renewal_is_due_when_the_clock_was_put_back() -> None:
    assert Lifetimes(6000, 90 * 86400).renewal_due(NOW + 0.1, NOW)


@pytest.mark.parametrize(
    ("created", "seen", "ends", "ended"),
    [
        (0, 0, 1000, False),
        (-999, -99, 1, False),
        (-999, -100, 1, True),  # idle
        (-999, 0, 0, True),  # as it was made
        (-1000, 0, 500, True),  # as the settings have it by now
        (500, 500, 1500, False),  # the clock was put back
    ],
)
def test_session_has_ended_when_the_first_of_its_times_is_over(
    created: float, seen: float, ends: float, ended: bool
) -> None:
    record = Record({}, NOW + created, NOW + seen, ends_at=NOW + ends)
    assert Lifetimes(100, 1000).has_ended(record, NOW) is ended


def test_time_to_live_is_the_shorter_of_both() -> None:
    assert Lifetimes(100, 1000).ttl(NOW + 500, NOW) == 100
    assert Lifetimes(100, 1000).ttl(NOW + 50, NOW) == 50
