"""Every ending runs the hooks that `endings/table.py` says, and the page says the same."""

import logging

import pytest
from tornado.iostream import StreamClosedError

from tests.middleware.endings.chain import KINDS
from tests.middleware.endings.drive import Facts, drive
from tests.middleware.endings.ending import ANSWERED_500, CUT_OFF, Ending, error_page
from tests.middleware.endings.page import PAGE, page
from tests.middleware.endings.table import every_ending


def each(writing: str | None = None) -> pytest.MarkDecorator:
    """Run a test for each ending and kind of hook; or where writing hooks fare as ``writing``."""
    return pytest.mark.parametrize(
        ("ending", "kind"),
        [
            pytest.param(ending, kind, id=f"{ending.name}, {kind}".replace("`", ""))
            for ending in every_ending()
            for kind in KINDS
            if writing in (None, ending.write_fails)
            if kind != "@gen.coroutine" or not (ending.before_prepare or writing is not None)
        ],
    )


def expected(ending: Ending, kind: str, written: str = "") -> Facts:
    trace = ending.trace(kind)
    if ending.status is None:
        return Facts(trace)
    headers, cookies = ending.headers_arrived, ending.cookies_arrived
    return Facts(trace, ending.status, headers, cookies, ending.body.format(written))


@pytest.mark.gen_test
@each()
async def test_hooks_run_and_what_they_set_arrives(
    ending: Ending, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await drive(ending, kind) == expected(ending, kind)
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert bool(errors) == bool(ending.logged), errors
    assert ending.logged in caplog.text


@pytest.mark.gen_test
@each(writing="")
async def test_what_response_hooks_write_is_added_to_the_body(ending: Ending, kind: str) -> None:
    written = "".join(f"[{letter}]" for letter in ending.headers_arrived)
    assert await drive(ending, kind, writes=True) == expected(ending, kind, written)


@pytest.mark.gen_test
@each(writing=ANSWERED_500)
async def test_response_hook_that_writes_where_no_body_may_be_is_a_500(
    ending: Ending, kind: str
) -> None:
    facts = await drive(ending, kind, writes=True)
    assert (facts.status, facts.body) == (500, error_page(500).format("[C][B][A]"))


@pytest.mark.gen_test
@each(writing=CUT_OFF)
async def test_response_hook_that_writes_beyond_the_length_leaves_no_reply(
    ending: Ending, kind: str
) -> None:
    with pytest.raises(StreamClosedError):
        await drive(ending, kind, writes=True)


def test_page_shows_the_table() -> None:
    assert PAGE.read_text() == page(), (
        f"docs/{PAGE.name} is not what these tests prove: "
        "`python -m tests.middleware.endings` writes it anew"
    )
