"""Print what pip is told to install the lowest dependencies: ``python -m tests.lowest lowest``."""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
OURS = ("redis", "mysql", "tornado-mysql", "demo")  # extras that users install


def constraints() -> list[str]:
    """Return the lowest version of each dependency of the package, as pip's constraints."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = project["optional-dependencies"]
    needed = project["dependencies"] + [each for extra in OURS for each in extras[extra]]
    found = [re.fullmatch(r"([\w-]+)>=([\w.]+)(,<\d+)?", each) for each in needed]
    return [f"{match[1]}=={match[2]}" for match in found if match]


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in constraints() if sys.argv[1] == "lowest")
