"""Serve an application: the arguments, the port, and one process or several."""

import errno
import math
import socket
from typing import Any

from tornado.netutil import bind_sockets

from tornado_ext.errors import ConfigurationError
from tornado_ext.serving.children import Children
from tornado_ext.serving.process import MakeApp, Process


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
    ends is started again. Make stores, pools and buses in ``make_app`` or before: they connect at
    first use. The first child that can't start ends all of them, with status 1.

    After the signal no connection is taken. Requests have ``grace`` seconds to finish; then the
    WebSockets in rooms are closed with 1012 (service restart), and every setting that has an
    ``async def close()``. What hangs is killed 15 seconds after ``grace``, and a second signal ends
    all at once. Raises `PortInUse`, `ConfigurationError`, and what ``make_app`` raises.
    """
    _check(port, processes, grace)
    sockets = _listen(port, address)
    process = Process(make_app, sockets, grace, options)
    try:
        if processes == 1:
            process.run()
        elif (children := Children(processes, sockets, process.seconds_of_all)).fork():
            process.run_in(children)
    finally:
        for listening in sockets:
            listening.close()


def _check(port: int, processes: int, grace: float) -> None:
    if not isinstance(port, int) or not 0 <= port < 2**16:
        raise ConfigurationError(f"serve: port must be a number from 0 to 65535, not {port!r}")
    if not isinstance(processes, int) or processes < 1:
        raise ConfigurationError(f"serve: processes must be 1 or more, not {processes!r}")
    if not isinstance(grace, (int, float)) or not 0 <= grace < math.inf:
        raise ConfigurationError(f"serve: grace must be a number of seconds, not {grace!r}")


def _listen(port: int, address: str) -> list[socket.socket]:
    try:
        return bind_sockets(port, address)
    except OSError as exc:
        message = f"can't listen on port {port} of {address}: {exc.strerror}"
        if exc.errno == errno.EADDRINUSE:
            advice = "choose another port, or stop what uses this one"
            raise PortInUse(f"{message}; {advice}") from exc
        raise ConfigurationError(message) from exc
