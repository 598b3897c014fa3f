"""Simulated Redis servers, and the connections that processes have to them.

Nothing moves by itself: a command is carried out, and its reply taken back, when somebody calls
`Connection.deliver`.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from tests.sessions.simulation.clockwork import Loop
from tests.sessions.simulation.keyspace import Keyspace
from tests.sessions.simulation.lua import Scripts, digest
from tornado_ext.sessions._sharding import scripts

TIMEOUT = 0.5  # seconds, for one command
EPOCH = 1_700_000_000.0  # seconds, when the loop's clock is at 0
KEPT, OLD, EMPTY = "kept", "old", "empty"  # the data with which a node may return


SCRIPTS = Scripts()
UPKEEP = {digest(scripts.LOOK), digest(scripts.CLAIM)}


class ConnectionLost(ConnectionError):
    """The command may have been carried out."""


@dataclass(eq=False, slots=True)
class Message:
    """A command on its way, and the future of its reply."""

    args: tuple[str, ...]
    reply: "asyncio.Future[Any]"
    at: float  # loop time when it was sent

    @property
    def is_upkeep(self) -> bool:
        """Whether it serves no deed."""
        return self.args[0] in ("HSCAN", "SCAN") or self.args[1] in UPKEEP


class Node:
    """A Redis server, which runs, is frozen, or is down."""

    def __init__(self, name: str, loop: Loop) -> None:
        self.name, self.loop = name, loop
        self.keyspace = Keyspace(lambda: EPOCH + loop.time())
        self.keyspace.batch = 3
        self.texts: dict[str, str] = {}  # of scripts that were loaded
        self.connections: list[Connection] = []
        self.up, self.frozen, self.starts = False, False, 0
        self.saved = self.keyspace.dump()
        self.start(KEPT)

    def start(self, data: str) -> None:
        """Begin a new run, with its own data, with the data saved last, or with none."""
        if data != KEPT:
            self.keyspace.restore(self.saved if data == OLD else {})
        self.texts.clear()
        self.starts += 1
        self.keyspace.run_id = f"{self.name}{self.starts}".ljust(40, "0")
        self.up = True

    def kill(self) -> None:
        """End: what was sent and not carried out is lost."""
        self.up = self.frozen = False
        for connection in list(self.connections):
            connection.lose()

    def save(self) -> None:
        self.saved = self.keyspace.dump()

    def held(self) -> "list[Connection]":
        """Return the connections on which something is to arrive late."""
        return [one for one in self.connections if one.held_until and one.sent]

    def run(self, args: tuple[str, ...]) -> Any:
        """Carry out a command, and return its reply or the error that it is."""
        verb, *rest = args
        try:
            if verb not in ("EVAL", "EVALSHA"):
                return self.keyspace.run(verb, *rest)
            text, count, *words = rest
            if verb == "EVAL":
                self.texts[digest(text)] = text
            else:
                text = self.texts.get(text) or TEXTS[text]  # a script is never unknown: see there
            keys, argv = words[: int(count)], words[int(count) :]
            return SCRIPTS.run(self.keyspace, text, keys, *argv)
        except ResponseError as exc:
            return exc


TEXTS: dict[str, str] = {}  # all scripts that were ever sent; NOSCRIPT is RedisServer's affair


class Connection:
    """What one process sends to one node, in order."""

    def __init__(self, node: Node, server: "Server") -> None:
        self.node, self.server = node, server
        self.sent: deque[Message] = deque()
        self.greeted = False  # the process knows the run id
        self.held_until = 0.0  # loop time; if set, nor before the process has given up waiting
        node.connections.append(self)

    @property
    def can_deliver(self) -> bool:
        if not self.sent or not self.node.up or self.node.frozen:
            return False
        return not self.held_until or (self.late and self.held_until <= self.node.loop.time())

    @property
    def late(self) -> bool:
        """Whether nobody waits any more for what is delivered next."""
        return self.sent[0].reply.done() or not self.server.alive

    @property
    def waited_for_since(self) -> float:
        """When the first command was sent whose reply is still waited for."""
        waited_for = (message.at for message in self.sent if not message.reply.done())
        return next(waited_for, math.inf) if self.server.alive else math.inf

    def deliver(self) -> None:
        """Carry out the first command, and take its reply back."""
        if not self.greeted and self.server.alive:
            self.greeted = True
            self.server.on_connect(self.node.keyspace.run_id)
        message, reply = self.carry_out()
        if message.reply.done() or not self.server.alive:
            return
        if isinstance(reply, ResponseError):
            message.reply.set_exception(reply)
        else:
            message.reply.set_result(reply)

    def carry_out(self) -> tuple[Message, Any]:
        """Carry out the first command; its reply stays here."""
        message = self.sent.popleft()
        reply = self.node.run(message.args)
        self._end_if_done()
        return message, reply

    def lose(self, carried_out: int = 0) -> None:
        """Break, when so many commands were carried out: no reply comes any more."""
        waiting = list(self.sent)
        for _ in range(carried_out):
            self.carry_out()
        self.sent.clear()
        self.server.forget(self)
        self._end_if_done()
        for message in waiting:
            if not message.reply.done() and self.server.alive:
                error = ConnectionLost if self.greeted else ConnectionError
                message.reply.set_exception(error(f"{self.node.name} is gone"))

    def expire(self, message: Message) -> None:
        """Give up waiting; what was sent may still be carried out."""
        if message.reply.done() or not self.server.alive:
            return
        message.reply.set_exception(TimeoutError(f"{self.node.name} did not answer"))
        self.server.forget(self)
        if not self.greeted and message in self.sent:
            self.sent.remove(message)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if not self.sent and self.server.connection is not self and self in self.node.connections:
            self.node.connections.remove(self)


class Server:
    """Stands in place of `tornado_ext._redis.RedisServer` in one process."""

    timeout = TIMEOUT

    def __init__(self, node: Node, on_connect: Callable[[str], None] | None) -> None:
        self.node = node
        self.name = node.name
        self.on_connect = on_connect or (lambda run_id: None)
        self.connection: Connection | None = None
        self.alive = True  # the process is
        self._hold_until = 0.0

    def ask(self, *args: str | float) -> "asyncio.Future[Any]":
        if not self.alive:
            raise asyncio.CancelledError
        reply = self.node.loop.create_future()
        if not self.node.up:
            reply.set_exception(ConnectionError(f"{self.node.name} is down"))
            return reply
        if self.connection is None:
            self.connection = Connection(self.node, self)
            self.connection.held_until, self._hold_until = self._hold_until, 0.0
        message = Message(tuple(map(str, args)), reply, self.node.loop.time())
        self.connection.sent.append(message)
        self.node.loop.call_later(TIMEOUT, self.connection.expire, message)
        return reply

    def hold(self, seconds: float) -> None:
        """Deliver what is sent next only after so long, and after nobody waits for it."""
        until = self.node.loop.time() + seconds
        if self.connection is not None:
            self.connection.held_until = until
        else:
            self._hold_until = until

    async def command(self, *args: str | float) -> Any:
        return await self.ask(*args)

    async def script(self, text: str, keys: Sequence[str], *args: str | float) -> Any:
        TEXTS.setdefault(digest(text), text)
        return await self.ask("EVALSHA", digest(text), len(keys), *keys, *args)

    async def close(self) -> None:
        if self.connection is not None:
            self.connection.lose()

    def forget(self, connection: Connection) -> None:
        if self.connection is connection:
            self.connection = None
