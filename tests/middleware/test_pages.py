"""The pages of the ready-made middleware show what is in the examples."""

import re

import pytest

from tests.examples import DOCS

PAGES = sorted(path.stem for path in (DOCS / "middleware").glob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_page_quotes_its_example(page: str) -> None:
    example = (DOCS / "examples" / f"{page}.py").read_text()
    blocks = re.findall(
        r"```python\n(.*?)```", (DOCS / "middleware" / f"{page}.md").read_text(), re.S
    )
    assert blocks
    assert all(block.strip() in example for block in blocks)
