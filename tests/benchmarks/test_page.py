"""docs/benchmarks.md: how a run writes it, and that the one that is there is whole."""

import re
from pathlib import Path

import pytest

from benchmarks import topics
from benchmarks._figures import MISSED, Figure
from benchmarks._page import PAGE, page, read, rows, section, write

WON = Figure("a session that is read", 0.4, "of by hand", 0.5, (0.39, 0.41))
LOST = Figure("a session that changes", 0.6, "of by hand", 0.45)
YARDSTICK = Figure("by hand", 200, "us")
CONDITIONS = "Measured 2026-01-02 03:04 UTC in 56 s; other programs took 1% of the CPUs."
ROW = ("a session that changes", "0.60 of by hand", "0.45", MISSED, "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "benchmarks.md"
    write("sessions", [YARDSTICK, WON, LOST], CONDITIONS, path)
    return path


def test_a_topic_has_what_it_says_of_itself_its_plot_its_figures_and_when(file: Path) -> None:
    text = file.read_text().partition("\n## sessions")[2]
    assert "What a session in Redis adds to a request" in text
    assert "![sessions](benchmarks/sessions.svg)" in text
    assert (file.parent / "benchmarks" / "sessions.svg").exists()
    assert rows(text) == [YARDSTICK.cells, WON.cells, ROW]
    assert f"*{CONDITIONS}*" in text


def test_another_topic_leaves_it_as_it_was(file: Path) -> None:
    before = read(file.read_text())["sessions"]
    write("forms", [WON], CONDITIONS, file)
    assert read(file.read_text())["sessions"] == before
    assert list(read(file.read_text())) == ["forms", "sessions"]


def test_the_same_topic_takes_its_place(file: Path) -> None:
    write("sessions", [WON], CONDITIONS, file)
    assert rows(read(file.read_text())["sessions"]) == [WON.cells]


def test_a_topic_that_is_gone_leaves_the_page(file: Path) -> None:
    file.write_text(file.read_text().replace("## sessions", "## tea"))
    assert read(file.read_text()) == {}


def test_the_summary_counts_what_was_met_and_shows_what_was_missed(file: Path) -> None:
    write("forms", [WON, YARDSTICK], CONDITIONS.replace("took 1%", "took 30%"), file)
    overview, told = head(file).split("Missed:")
    assert "2 of 3 targets are met. It took 2 minutes, on 2026-01-02, when" in overview
    assert "when other programs took up to 30% of the CPUs." in overview
    assert [row[2:] for row in rows(overview)] == [("1 of 1", "56"), ("1 of 2", "56")]
    assert rows(told) == [("[sessions](#sessions)", *ROW[:3], "")]


def test_where_all_was_met_the_summary_shows_nothing_else(file: Path) -> None:
    write("sessions", [WON], CONDITIONS, file)
    assert "1 of 1 targets are met." in head(file)
    assert "Missed" not in head(file)


def head(file: Path) -> str:
    """Return what stands above how to read it."""
    return file.read_text().partition("\n## How")[0]


def test_the_page_that_is_there_has_every_topic() -> None:
    assert list(read(PAGE.read_text())) == topics()


def test_the_page_that_is_there_says_what_the_code_says_today() -> None:
    """If not, ``python -m benchmarks._page`` writes it, with the figures that it has."""
    text = PAGE.read_text()
    assert page(read(text)) == text


@pytest.mark.parametrize("topic", topics())
def test_every_plot_that_the_page_shows_is_there(topic: str) -> None:
    for shown in re.findall(r"!\[.*\]\((.*)\)", section(topic, read(PAGE.read_text())[topic])):
        assert (PAGE.parent / shown).exists()


@pytest.mark.parametrize("topic", topics())
def test_every_row_with_a_target_says_whether_it_is_met(topic: str) -> None:
    for what, figure, most, verdict, _ in rows(read(PAGE.read_text())[topic]):
        value = float(figure.split()[0].replace(",", ""))
        rounding = 0.005 + 0.5 * (value > 100)
        assert verdict in (("met", MISSED) if most else ("",)), what
        if most and abs(value - float(most)) > rounding:
            assert verdict == ("met" if value < float(most) else MISSED), what
