"""A chain of three that notes which of its hooks ran."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from tornado import gen
from tornado.web import RequestHandler

from tornado_ext.middleware import Middleware

Trace = list[str]
Step = Callable[..., None]

LETTERS = "ABC"  # A is the application's and the outermost; B and C are the handler class's
HOOKS = ("process_request", "process_response", "process_exception", "process_finish")


def names(letters: str, hook: str) -> list[str]:
    """Return what the middleware of these letters notes for a ``hook``."""
    return [f"{letter} {hook}" for letter in letters]


class Recorder(Middleware):
    """Note each hook in ``trace``, then do what ``does`` says that this hook does."""

    def __init__(
        self, name: str, trace: Trace, writes: bool, does: Mapping[str, Callable[..., object]]
    ) -> None:
        self.name = name
        self.trace = trace
        self.writes = writes
        self.does = does

    def note(self, hook: str, handler: RequestHandler) -> None:
        self.trace.append(f"{self.name} {hook}")
        if act := self.does.get(hook):
            act(handler)

    def process_request(self, handler: RequestHandler) -> None:
        self.note("request", handler)

    def process_response(self, handler: RequestHandler) -> None:
        handler.set_header(f"X-{self.name}", "set")
        handler.set_cookie(self.name, "set")
        if self.writes:
            handler.write(f"[{self.name}]")
        self.note("response", handler)

    def process_exception(self, handler: RequestHandler, exc: Exception) -> None:
        self.note("exception", handler)

    def process_finish(self, handler: RequestHandler) -> None:
        self.note(f"finish {handler.get_status()}", handler)


def as_def(step: Step) -> Step:
    return step


def as_async(step: Step) -> Callable[..., Any]:
    async def hook(self: Recorder, *args: Any) -> None:
        await asyncio.sleep(0)
        step(self, *args)

    return hook


def as_coroutine(step: Step) -> Callable[..., Any]:
    @gen.coroutine
    def hook(self: Recorder, *args: Any) -> Any:
        yield gen.moment
        step(self, *args)

    return hook


MAKERS = {"def": as_def, "async def": as_async, "@gen.coroutine": as_coroutine}
KINDS = {
    kind: type("Recorder", (Recorder,), {hook: make(getattr(Recorder, hook)) for hook in HOOKS})
    for kind, make in MAKERS.items()
}
