"""A process that serves an application until it is told to stop, and lets all of it end well."""

import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tornado.log import gen_log
from tornado.web import Application

from tornado_ext._settings import check_settings
from tornado_ext.errors import ConfigurationError
from tornado_ext.serving.children import Children
from tornado_ext.serving.server import Entrance, Server
from tornado_ext.serving.stop import Stop, handling
from tornado_ext.serving.within import within

CLOSE_TIMEOUT = 5.0  # seconds for the rooms, and then for all other settings

MakeApp = Callable[[], Application | Awaitable[Application]]


@dataclass
class Process:
    """A process that serves."""

    make_app: MakeApp
    sockets: list[socket.socket]
    grace: float
    options: dict[str, Any]
    children: Children | None = None

    @property
    def seconds(self) -> float:
        """How long the end may take: as long as all that is bounded, and then some."""
        return self.grace + 3 * CLOSE_TIMEOUT

    @property
    def seconds_of_all(self) -> float:
        """How long the end of several such processes may take."""
        return self.seconds + CLOSE_TIMEOUT

    def run(self) -> None:
        """Serve until the signal, and return when all is closed."""
        try:
            asyncio.run(self._run())
        finally:
            Stop.done()

    def run_in(self, children: Children) -> None:
        """Serve as one of ``children``, and end the process: what comes after is the parent's."""
        self.children = children
        try:
            asyncio.run(self._run())
        except Exception:
            children.failed()
            raise
        children.end()

    async def _run(self) -> None:
        stop = Stop(self.seconds)
        with handling(stop.on_signal):
            if self.children is not None:
                _watch(self.children.stopping, stop)
            making: asyncio.Future[Application] = asyncio.ensure_future(self._make())
            either: list[asyncio.Future[Any]] = [making, stop.asked]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                await self._serve(making.result(), stop.asked)

    async def _make(self) -> Application:
        made = self.make_app()
        app: object = await made if inspect.isawaitable(made) else made
        if not isinstance(app, Application):
            message = f"make_app must return a tornado.web.Application, not {app!r}"
            raise ConfigurationError(message)
        return app

    async def _serve(self, app: Application, asked: Awaitable[None]) -> None:
        try:
            check_settings(app)
            if self.children is not None:
                _check_shared(app)
            server = Server(Entrance(app), **self.options)
            server.add_sockets(self.sockets)
            if self.children is None or self.children.first:
                _print_url(self.sockets, self.options)
            if self.children is not None:
                self.children.serving()
            await asked
            vars(app)["_ext_stopping"] = True
            await server.finish(self.grace)
        finally:
            await _close_settings(app)


def _watch(stopping: int, stop: Stop) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(stopping)
        stop.ask()

    loop.add_reader(stopping, end)


def _print_url(sockets: list[socket.socket], options: dict[str, Any]) -> None:
    scheme = "https" if options.get("ssl_options") else "http"
    host, port = sockets[0].getsockname()[:2]
    print(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}", flush=True)  # noqa: T201


def _check_shared(app: Application) -> None:
    """Raise `ConfigurationError` for a setting that one of several processes has for itself."""
    from tornado_ext.rooms import LocalBus, RedisBus
    from tornado_ext.sessions import MemoryStore

    for name, setting in app.settings.items():
        alone = isinstance(setting, LocalBus) and not isinstance(setting, RedisBus)
        if alone or isinstance(setting, MemoryStore):
            raise ConfigurationError(
                f"the setting {name!r} is a {type(setting).__name__}, which the other processes "
                "don't see: use one on Redis, or processes=1"
            )


async def _close_settings(app: Application) -> None:
    """Close what can be closed: the rooms first, whose sockets use the others."""
    rooms = app.settings.get("room_bus")
    others = [*app.settings.values(), *app.settings.get("middleware", ())]
    await _close(rooms)
    await asyncio.gather(
        *map(_close, {id(each): each for each in others if each is not rooms}.values())
    )


async def _close(setting: object) -> None:
    close = getattr(setting, "close", None)
    if inspect.iscoroutinefunction(close) and not isinstance(setting, type):
        try:
            await within(CLOSE_TIMEOUT, close())
        except Exception:
            gen_log.exception("Can't close %r", setting)
