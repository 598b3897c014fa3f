"""The public API: a change of it is a decision, and the reference has every name."""

import re
from importlib import import_module

from tests import api
from tests.examples import DOCS, example

# What nobody has to import: it is returned, or there by default.
NOT_IMPORTED = {"Checkbox", "FormErrors", "PoolStats", "Result", "SessionNotLoaded", "Textarea"}
NOT_IMPORTED |= {"Answer", "DriverConnection", "Limit"}  # who writes a driver derives from one
NOT_IMPORTED |= {"Form"}  # of the module ui, which is given as a whole


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


def test_every_public_name_is_used_in_a_program_that_the_reference_shows() -> None:
    users = example("_site/sources").users()
    unused = [
        f"{name}.{each}"
        for name in api.MODULES
        for each, value in api.public(import_module(name)).items()
        if isinstance(value, type) and each not in NOT_IMPORTED and f"{name}.{each}" not in users
    ]
    assert unused == []
