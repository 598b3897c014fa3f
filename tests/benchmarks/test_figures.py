from benchmarks._figures import Figure, header, row, spread


def test_a_figure_up_to_its_target_has_met_it() -> None:
    assert Figure("hello", 1.2, "of stock", at_most=1.2).verdict == "met"


def test_a_figure_over_its_target_has_missed_it() -> None:
    assert Figure("hello", 1.21, "of stock", at_most=1.2).verdict == "MISSED"


def test_a_figure_without_a_target_has_no_verdict() -> None:
    assert Figure("stock", 22.0, "us").verdict == ""


def test_a_row_shows_the_figure_next_to_its_target() -> None:
    line = row("in_process", Figure("hello", 1.184, "of stock", 1.2, spread([1.31, 1.16])))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["in_process", "hello", "1.18 of stock", "<= 1.2", "met", "1.16 to 1.31"]


def test_every_line_of_the_table_is_as_wide() -> None:
    lines = [*header().splitlines(), row("memory", Figure("kept per request", 0.001, "blocks"))]
    assert len({len(line) for line in lines}) == 1
