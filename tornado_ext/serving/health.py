"""What a load balancer asks: whether this process runs, and whether it can serve."""

import asyncio
import inspect
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from tornado.web import Application, RequestHandler

from tornado_ext.serving.within import within

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
    asked = {name: each for name, each in application.settings.items() if _can_tell(each)}
    return dict(zip(asked, await asyncio.gather(*map(_answer, asked.values())), strict=True))


def _can_tell(setting: object) -> bool:
    # Imported here, so that who serves without sessions or MySQL loads neither.
    from tornado_ext.mysql import Database
    from tornado_ext.sessions import SessionStore

    if isinstance(setting, (SessionStore, Database)):
        return True
    health = getattr(setting, "health", None)
    return inspect.iscoroutinefunction(health) and not isinstance(setting, type)


async def _answer(setting: Any) -> str:
    try:
        return "ok" if await within(TIMEOUT, _is_well(setting)) else "away"
    except Exception as exc:
        return type(exc).__name__


async def _is_well(setting: Any) -> bool:
    from tornado_ext.mysql import Database
    from tornado_ext.sessions import SessionStore

    if isinstance(setting, SessionStore):
        await setting.load(token_hex(32))
    elif isinstance(setting, Database):
        await setting.fetch_value("SELECT 1")
    else:
        health = await setting.health()
        return isinstance(health, Mapping) and bool(health.get("ok"))
    return True
