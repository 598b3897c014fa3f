"""A hook that raises gives a clean 500 at every ending, and the hooks outside it still run."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tornado.web import Finish, RequestHandler

from tests.middleware.endings import handlers
from tests.middleware.endings.chain import KINDS, names
from tests.middleware.endings.drive import drive
from tests.middleware.endings.ending import Ending, error_page
from tests.middleware.endings.table import STATIC, every_ending, finishes, raises
from tornado_ext.middleware import StaticHandler


def broken(hook: str) -> pytest.MarkDecorator:
    """Run a test for each ending that has a ``hook`` of B, which raises."""
    return pytest.mark.parametrize(
        ("ending", "kind"),
        [
            pytest.param(break_b(ending, hook), kind, id=f"{ending.name}, {kind}".replace("`", ""))
            for ending in every_ending()
            for kind in ("def", "async def")
            if "B" in getattr(ending, hook) and not ending.b_does
            if hook != "request" or not ending.leaves_at
        ],
    )


def break_b(ending: Ending, hook: str) -> Ending:
    status = ending.finish_status or ending.status
    noted = f"finish {status}" if hook == "finish" else hook
    return replace(ending, b_does={noted: raises(ZeroDivisionError)})


@pytest.mark.gen_test
@broken("response")
async def test_broken_response_hook_is_a_500_and_the_hooks_outside_it_run(
    ending: Ending, kind: str
) -> None:
    facts = await drive(ending, kind)
    ran = Counter(facts.trace)
    assert {ran[f"{letter} response"] for letter in "ABC"} == {1}
    assert facts.trace[-3:] == names("CBA", "finish 500")
    if ending.status is not None:
        assert (facts.status, facts.headers) == (500, "A")
        assert facts.body == ("" if ending.method == "HEAD" else error_page(500).format(""))


@pytest.mark.gen_test
@broken("request")
async def test_broken_request_hook_is_a_500_and_the_hooks_outside_it_run(
    ending: Ending, kind: str
) -> None:
    facts = await drive(ending, kind)
    assert facts.trace == [
        *names("AB", "request"),
        "A exception",
        *names("BA", "response"),
        "first byte",
        *names("CBA", "finish 500"),
    ]
    assert (facts.status, facts.headers) == (500, "BA")


@pytest.mark.gen_test
@broken("finish")
async def test_broken_finish_hook_changes_nothing(ending: Ending, kind: str) -> None:
    facts = await drive(ending, kind)
    status = ending.finish_status or ending.status
    assert facts.trace[-3:] == names("CBA", f"finish {status}")
    assert facts.status == ending.status


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "handler", [handlers.Returns, handlers.FailsAfterFinish, handlers.BodyWith204]
)
async def test_response_hook_that_raises_finish_is_a_500(
    handler: type[RequestHandler], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    ending = Ending("", handler, 500, b_does={"response": raises(Finish)})
    facts = await drive(ending, kind)
    assert (facts.status, facts.body) == (500, error_page(500).format(""))
    assert "must not raise Finish" in caplog.text


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", KINDS)
async def test_response_hook_that_raises_finish_ends_a_handshake_with_a_500(kind: str) -> None:
    ending = Ending("", handlers.Socket, b_does={"response": raises(Finish)})
    assert (await drive(ending, kind)).status == 500


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", KINDS)
async def test_exception_hook_that_raises_finish_has_handled_the_error(kind: str) -> None:
    ending = Ending("", handlers.RaisesHTTPError, b_does={"exception": raises(Finish, "handled")})
    facts = await drive(ending, kind)
    assert facts.body == "handled"
    assert "A exception" not in facts.trace


@pytest.mark.gen_test
async def test_exception_hook_that_raises_finish_before_prepare_has_handled_the_error() -> None:
    handled = {"exception": raises(Finish, "handled")}
    facts = await drive(Ending("", method="BREW", b_does=handled), "def")
    assert facts.body == "handled"
    assert "A exception" not in facts.trace


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("does", [finishes, raises(Finish)])
async def test_request_hook_answers_in_place_of_a_static_file(does: Any, kind: str) -> None:
    ending = Ending("", StaticHandler, b_does={"request": does}, **STATIC)
    assert (await drive(ending, kind)).status == 200
