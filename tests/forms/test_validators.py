"""Validators by themselves: what passes, what they add to the HTML, what can't be declared."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.messages import ValidationError
from tornado_ext.forms.validators import Length, Pattern, Range, Validator, email


def code(validator: Validator[Any], value: object) -> str | None:
    """Return the code of the error, or None if the value passes."""
    try:
        validator(value)
    except ValidationError as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("value", "expected"),
    [("ab", "min_length"), ("abc", None), ("abcde", None), ("abcdef", "max_length")],
)
def test_length_includes_both_limits(value: str, expected: str | None) -> None:
    assert code(Length(3, 5), value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(-3, "min_value"), (-2, None), (0, None), (1, "max_value")]
)
def test_range_includes_both_limits(value: int, expected: str | None) -> None:
    assert code(Range(-2, 0), value) == expected


@pytest.mark.parametrize("validator", [Length(), Range()])
def test_no_limit_passes_anything(validator: Validator[object]) -> None:
    validator("x" if isinstance(validator, Length) else 10**100)


def test_the_limit_that_was_crossed_is_a_parameter() -> None:
    with pytest.raises(ValidationError) as caught:
        Length(max_length=5)("too long")
    assert caught.value.params == {"limit": 5}


def test_limits_become_attributes_and_so_does_zero() -> None:
    assert Length(3, 5).attrs == {"minlength": 3, "maxlength": 5}
    assert Range(min_value=0).attrs == {"min": "0", "max": None, "inputmode": "numeric"}


@pytest.mark.parametrize("pattern", ["[a-z]+", "^[a-z]+$", re.compile("^[a-z]+$", re.MULTILINE)])
@pytest.mark.parametrize("value", ["abc\n", "\nabc", "abc\nabc", "abc1", "1abc", ""])
def test_a_pattern_must_match_the_whole_value(pattern: str | re.Pattern[str], value: str) -> None:
    assert code(Pattern(pattern), value) == "pattern"
    assert code(Pattern(pattern), "abc") is None


def test_a_pattern_given_as_text_reads_classes_as_html_does() -> None:
    assert code(Pattern(r"\w\d"), "é٣") == "pattern"
    assert Pattern(r"\w\d").attrs == {"pattern": r"\w\d"}


def test_a_compiled_pattern_is_used_as_it_is_and_kept_from_the_browser() -> None:
    validator = Pattern(re.compile(r"\w\d"))
    assert code(validator, "é٣") is None
    assert validator.attrs == {"pattern": None}


@pytest.mark.parametrize(
    "value",
    [
        "ann@example.com",
        "a.b+c@mail.example.org",
        "x@a.b",
        "o'neil!#$%&*/=?^_`{|}~-@example.com",
        "ann@xn--fsqu00a.xn--0zwm56d",
        "1@2.3",
    ],
)
def test_email_takes_addresses(value: str) -> None:
    assert code(email, value) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@example",
        "ann@.com",
        "ann@example.",
        "ann@-example.com",
        "ann@example-.com",
        "ann@exa_mple.com",
        "ann@example..com",
        "ann bell@example.com",
        "ann@bell@example.com",
        "ann@example.com\n",
        "ann@example.com\nbcc:x@example.com",
        "änn@example.com",
        "<ann@example.com>",
        f"ann@{'a' * 64}.com",
    ],
)
def test_email_refuses_what_is_not_an_address(value: str) -> None:
    assert code(email, value) == "email"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Length(5, 3), r"min_length \(5\) is greater than max_length \(3\)"),
        (lambda: Length(-1), "min_length can't be negative"),
        (lambda: Length(max_length=-1), "max_length can't be negative"),
        (lambda: Length("3"), "min_length must be a whole number, not '3'"),
        (lambda: Length(max_length=2.5), "max_length must be a whole number, not 2.5"),
        (lambda: Range(5, 3), r"min_value \(5\) is greater than max_value \(3\)"),
        (lambda: Pattern("[a-z"), r"pattern is not a regular expression: '\[a-z': unterminated"),
        (lambda: Pattern(None), "pattern is not a regular expression: None"),
        (lambda: Pattern(b"a"), "pattern"),
        (lambda: Pattern(re.compile(b"a")), "pattern must be for text, not for bytes"),
    ],
)
def test_arguments_that_cannot_be_right_are_named(
    make: Callable[[], object], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        make()
