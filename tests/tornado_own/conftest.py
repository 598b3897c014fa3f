"""Tornado's own tests run once, for all that ask what became of them."""

import json
import os
import subprocess
import sys
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.tornado_own.mixed import MODES

TIMEOUT = 240  # seconds


# No test verifies by the system's certificates; reading them is a fifth of the run.
ENVIRONMENT = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


@dataclass
class Run:
    """What became of each test, how often each hook ran, and what was printed besides."""

    outcomes: dict[str, tuple[str, str]]  # by test id: passed, failed or skipped, and why
    ran: dict[str, int]
    stderr: str

    def which(self, outcome: str) -> set[str]:
        """Return the ids of the tests that ``outcome`` became of."""
        return {test for test, (did, _) in self.outcomes.items() if did == outcome}


Runs = dict[str, Run]

_RUNS = pytest.StashKey[Runs]()
_AGAIN = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def runs(pytestconfig: pytest.Config) -> Runs:
    """Return each mode's run, and as "stock" that of the tests that did not pass in all of them.

    The modes run at the same time. Some of Tornado's tests fail on a busy machine, for they give
    themselves a tenth of a second: what failed runs again, alone.
    """
    with ExitStack() as stack:
        processes = {mode: stack.enter_context(_start(mode)) for mode in MODES}
        runs = {mode: _result(process) for mode, process in processes.items()}
    again = pytestconfig.stash[_AGAIN] = {}
    for mode, run in runs.items():
        failed = {test: run.outcomes[test][1] for test in run.which("failed")}
        run.outcomes |= _run(mode, failed).outcomes
        again.update(
            {f"{mode}: {test}": failed[test] for test in failed.keys() - run.which("failed")}
        )
    unpassed = [run.which("failed") | run.which("skipped") for run in runs.values()]
    runs["stock"] = _run("stock", set().union(*unpassed))
    pytestconfig.stash[_RUNS] = runs
    return runs


def _run(mode: str, ids: Collection[str]) -> Run:
    if not ids:
        return Run({}, {}, "")
    with _start(mode, *ids) as process:
        return _result(process)


def _start(mode: str, *ids: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.tornado_own.run", mode, *ids],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT,
    )


def _result(process: "subprocess.Popen[str]") -> Run:
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 0, stderr
    return Run(stderr=stderr, **json.loads(stdout))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Report what no test's result says: what Tornado skips, and what passed only when alone."""
    if _RUNS not in config.stash:
        return
    stock = config.stash[_RUNS]["stock"].outcomes
    terminalreporter.section("Tornado's own tests")
    for test, (outcome, reason) in stock.items():
        if outcome != "passed":
            terminalreporter.line(f"{outcome} on stock handlers too: {test}: {reason}")
    for test, reason in config.stash[_AGAIN].items():
        terminalreporter.line(f"passed when run again, alone: {test}: {reason.splitlines()[-1]}")
