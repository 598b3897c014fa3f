"""docs/benchmarks.md, as a run of all topics writes it."""

from xml.etree import ElementTree

import pytest

from benchmarks._figures import Figure
from benchmarks._page import page, plot

WON = Figure("a <session> that is read", 0.4, "of by hand", 0.5, "0.39 to 0.41")
LOST = Figure("a session that changes", 0.6, "of by hand", 0.45)
YARDSTICK = Figure("by hand", 200, "us")


def test_the_page_has_every_figure_and_those_that_lost_in_bold() -> None:
    text = page({"sessions": [YARDSTICK, WON, LOST]}, 90)
    assert "| by hand | 200 us |  |  |  |" in text
    assert "| 0.40 of by hand | <= 0.5 | met | 0.39 to 0.41 |" in text
    assert "| a session that changes | 0.60 of by hand | <= 0.45 | **MISSED** |  |" in text


def test_the_page_says_what_was_measured_and_next_to_what() -> None:
    text = page({"sessions": [WON]}, 90)
    for name in (
        "CPython",
        "tornado 6",
        "asyncmy",
        "Django",
        "starsessions",
        "2 minutes",
        "wanted to run",
    ):
        assert name in text
    assert "What a session in Redis adds to a request" in text


def test_a_plot_has_a_bar_for_each_promise_and_red_ones_for_the_broken() -> None:
    svg = ElementTree.fromstring(plot([YARDSTICK, WON, LOST]))
    bars = [each for each in svg.iter() if each.get("fill") not in (None, "#fff")]
    widths = [float(each.get("width", 0)) for each in bars]
    assert [each.get("fill") for each in bars] == ["#2e7d32", "#c62828"]
    assert widths == pytest.approx([180 * 0.8, 180 * 4 / 3], abs=1)


def test_without_promises_there_is_no_plot() -> None:
    assert plot([YARDSTICK]) == ""
