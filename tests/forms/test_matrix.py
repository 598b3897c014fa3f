"""Every field with each way to be wrong, and the page that lists them."""

from pathlib import Path

import pytest

from tests.forms.matrix import TABLE, Case, cases, page
from tornado_ext import forms
from tornado_ext.forms.messages import MESSAGES

PAGE = Path(__file__).parents[2] / "docs/forms-matrix.md"


@pytest.mark.gen_test
@pytest.mark.parametrize("case", [*cases()], ids=lambda case: case.id)
async def test_what_was_sent_is_taken_or_refused_as_the_page_says(case: Case) -> None:
    valid, outcome = await case.outcome()
    assert (valid, outcome) == (case.valid, case.expected)
    assert type(outcome) is type(case.expected)


def test_every_field_is_on_the_page() -> None:
    kinds = {name for name in forms.__all__ if name.endswith("Field")} - {"Field", "BoundField"}
    assert {field.partition("(")[0] for field, _, _ in TABLE} == kinds


def test_every_code_of_a_field_is_on_the_page() -> None:
    assert {code for *_, bad in TABLE for _, code in bad} == set(MESSAGES) - {"extra", "json"}


def test_the_page_is_what_the_cases_say() -> None:
    assert PAGE.read_text() == page(), "python -m tests.forms.matrix > docs/forms-matrix.md"
