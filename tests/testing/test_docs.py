"""The example in docs/testing.md is the one in docs/examples, and it passes."""

import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "test_counter.py"


def test_the_page_shows_the_example_as_it_is() -> None:
    assert EXAMPLE.read_text() in (DOCS / "testing.md").read_text()


def test_the_example_passes_in_a_project_of_its_own(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    command = [sys.executable, "-m", "pytest", f"--rootdir={tmp_path}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout.splitlines()[-1], done.stdout
