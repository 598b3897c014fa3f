"""Run the app: ``python -m demo_app --port 8888``. See ``--help``."""

import sys
from argparse import ArgumentParser
from functools import partial
from logging import WARNING
from pathlib import Path
from typing import NoReturn

from tornado.log import access_log, enable_pretty_logging

from demo_app.app import start
from demo_app.config import Config
from tornado_ext.errors import TornadoExtError
from tornado_ext.serving import serve

PORT_HELP = "8888; 0 is one that is free"
BODY_LIMIT = 64 * 1024  # bytes of a request; Tornado's own is 100 MiB, in memory


class Parser(ArgumentParser):
    """An argument parser whose complaints are one line long."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit."""
        self.exit(2, f"{self.prog}: {message}\n")


def main() -> None:
    """Serve what the command line says; a setting that can't be right ends with one line."""
    try:
        run(parse())
    except TornadoExtError as exc:
        sys.exit(f"demo_app: {exc}")


def run(config: Config) -> None:
    """Serve until SIGTERM or Ctrl-C, and log what is worth reading."""
    enable_pretty_logging()
    access_log.setLevel(WARNING)
    serve(
        partial(start, config),
        config.port,
        address=config.address,
        processes=config.processes,
        xheaders=bool(config.trusted_proxies),
        max_body_size=BODY_LIMIT,
    )


def parse() -> Config:
    """Read the command line."""
    parser = Parser(prog="demo_app", description="A login and chat app on tornado-ext.")
    parser.add_argument("--port", type=int, default=Config.port, help=PORT_HELP)
    parser.add_argument("--address", default=Config.address, help="to listen on (127.0.0.1)")
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
    parser.add_argument("--processes", type=int, default=1, help="that share the port (1)")
    parser.add_argument(
        "--trusted-proxies",
        nargs="+",
        default=(),
        metavar="NETWORK",
        help="such as 10.0.0.0/8, whose X-Forwarded-* headers are believed; nobody else can reach"
        " the port then",
    )
    return Config(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
