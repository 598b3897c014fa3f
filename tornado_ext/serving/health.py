"""What a load balancer asks: whether this process runs, and whether it can serve."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from tornado.web import Application, RequestHandler

from tornado_ext.serving.within import within

if TYPE_CHECKING:
    from tornado_ext.mysql import Database
    from tornado_ext.sessions import SessionStore

Question = Callable[[], Coroutine[Any, Any, bool]]

TIMEOUT = 1.0  # seconds for each setting; all are asked at once


class HealthHandler(RequestHandler):
    """Answer 200: the process runs and its event loop turns. Asks nobody else."""

    def get(self) -> None:
        """Say so."""
        self.set_header("Cache-Control", "no-store")
        self.finish({"alive": True})


class ReadyHandler(RequestHandler):
    """Answer 200 if what requests need answers within a second, else 503, and JSON with each.

    A session store, a `tornado_ext.mysql.Database` and whatever setting has an ``async def
    health()`` are asked; that one returns a mapping whose ``ok`` is true, or raises. A room bus
    that is away is told, but is no reason to send people elsewhere: rooms go on without it.
    """

    async def get(self) -> None:
        """Ask all of them."""
        answers = await _answers(self.application)
        ready = all(answer == "ok" for name, answer in answers.items() if name != "room_bus")
        if vars(self.application).get("_ext_stopping"):
            ready, answers = False, answers | {"process": "stopping"}
        self.set_status(200 if ready else 503)
        self.set_header("Cache-Control", "no-store")
        self.finish({"ready": ready, "settings": answers})


async def _answers(application: Application) -> dict[str, str]:
    """Return ``ok`` or the name of what is wrong, for each setting that can tell."""
    found = {name: _question(setting) for name, setting in application.settings.items()}
    asked = {name: question for name, question in found.items() if question is not None}
    return dict(zip(asked, await asyncio.gather(*map(_answer, asked.values())), strict=True))


async def _answer(question: Question) -> str:
    try:
        return "ok" if await within(TIMEOUT, question()) else "away"
    except Exception as exc:
        return type(exc).__name__


def _question(setting: Any) -> Question | None:
    """Return what tells whether ``setting`` is well, or None if nothing does."""
    # Imported here, so that who serves without sessions or MySQL loads neither.
    from tornado_ext.mysql import Database
    from tornado_ext.sessions import SessionStore

    if isinstance(setting, SessionStore):
        return partial(_loads, setting)
    if isinstance(setting, Database):
        return partial(_selects, setting)
    if inspect.iscoroutinefunction(getattr(setting, "health", None)):
        return None if isinstance(setting, type) else partial(_says, setting)
    return None


async def _loads(store: "SessionStore") -> bool:
    await store.load(token_hex(32))
    return True


async def _selects(database: "Database") -> bool:
    await database.fetch_value("SELECT 1")
    return True


async def _says(setting: Any) -> bool:
    health = await setting.health()
    return isinstance(health, Mapping) and bool(health.get("ok"))
