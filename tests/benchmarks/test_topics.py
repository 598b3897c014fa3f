import math
from functools import cache
from importlib import import_module

import pytest

from benchmarks import topics
from benchmarks.__main__ import main
from benchmarks._figures import Figure
from benchmarks._machine import named
from benchmarks._page import PAGE, read, rows


@cache
def quick(topic: str) -> list[Figure]:
    figures: list[Figure] = import_module(f"benchmarks.{topic}").measure(quick=True)
    return figures


def test_modules_are_topics_unless_they_are_shared() -> None:
    assert {"in_process", "memory", "sockets"} <= set(topics())
    assert not any(name.startswith("_") for name in topics())


@pytest.mark.parametrize("topic", topics())
def test_a_topic_runs_and_names_its_figures(topic: str) -> None:
    figures = quick(topic)
    assert figures
    assert len({figure.what for figure in figures}) == len(figures)
    for figure in figures:
        assert figure.what
        assert figure.unit
        assert math.isfinite(figure.value)


@pytest.mark.parametrize("topic", topics())
def test_the_page_has_every_row_that_a_topic_makes_with_its_target(topic: str) -> None:
    made = [(figure.what, figure.cells[2]) for figure in quick(topic)]
    assert [(what, most) for what, _, most, *_ in rows(read(PAGE.read_text())[topic])] == made


@pytest.mark.parametrize("topic", topics())
def test_a_topic_names_the_versions_that_it_depends_on(topic: str) -> None:
    for name in import_module(f"benchmarks.{topic}").NEXT_TO:
        assert named(name)[-1].isdigit()


def test_memory_that_a_request_keeps_is_seen() -> None:
    blocks = {figure.what: figure.value for figure in quick("memory") if figure.unit == "blocks"}
    # So soon after its start, a server still fills its caches: both of them.
    assert blocks["kept per request by a server that leaks"] - blocks["kept per request"] > 0.5


def test_a_topic_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(SystemExit, match=r"No such topic: tea\. There are: .*memory"):
        main(["tea"])
