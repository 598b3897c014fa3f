from xml.etree import ElementTree

import pytest

from benchmarks._figures import Figure
from benchmarks._plot import LABEL, MET, MISSED, SCALE, plot

WON = Figure("a <session> that is read", 0.4, "of by hand", 0.5, (0.3, 0.45))
LOST = Figure("a session that changes", 0.6, "of by hand", 0.45)
YARDSTICK = Figure("by hand", 200, "us")


def test_a_target_has_a_bar_and_a_missed_one_is_red() -> None:
    svg = ElementTree.fromstring(plot([YARDSTICK, WON, LOST]))
    bars = [each for each in svg.iter() if each.get("fill") in (MET, MISSED)]
    widths = [float(each.get("width", 0)) for each in bars]
    assert [each.get("fill") for each in bars] == [MET, MISSED]
    assert widths == pytest.approx([SCALE * 0.8, SCALE * 4 / 3], abs=1)


def test_a_thin_line_shows_how_far_the_runs_differed() -> None:
    first, last = LABEL + SCALE * 0.6, LABEL + SCALE * 0.9
    assert f"M{first:.0f} 30H{last:.0f}" in plot([WON])


def test_a_bar_that_is_far_too_long_ends_in_the_picture() -> None:
    assert plot([Figure("slow", 100, "us", 1)]).count(f'width="{SCALE * 2}"') == 1


def test_without_targets_there_is_no_plot() -> None:
    assert plot([YARDSTICK]) == ""


def test_nothing_can_be_a_share_of_none() -> None:
    assert plot([Figure("lost", 0, "messages", 0)]) == ""
