"""What tests do in a request, and how they look at it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httpclient import HTTPResponse
from tornado.web import RequestHandler

from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.sessions import SessionMixin
from tornado_ext.testing import Client

Action = Callable[["Act"], Awaitable[object] | None]
Do = Callable[..., Awaitable[HTTPResponse]]


class Act(SessionMixin, MiddlewareMixin, RequestHandler):
    """Does what the test wants to be done in a request."""

    async def get(self, name: str) -> None:
        result = self.settings["actions"][name](self)
        if result is not None:
            await result

    post = get

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish(f"{status_code} {self.current_user}")


def put(**values: Any) -> Action:
    """Set values of the session."""
    return lambda handler: handler.session.update(values)


def show(handler: Act) -> None:
    """Write all that the session holds."""
    handler.write(json.dumps({"user": handler.session.user_id, **handler.session}))


async def shown(do: Do, by: Client | None = None) -> Any:
    """Return what `show` writes."""
    return json.loads((await (do(show, by=by) if by else do(show))).body)


def twin_of(client: Client) -> Client:
    """Return another client with the same session cookie, as a second request of one browser."""
    twin = Client(client.app, client.base_url)
    twin.set_cookie("session", client.cookie("session") or "")
    return twin


class Parked:
    """An action that waits in mid-request, after its session was loaded."""

    def __init__(self, then: Action) -> None:
        self.then = then
        self.loaded = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, handler: Act) -> None:
        self.loaded.set()
        await self.go_on.wait()
        if (result := self.then(handler)) is not None:
            await result
