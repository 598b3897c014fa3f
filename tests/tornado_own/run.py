"""Tornado's own tests, run in one mode and reported as JSON.

``python -m tests.tornado_own.run late tornado.test.web_test.CookieTest.test_set_cookie`` runs one.
"""

import importlib
import json
import logging
import sys
import unittest
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from tests.tornado_own.mixed import mixed_in, ran

MODULES = ("web_test", "websocket_test", "httpserver_test", "simple_httpclient_test")


def load() -> dict[str, unittest.TestCase]:
    """Import Tornado's test modules; return the tests in them by id, without abstract classes."""
    loader = unittest.TestLoader()
    modules = [importlib.import_module(f"tornado.test.{name}") for name in MODULES]
    tests = [test for module in modules for test in _flat(loader.loadTestsFromModule(module))]
    return {test.id(): test for test in tests if type(test).__name__ != "AbstractBaseWrapper"}


def _flat(suite: Any) -> Iterator[unittest.TestCase]:
    for item in suite:
        yield from _flat(item) if isinstance(item, unittest.TestSuite) else (item,)


class Outcomes(unittest.TestResult):
    """By test id: passed, failed or skipped, and why."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, tuple[str, str]] = {}

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        self.of[test.id()] = ("passed", "")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        self.of[test.id()] = ("skipped", reason)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self.of[test.id()] = ("failed", self.failures[-1][1])

    addError = addFailure  # noqa: N815


def main(mode: str, *ids: str) -> None:
    """Run all tests, or those of ``ids``, on stock handlers or in one of `MODES`."""
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    with nullcontext() if mode == "stock" else mixed_in(mode):
        tests = load()
    outcomes = Outcomes()
    unittest.TestSuite(tests[test_id] for test_id in ids or tests).run(outcomes)
    json.dump({"outcomes": outcomes.of, "ran": ran}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
