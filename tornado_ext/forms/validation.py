"""How checks are awaited: one after the other in a field, together in a form."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from contextlib import suppress
from inspect import isawaitable, iscoroutine
from typing import Any, NoReturn, TypeAlias

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.messages import FormNotValidated

# The checks of a field: yields what must be awaited, and is sent what came of it.
Steps: TypeAlias = Generator[Awaitable[Any], Any, None]


class Validation:
    """Await this to validate a form. It is neither true nor false: ``await`` was forgotten."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[[], Awaitable[bool]]) -> None:
        self._run = run

    def __await__(self) -> Generator[Any, None, bool]:
        return self._run().__await__()

    def __bool__(self) -> NoReturn:
        raise FormNotValidated("is_valid() must be awaited: if await form.is_valid(): ...")

    def __eq__(self, _: object) -> NoReturn:
        self.__bool__()

    __hash__ = object.__hash__  # asyncio.gather needs it


async def run_all(fields: Iterable[Steps]) -> bool:
    """Go through the checks of every field; return whether any had to be awaited.

    Those go on together when every other field is done.
    """
    waiting: list[tuple[Steps, Awaitable[Any]]] = []
    try:
        waiting.extend(
            (steps, awaited) for steps in fields if (awaited := next(steps, None)) is not None
        )
    except BaseException:
        for _, awaited in waiting:
            if iscoroutine(awaited):
                awaited.close()
        raise
    if len(waiting) == 1:
        await _go_on(*waiting[0])
    elif waiting:
        await together(_go_on(*each) for each in waiting)
    return bool(waiting)


async def _go_on(steps: Steps, awaited: Awaitable[Any]) -> None:
    with suppress(StopIteration):
        while True:
            try:
                outcome = await awaited
            except Exception as error:
                awaited = steps.throw(error)
            else:
                awaited = steps.send(outcome)


async def together(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await all of them; if one fails, or nobody waits any more, cancel the others."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def expect_nothing(outcome: object, check: object) -> Steps:
    """Await what a check returned. A value in the end is a misunderstanding, not to be ignored."""
    outcome = yield from settle(outcome)
    if outcome is not None:
        name, kind = getattr(check, "__qualname__", repr(check)), type(outcome).__name__
        raise ConfigurationError(f"{name} must raise ValidationError or return None, not {kind}")


def settle(outcome: Any) -> Generator[Awaitable[Any], Any, Any]:
    """Return what a hook returned, or what came of it if that is an awaitable."""
    if isawaitable(outcome):
        outcome = yield outcome
    return outcome


def put_in_order(values: dict[Any, Any], names: Iterable[str | None]) -> None:
    """Sort a dictionary by its keys, as they are in ``names``."""
    in_order = {name: values[name] for name in names if name in values}
    values.clear()
    values.update(in_order)
