"""What runs around the requests of one handler class: its middleware's hooks, and our own steps."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

E = TypeVar("E", bound=BaseException)

Hook = Callable[..., Awaitable[object] | None]
HooksByDepth = Sequence[tuple[float, Hook]]

HOOKS = ("process_request", "process_response", "process_exception", "process_finish")
ALL = math.inf  # deeper than every middleware


class Chain:
    """The hooks of one handler class in one application, each with the depth of its middleware.

    ``steps`` of our own come between the response hooks and the first byte, at the depth `ALL`.
    All of them take the handler, and return None or something to await.
    """

    def __init__(self, hooks: Mapping[str, HooksByDepth], steps: Sequence[Hook]) -> None:
        self.request, response, exception, finish = (hooks.get(name, ()) for name in HOOKS)
        self.response = response[::-1]
        self.before_first_byte = [*self.response, *((ALL, step) for step in steps)]
        self.exception = exception[::-1]
        self.finish = [hook for _, hook in finish[::-1]]


def name_of(hook: Hook) -> str:
    """Return a hook's name for messages, ``Timing.process_request``."""
    owner = type(getattr(hook, "__self__", hook))
    return f"{owner.__qualname__}.{getattr(hook, '__name__', '__call__')}"


def named(exc: E, hook: Hook) -> E:
    """Note in ``exc``, for the log, which hook raised it."""
    exc.add_note(f"raised in {name_of(hook)}")
    return exc
