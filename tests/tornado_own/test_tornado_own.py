"""Tornado's own tests, as installed, on handlers that have everything of ours mixed in."""

import pytest

from tests.tornado_own.conftest import Runs
from tests.tornado_own.mixed import MODES
from tests.tornado_own.run import load

LENGTH = "tornado.test.web_test.IncorrectContentLengthTest.test_content_length_too_"
CAUGHT = "catches inside the verb what finish() raises, which a reply that waits raises after it"

CAN_NOT_PASS = {  # by mode and id, why
    ("awaited", LENGTH + "high"): CAUGHT,
    ("awaited", LENGTH + "low"): CAUGHT,
    ("late", LENGTH + "high"): CAUGHT,
    ("late", LENGTH + "low"): CAUGHT,
    (
        "late",
        "tornado.test.web_test.GzipTestCase.test_vary_already_present_multiple",
    ): "looks for a Vary: Cookie of its handler, which is left out with that of the session",
}


@pytest.mark.parametrize("test_id", load())
@pytest.mark.parametrize("mode", MODES)
def test_passes_as_on_stock_handlers(runs: Runs, mode: str, test_id: str) -> None:
    outcome, reason = runs[mode].outcomes[test_id]
    if (mode, test_id) in CAN_NOT_PASS:
        assert outcome == "failed"
    elif outcome != "passed" and outcome != runs["stock"].outcomes[test_id][0]:
        pytest.fail(f"{outcome}: {reason}", pytrace=False)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("hook", ["process_request", "process_response", "process_finish"])
def test_hook_ran_in_the_requests_of_all_tests(runs: Runs, mode: str, hook: str) -> None:
    assert runs[mode].ran[hook] >= 750


@pytest.mark.parametrize("mode", MODES)
def test_every_reply_has_one_finish_hook(runs: Runs, mode: str) -> None:
    assert runs[mode].ran["process_finish"] == runs[mode].ran["reply"]


def test_late_replies_brought_a_session_that_was_stored(runs: Runs) -> None:
    assert runs["late"].ran["session cookie"] >= 750
    assert runs["late"].ran["session cookie"] <= runs["late"].ran["session stored"]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_goes_to_stderr(runs: Runs, mode: str) -> None:
    assert runs[mode].stderr == ""
