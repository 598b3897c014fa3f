"""The public API: a change of it is a decision, and the reference has every name."""

import re
from importlib import import_module

from tests import api
from tests.examples import DOCS


def test_the_public_api_is_what_was_decided() -> None:
    """If a change is meant: `make api`, and a line in CHANGELOG.md."""
    assert api.describe().splitlines() == api.SNAPSHOT.read_text().splitlines()


def test_the_reference_has_every_module_of_the_api() -> None:
    pages = "".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    shown = set(re.findall(r"\.\. (?:automodule|py:module):: (\S+)", pages))
    assert set(api.MODULES) - {"tornado_ext"} == shown


def test_every_public_name_says_what_it_is() -> None:
    silent = [
        f"{name}.{each}"
        for name in api.MODULES
        for each, value in api.public(import_module(name)).items()
        if callable(value) and not value.__doc__
    ]
    assert silent == []
