"""Every example starts by the command on its first line and serves its first page."""

import re
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.examples import DOCS, started

EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
PROGRAMS = [path.stem for path in EXAMPLES if not path.stem.startswith("test_")]
# Tests of their own give them the servers that they need.
ELSEWHERE = {"mysql", "ring_to_cluster"}

# Where there is something to see, if it isn't the root.
FIRST_PAGES = {
    "arguments": "/shops/tea?q=green",
    "authenticated": "/login",
    "blocking": "/fast",
    "cors": "/prices/tea",
    "fetch": "/total?item=tea",
    "futures": None,  # waits for somebody else
    "long_polling": None,
    "middleware": "/items/tea",
    "rate_limit": "/login",
    "request_id": "/orders/7",
    "websocket_by_hand": None,
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_its_first_line_has_the_command(path: str) -> None:
    first = (DOCS / path).read_text().partition("\n")[0]
    name = re.escape((DOCS / path).name)
    assert re.search(rf"Run it: (python {name}|``pytest {name}``)", first)


def first_page(name: str) -> int | None:
    """Run the example on a free port; return the status of its first page."""
    page = FIRST_PAGES.get(name, "/")
    with started(name, "0") as lines:
        if page is None:
            return None
        try:
            with urlopen(lines[-1].split()[-1] + page, timeout=10) as response:
                return response.status
        except HTTPError as error:
            return error.code


def test_every_example_starts_and_serves() -> None:
    """Two at a time; what they do in particular is for the tests of each."""
    names = [name for name in PROGRAMS if name not in ELSEWHERE]
    with ThreadPoolExecutor(2) as pool:
        statuses = dict(zip(names, pool.map(first_page, names), strict=True))
    expected = {name: None if FIRST_PAGES.get(name, "/") is None else 200 for name in names}
    assert statuses == expected
