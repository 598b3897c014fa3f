"""What a load balancer asks: whether this process runs, and whether it can serve."""

import asyncio
import inspect
from collections.abc import Awaitable
from secrets import token_hex
from typing import Any

from tornado.web import Application, RequestHandler

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
    asked = {name: _question(setting) for name, setting in application.settings.items()}
    waiting = {name: _answer(question) for name, question in asked.items() if question is not None}
    return dict(zip(waiting, await asyncio.gather(*waiting.values()), strict=True))


def _question(setting: object) -> Awaitable[Any] | None:
    # Imported here, so that who serves without sessions or MySQL loads neither.
    from tornado_ext.mysql import Database
    from tornado_ext.sessions import SessionStore

    if isinstance(setting, SessionStore):
        return setting.load(token_hex(32))
    if isinstance(setting, Database):
        return setting.fetch_value("SELECT 1")
    health = getattr(setting, "health", None)
    if inspect.iscoroutinefunction(health) and not isinstance(setting, type):
        answer: Awaitable[Any] = health()
        return answer
    return None


async def _answer(question: Awaitable[Any]) -> str:
    try:
        answer = await asyncio.wait_for(question, TIMEOUT)
    except Exception as exc:
        return type(exc).__name__
    return "away" if isinstance(answer, dict) and not answer.get("ok", True) else "ok"
