"""Every ending runs the hooks that `endings/table.py` says, and the page says the same."""

import logging

import pytest

from tests.middleware.endings.chain import KINDS
from tests.middleware.endings.drive import Facts, drive
from tests.middleware.endings.ending import Ending
from tests.middleware.endings.page import PAGE, page
from tests.middleware.endings.table import every_ending

EACH = pytest.mark.parametrize(
    ("ending", "kind"),
    [
        pytest.param(ending, kind, id=f"{ending.name}, {kind}".replace("`", ""))
        for ending in every_ending()
        for kind in KINDS
    ],
)


def expected(ending: Ending, kind: str, written: str = "") -> Facts:
    trace = ending.trace(kind)
    if ending.status is None:
        return Facts(trace)
    headers, cookies = ending.headers_arrived, ending.cookies_arrived
    return Facts(trace, ending.status, headers, cookies, ending.body.format(written))


@pytest.mark.gen_test
@EACH
async def test_hooks_run_and_what_they_set_arrives(
    ending: Ending, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await drive(ending, kind) == expected(ending, kind)
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert bool(errors) == bool(ending.logged), errors
    assert ending.logged in caplog.text


@pytest.mark.gen_test
@EACH
async def test_what_response_hooks_write_is_added_to_the_body(ending: Ending, kind: str) -> None:
    written = "".join(f"[{letter}]" for letter in ending.headers_arrived)
    assert await drive(ending, kind, writes=True) == expected(ending, kind, written)


def test_page_shows_the_table() -> None:
    assert PAGE.read_text() == page(), (
        f"docs/{PAGE.name} is not what these tests prove: "
        "`python -m tests.middleware.endings` writes it anew"
    )
