"""Run the app: ``python -m demo_app --port 8888``. See ``--help``."""

import asyncio
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import NoReturn

from tornado.httpserver import HTTPServer
from tornado.log import enable_pretty_logging
from tornado.netutil import bind_sockets
from tornado.web import Application

from demo_app.app import make_app, release
from demo_app.config import Config, naming
from tornado_ext.errors import ConfigurationError


class Parser(ArgumentParser):
    """An argument parser whose complaints are one line long."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit."""
        self.exit(2, f"{self.prog}: {message}\n")


def main() -> None:
    """Serve until SIGTERM or Ctrl-C; a setting that can't be right ends with one line."""
    config = parse()
    enable_pretty_logging()
    try:
        asyncio.run(run(config))
    except ConfigurationError as exc:
        sys.exit(f"demo_app: {exc}")


async def run(config: Config) -> None:
    """Connect, serve, and let go of everything at the end."""
    app = make_app(config)
    try:
        with naming("--database"):
            await app.settings["storage"].start()
        await serve(app, config)
    finally:
        await release(app)


async def serve(app: Application, config: Config) -> None:
    """Answer requests until a signal comes."""
    with naming("--port"):
        sockets = bind_sockets(config.port, config.address)
    server = HTTPServer(app)
    server.add_sockets(sockets)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"http://{config.address}:{sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.stop()
    await server.close_all_connections()


def parse() -> Config:
    """Read the command line."""
    parser = Parser(prog="demo_app", description="A login and chat app on tornado-ext.")
    parser.add_argument("--port", type=port, default=Config.port)
    parser.add_argument("--address", default=Config.address)
    parser.add_argument("--data", type=Path, default=Config.data, help="directory for files (var)")
    parser.add_argument(
        "--sessions",
        nargs="+",
        default=Config.sessions,
        metavar="STORE",
        help="sqlite, one redis:// URL, or shards: a=redis://... b=redis://...",
    )
    parser.add_argument("--database", default=Config.database, help="sqlite or a mysql:// URL")
    parser.add_argument("--rooms", default=Config.rooms, help="local or a redis:// URL")
    return Config(**vars(parser.parse_args()))


def port(text: str) -> int:
    """Return a TCP port; 0 is one that is free."""
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


if __name__ == "__main__":
    main()
