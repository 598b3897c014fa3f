"""What the log calls a hook."""

import pytest

from tornado_ext._chain import Hook, name_of
from tornado_ext.middleware import Middleware


class Timing(Middleware):
    def process_finish(self, handler: object) -> None:
        """Take the time."""

    class Nested(Middleware):
        def process_finish(self, handler: object) -> None:
            """Take the time."""


class Counting:
    def __call__(self, handler: object) -> None:
        """Count."""


@pytest.mark.parametrize(
    ("hook", "name"),
    [
        (Timing().process_finish, "Timing.process_finish"),
        (Timing.Nested().process_finish, "Timing.Nested.process_finish"),
        (Counting(), "Counting.__call__"),
    ],
)
def test_hook_is_named_by_its_class_and_method(hook: Hook, name: str) -> None:
    assert name_of(hook) == name
