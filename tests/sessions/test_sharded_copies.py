"""How copies of a session merge."""

from itertools import permutations

import pytest

from tornado_ext.sessions._sharding.copies import Copy, merge

FIRST, SECOND, THIRD = (f"{time:014x}writer" for time in (10, 20, 30))
LIVE = {"made": "1.5 9e9", "seen": "2.5"}
ENDED, REPLACED = {"gone": "ended"}, {"gone": "replaced 9e9 x", ":a": f"{FIRST}1"}


def merged(*copies: Copy) -> Copy:
    """Return what copies have together, in whatever order they meet."""
    (result, *others) = [merge(order) for order in permutations(copies)]
    assert all(other == result for other in others)
    assert merge([result, *copies]) == result
    return result


def test_nothing_merges_to_nothing() -> None:
    assert merged({}, {}) == {}


@pytest.mark.parametrize("tombstone", [ENDED, REPLACED])
def test_tombstone_takes_the_place_of_any_copy(tombstone: Copy) -> None:
    assert merged(LIVE | {":a": f"{THIRD}3"}, tombstone, {}) == tombstone


def test_what_has_ended_is_not_replaced() -> None:
    assert merged(REPLACED, ENDED, LIVE) == ENDED


def test_later_text_of_each_field_wins() -> None:
    one = LIVE | {":a": f"{FIRST}1", ":b": f"{SECOND}2"}
    other = LIVE | {":a": f"{SECOND}2", ":b": FIRST, ":c": THIRD}
    assert merged(one, other) == LIVE | {":a": f"{SECOND}2", ":b": f"{SECOND}2", ":c": THIRD}


def test_field_that_the_other_has_purged_was_deleted() -> None:
    one = LIVE | {":a": f"{FIRST}1", ":b": f"{THIRD}3"}
    assert merged(one, LIVE | {"purged": SECOND}) == LIVE | {":b": f"{THIRD}3", "purged": SECOND}


def test_field_that_the_other_still_has_was_not_deleted() -> None:
    one = LIVE | {":a": f"{FIRST}1"}
    assert merged(one, one | {"purged": SECOND}) == one | {"purged": SECOND}


def test_last_time_that_it_was_seen_wins() -> None:
    assert merged(LIVE | {"seen": "9.5"}, LIVE | {"seen": "10.5"})["seen"] == "10.5"
