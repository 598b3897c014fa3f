"""Serve an application until it is told to stop, and let what it has begun end well."""

import asyncio
import errno
import inspect
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate, HTTPServerRequest
from tornado.log import gen_log
from tornado.netutil import bind_sockets
from tornado.routing import Router
from tornado.web import Application

from tornado_ext._children import SIGNALS, Children
from tornado_ext._health import HealthHandler, ReadyHandler
from tornado_ext._settings import check_settings
from tornado_ext.errors import ConfigurationError

__all__ = ["HealthHandler", "PortInUse", "ReadyHandler", "serve"]

CLOSE_TIMEOUT = 5.0  # seconds for each setting

MakeApp = Callable[[], Application | Awaitable[Application]]


class PortInUse(ConfigurationError):
    """Another program listens on the port. Stop that one, or choose another port."""


def serve(
    make_app: MakeApp,
    port: int,
    *,
    address: str = "127.0.0.1",
    processes: int = 1,
    grace: float = 10.0,
    **options: Any,
) -> None:
    """Serve what ``make_app`` returns, until SIGTERM or SIGINT (Ctrl-C).

    ``make_app`` is called in the event loop and may be ``async def``. Then its settings are
    checked, and the URL is printed; port 0 is any that is free. ``options`` are those of
    `tornado.httpserver.HTTPServer`, such as ``xheaders=True`` behind a proxy.

    With ``processes``, so many share the port, each with an application of its own, and one that
    dies is started again. Make stores, pools and buses in ``make_app`` or before: they connect at
    first use. The first child that can't start ends all of them, with status 1.

    After the signal no connection is taken. Open requests have ``grace`` seconds to finish; then
    the WebSockets in rooms are closed with 1012 (service restart), and every setting that has an
    ``async def close()``. A second signal ends it at once. Raises `PortInUse`,
    `ConfigurationError`, and what ``make_app`` raises.
    """
    if not isinstance(processes, int) or processes < 1:
        raise ConfigurationError(f"serve: processes must be 1 or more, not {processes!r}")
    sockets = _listen(port, address)
    try:
        if processes == 1:
            asyncio.run(_serve(make_app, sockets, grace, options))
        elif (children := Children(processes)).fork():
            asyncio.run(_serve_in_child(children, make_app, sockets, grace, options))
            sys.exit(0)  # what comes after serve() is the parent's
    finally:
        for listening in sockets:
            listening.close()


def _listen(port: int, address: str) -> list[socket.socket]:
    try:
        return bind_sockets(port, address)
    except OSError as exc:
        message = f"can't listen on port {port} of {address}: {exc.strerror}"
        if exc.errno == errno.EADDRINUSE:
            advice = "choose another port, or stop what uses this one"
            raise PortInUse(f"{message}; {advice}") from exc
        raise ConfigurationError(message) from exc


async def _serve_in_child(
    children: Children,
    make_app: MakeApp,
    sockets: list[socket.socket],
    grace: float,
    options: dict[str, Any],
) -> None:
    try:
        await _serve(make_app, sockets, grace, options, children)
    except Exception:
        children.failed()
        raise


async def _serve(
    make_app: MakeApp,
    sockets: list[socket.socket],
    grace: float,
    options: dict[str, Any],
    children: Children | None = None,
) -> None:
    made = make_app()
    app = await made if inspect.isawaitable(made) else made
    if not isinstance(app, Application):
        raise ConfigurationError(f"make_app must return a tornado.web.Application, not {app!r}")
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    try:
        check_settings(app)
        if children is not None:
            _check_shared(app)
            loop.add_reader(children.stopping, stop.set)
        server = _Server(_Entrance(app), **options)
        server.add_sockets(sockets)
        for number in SIGNALS:
            loop.add_signal_handler(number, stop.set)
        if children is None or children.first:
            _print_url(sockets, options)
        if children is not None:
            children.serving()
        await stop.wait()
        vars(app)["_ext_stopping"] = True
        for number in SIGNALS:  # the next one ends the process
            loop.remove_signal_handler(number)
        if children is not None:
            loop.remove_reader(children.stopping)
        await server.finish(grace)
    finally:
        await _close_settings(app)


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
    settings = [app.settings.get("room_bus"), *app.settings.values()]
    settings += app.settings.get("middleware", ())
    for setting in {id(setting): setting for setting in settings}.values():
        close = getattr(setting, "close", None)
        if inspect.iscoroutinefunction(close) and not isinstance(setting, type):
            try:
                await asyncio.wait_for(close(), CLOSE_TIMEOUT)
            except Exception:
                gen_log.exception("Can't close %r", setting)


class _Entrance(Router):
    """Pass requests on to an application, and know the connections that have one open."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.open: set[object] = set()

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        self.open.add(request.server_connection)
        return self.app.find_handler(request, **kwargs)


class _Server(HTTPServer):
    """An HTTP server that can wait for the requests that are open."""

    request_callback: _Entrance

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Begin to read a request: the connection's last one is answered."""
        self.request_callback.open.discard(server_conn)
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Forget a connection that is closed, or has become a WebSocket."""
        self.request_callback.open.discard(server_conn)
        super().on_close(server_conn)

    async def finish(self, grace: float) -> None:
        """Take no more connections; give the open requests ``grace`` seconds."""
        self.stop()
        self.conn_params.no_keep_alive = True  # answers say so, and end their connections
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self.request_callback.open:
                    await asyncio.sleep(0.02)
        if self.request_callback.open:
            gen_log.warning("Cut %d requests off", len(self.request_callback.open))
        await self.close_all_connections()
