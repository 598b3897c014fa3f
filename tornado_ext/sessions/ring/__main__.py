"""Look at the nodes of a ring, and give each what it owns. See ``--help``."""

import asyncio
import logging
import math
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from signal import SIGINT
from typing import NamedTuple, NoReturn

from tornado.log import app_log

from tornado_ext.errors import ConfigurationError, TornadoExtError
from tornado_ext.sessions._sharding.node import Node
from tornado_ext.sessions._sharding.replicas import Replicas
from tornado_ext.sessions.ring import Ring
from tornado_ext.sessions.ring._progress import Progress
from tornado_ext.sessions.ring._rebalance import rebalance
from tornado_ext.sessions.ring._status import status

RATE = 2000  # keys per second
PROGRAM = "python -m tornado_ext.sessions.ring"


class Parser(ArgumentParser):
    """An argument parser whose complaints are one line long."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit."""
        self.exit(2, f"{self.prog}: {message}\n")


class Given(NamedTuple):
    """A node as the command line has it."""

    name: str
    weight: int
    url: str


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command, and exit: with 1 if not all is well, and with 2 for wrong arguments."""
    options = parse(arguments)
    app_log.setLevel(logging.ERROR)  # states are told by the command itself
    try:
        run = run_status if options.command == "status" else run_rebalance
        sys.exit(asyncio.run(run(options)))
    except ConfigurationError as exc:
        complain(exc, 2)
    except TornadoExtError as exc:
        complain(exc, 1)
    except KeyboardInterrupt:
        complain("interrupted; what was done is done, and the same command goes on", 128 + SIGINT)


def complain(why: object, code: int) -> NoReturn:
    """Print one line, and exit."""
    sys.stderr.write(f"{PROGRAM}: {why}\n")
    sys.exit(code)


async def run_status(options: Namespace) -> int:
    """Print the table; return 0 if all nodes are ok."""
    replicas = ring_of(options)
    try:
        text, all_ok = await status(replicas)
    finally:
        await replicas.close()
    sys.stdout.write(text)
    return 0 if all_ok else 1


async def run_rebalance(options: Namespace) -> int:
    """Give every node what it owns."""
    replicas = ring_of(options)
    leaving = leaving_nodes(options.leaving, replicas)
    with Progress(sys.stderr) as progress:
        try:
            removed = await rebalance(replicas, leaving, options.rate, progress)
        finally:
            await replicas.close()
            await asyncio.gather(*(node.server.close() for node in leaving))
    sys.stdout.write(f"Every node has what it owns; {removed:,} other copies were removed.\n")
    return 0


def ring_of(options: Namespace) -> Replicas:
    """Return the nodes of the command line, as the store has them."""
    given: list[Given] = options.nodes
    weights = {node.name: node.weight for node in given}
    ring = Ring([node.name for node in given], weights, options.replicas)
    return Replicas({node.name: node.url for node in given}, ring, options.key_prefix)


def leaving_nodes(given: list[Given], replicas: Replicas) -> list[Node]:
    """Return the nodes of ``--from``."""
    nodes = [Node(each.name, each.url, replicas.prefix, lambda: None) for each in given]
    servers = {node.server.name for node in replicas.nodes.values()}
    for node in nodes:
        if node.name in replicas.nodes or node.server.name in servers:
            raise ConfigurationError(f"--from has {node.name!r}, which is one of NODES")
    return nodes


def parse(arguments: Sequence[str] | None) -> Namespace:
    """Read the command line, or these arguments."""
    parser = Parser(prog=PROGRAM, description="The ring of a ShardedRedisStore.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    look = commands.add_parser("status", help="tell how each node is; exit with 0 if all are ok")
    fill = commands.add_parser("rebalance", help="give every node what it owns, and no more")
    for command in (look, fill):
        command.add_argument(
            "nodes",
            nargs="+",
            type=node,
            metavar="NODES",
            help="NAME=URL, or NAME*WEIGHT=URL: all nodes of the ring, as the app has them",
        )
        command.add_argument("--replicas", type=int, help="as the app has it; 2, or 1 of one node")
        command.add_argument("--key-prefix", default="", help="as the app has it")
    fill.add_argument(
        "--rate", type=rate, default=RATE, help=f"keys to go through in a second ({RATE})"
    )
    fill.add_argument(
        "--from",
        dest="leaving",
        action="append",
        default=[],
        type=node,
        metavar="NAME=URL",
        help="a node that has left the ring, to give what it has to the others; may be repeated",
    )
    return parser.parse_args(arguments)


def node(text: str) -> Given:
    """Return a node of the command line."""
    head, _, url = text.partition("=")
    name, star, weight = head.partition("*")
    if not name or not url:
        shown = text.rpartition("@")[2]  # without the password
        raise ArgumentTypeError(f"{shown!r} is not NAME=URL or NAME*WEIGHT=URL")
    if star and not weight.isdecimal():
        raise ArgumentTypeError(f"the weight of {name!r} must be a whole number, not {weight!r}")
    return Given(name, int(weight) if star else 1, url)


def rate(text: str) -> float:
    """Return a number of keys per second."""
    try:
        keys = float(text)
    except ValueError:
        keys = math.nan
    if not 0 < keys < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return keys


if __name__ == "__main__":
    main()
