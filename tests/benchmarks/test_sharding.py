"""The parts of the topic sharding that are no time: what its page and its plot show."""

from pathlib import Path

import pytest

from benchmarks import _balance_plot, _movement

PAGE = Path(__file__).parents[2] / "docs" / "sharding-speed.md"


def test_the_page_has_the_table_of_balance_and_movement_as_it_is_counted() -> None:
    assert "\n".join(_movement.table()) in PAGE.read_text()


def test_fullest_is_told_over_what_its_weight_says() -> None:
    where = [("a",), ("a",), ("a",), ("b",)]
    assert _movement.fullest(where, {"a": 1, "b": 1}) == 1.5
    assert _movement.fullest(where, {"a": 3, "b": 1}) == 1.0


def test_copies_move_that_are_made_on_another_node() -> None:
    before, after = [("a", "b"), ("a", "b")], [("b", "a"), ("c", "a")]
    assert _movement.moving(before, after) == 0.25


def test_list_that_repeats_gives_twice_to_weight_2() -> None:
    owners = _movement.placed(_movement.sampled(2000), _movement.by_list({"a": 2, "b": 1}))
    assert owners.count(("a",)) == pytest.approx(2 * owners.count(("b",)), rel=0.1)


def test_the_plot_has_a_line_for_each_way(tmp_path: Path) -> None:
    _balance_plot.draw(tmp_path / "plot.svg", keys=50)
    drawn = (tmp_path / "plot.svg").read_text()
    for name in [*_movement.WAYS, "its share"]:
        assert name in drawn
