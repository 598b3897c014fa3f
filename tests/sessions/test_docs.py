"""Every test that docs/sessions-security.md names exists."""

import re
from pathlib import Path

from tests.examples import DOCS
from tornado_ext.testing import store_suite

TESTS = Path(__file__).parent


def test_every_test_that_the_page_names_exists() -> None:
    sources = [*TESTS.glob("test_*.py"), Path(store_suite.__file__)]
    tests = {name for path in sources for name in re.findall(r"def (test_\w+)\(", path.read_text())}
    named = re.findall(r"`(test_\w+)`", (DOCS / "sessions-security.md").read_text())
    assert len(named) > 50
    assert set(named) - tests == set()


def test_every_line_names_a_test_or_the_application() -> None:
    rows = re.findall(r"^\| .* \|$", (DOCS / "sessions-security.md").read_text(), re.MULTILINE)
    bare = [row for row in rows if "`test_" not in row]
    assert [row for row in bare if "the application's" not in row] == [
        "| | requirement, in short | here | test |",
        "| what | what happens | test |",
    ]
