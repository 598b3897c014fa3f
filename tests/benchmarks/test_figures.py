from benchmarks._figures import MISSED, Figure, markdown, quartiles, spread


def test_a_figure_up_to_its_target_has_met_it() -> None:
    assert Figure("hello", 1.2, "of stock", at_most=1.2).verdict == "met"


def test_a_figure_over_its_target_has_missed_it() -> None:
    assert Figure("hello", 1.21, "of stock", at_most=1.2).verdict == MISSED


def test_a_figure_without_a_target_has_no_verdict() -> None:
    assert Figure("stock", 22.0, "us").verdict == ""


def test_a_row_shows_the_figure_next_to_its_target() -> None:
    figure = Figure("hello", 1.184, "of stock", 1.2, spread([1.31, 1.16, 1.2]))
    assert figure.cells == ("hello", "1.18 of stock", "1.2", "met", "1.16 to 1.31")


def test_a_large_figure_has_no_digits_that_mean_nothing() -> None:
    assert Figure("iterate", 1234.56, "us").cells[1] == "1,235 us"


def test_half_of_the_rounds_are_between_the_quartiles() -> None:
    assert quartiles([4.0, 1.0, 2.0, 3.0, 5.0]) == (1.5, 4.5)


def test_one_round_is_its_own_quartiles() -> None:
    assert quartiles([7.0]) == (7.0, 7.0)


def test_every_line_of_a_table_is_as_wide() -> None:
    lines = markdown([("what", ""), ("a", "wide cell")]).splitlines()
    assert lines == ["| what |           |", "| ---- | --------- |", "| a    | wide cell |"]
