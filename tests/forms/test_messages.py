"""Errors: which text is shown, and what JSON says of it."""

from pathlib import Path

from tornado_ext.forms.messages import MESSAGES, FormErrors, Message, ValidationError


def test_a_code_alone_has_a_text_of_the_package() -> None:
    assert ValidationError(code="required").to_message({}) == MESSAGES["required"]


def test_parameters_are_filled_in() -> None:
    error = ValidationError(code="min_length", params={"limit": 3})
    assert error.to_message({}) == "Use 3 or more characters."


def test_the_fields_text_goes_before_the_errors_own() -> None:
    error = ValidationError("Taken.", code="taken")
    assert error.to_message({"taken": "Already somebody's."}) == "Already somebody's."


def test_an_unknown_code_without_text_still_says_something() -> None:
    assert ValidationError(code="odd").to_message({}) == MESSAGES["invalid"]


def test_braces_that_mean_nothing_are_left_alone() -> None:
    error = ValidationError("{0} {limit!r} { {limit}", params={"limit": 3})
    assert error.to_message({}) == "{0} {limit!r} { 3"


def test_braces_in_a_parameter_are_left_alone() -> None:
    error = ValidationError("{a} {b}", params={"a": "{b}", "b": "x"})
    assert error.to_message({}) == "{b} x"


def test_a_parameter_that_is_not_utf8_can_be_shown() -> None:
    error = ValidationError(code="extra", params={"name": "a\ud800\0"})
    assert error.to_message({}) == "There is no field a\ufffd."


def test_a_message_has_its_code() -> None:
    assert ValidationError("Taken.", code="taken").to_message({}).code == "taken"


def test_an_uncaught_error_is_a_bad_request() -> None:
    assert ValidationError("no").status_code == 400


def test_json_has_messages_and_codes_and_a_key_for_the_whole_form() -> None:
    errors = FormErrors({"name": [Message("Taken.", "taken")], None: [Message("No.", "invalid")]})
    assert errors.as_json() == {
        "name": [{"message": "Taken.", "code": "taken"}],
        "__all__": [{"message": "No.", "code": "invalid"}],
    }


def test_the_documentation_has_every_code_and_its_text() -> None:
    documentation = (Path(__file__).parents[2] / "docs/forms.md").read_text()
    for code, text in MESSAGES.items():
        assert f"| `{code}` | {text} |" in documentation
