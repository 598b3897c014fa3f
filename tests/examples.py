"""What tests need of docs/examples: each as a module, and the pages that quote it."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"


def example(name: str) -> Any:
    """Return ``docs/examples/<name>.py`` as a module."""
    spec = spec_from_file_location(name, DOCS / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def quoted_classes(page: str) -> list[str]:
    """Return the Python blocks of a page that define a class."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    return [block for block in blocks if block.startswith("class ")]
