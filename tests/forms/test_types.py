"""What mypy makes of a user's forms."""

import re
from pathlib import Path

from mypy import api

TYPED = Path(__file__).with_name("typed.py")


def test_mypy_knows_fields_choices_and_values() -> None:
    lines = TYPED.read_text().splitlines()
    expected = {
        (number, line.rpartition("# ")[2])
        for number, line in enumerate(lines, start=1)
        if re.search(r"\S  # [a-z-]+$", line)
    }
    found, *_ = api.run(["--strict", str(TYPED)])
    errors = re.findall(r"typed\.py:(\d+): error: .*\[([a-z-]+)\]$", found, re.MULTILINE)
    assert {(int(line), code) for line, code in errors} == expected, found
    assert len(expected) == 7
