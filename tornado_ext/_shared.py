"""One connection to a Redis server that all commands of an event loop share."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado_ext._extras import require
from tornado_ext._patience import WAITS, patience

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

IN_FLIGHT = 4096  # commands that may wait for their replies
READS = frozenset({"EXISTS", "GET", "HGETALL", "HMGET"})  # change nothing: may be sent again
IDLE = 0.05  # seconds without a command; after these it is asked whether the server has closed
FIRST_RETRY, LAST_RETRY = 0.02, 1.0  # seconds between attempts to connect, doubling


class ConnectionLost(ConnectionError):
    """The connection was lost after the command was sent: it may have been carried out."""


class TooManyCommands(ConnectionError):
    """So many commands wait for their replies that this one was not sent."""


class Command(NamedTuple):
    """A command on its way, and the future of its reply."""

    packed: bytes
    repeatable: bool  # sent again, once, if the connection is lost before the reply has come
    expires: int  # a tick of the clock of `SharedConnection`
    reply: "asyncio.Future[Any]"


class SharedConnection:
    """Send the commands of one loop turn in one write, and match the replies in order.

    A connection is made when there is a command and none, and replaced when it is lost or when a
    reply is overdue; commands that were not sent yet move to the next one.
    """

    def __init__(
        self,
        connect: "Callable[[], AbstractConnection]",
        timeout: float,  # seconds, connecting included
        connect_timeout: float,  # seconds
        on_push: Callable[[Any], bool] | None = None,
    ) -> None:
        """Take what makes a connection; ``on_push`` takes what is no reply and returns True."""
        self.connect = connect
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.on_push = on_push
        self.unsent: deque[Command] = deque()
        self.asked = asyncio.Event()  # there may be commands to send
        self.line: Line | None = None  # takes new commands
        self.lines: set[Line] = set()  # this one, and those whose last replies are waited for
        self.wait = 0.0  # seconds until the next attempt, if one to connect fails
        self._pack = require("hiredis", "redis").pack_command
        self._loop = asyncio.get_running_loop()
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: Callable[[], OSError] = (
            ConnectionError  # why the last attempt to connect failed
        )
        self._retry_at = 0.0  # loop time

    def ask(self, *args: str | bytes | int | float) -> "asyncio.Future[Any]":
        """Return the future of the reply to a command.

        It, or this, raises TimeoutError if none came in time, and `ConnectionLost`: the command
        may have been carried out then; ConnectionError if it was not sent, or Redis is not ready
        for any; and redis.exceptions.ResponseError if Redis answered with an error.
        """
        packed = self._pack(args)  # here, so that what can't be packed is its caller's error alone
        line = self.line or self._open()
        if len(line.sent) + len(self.unsent) >= IN_FLIGHT:
            raise TooManyCommands(f"{IN_FLIGHT} commands wait for their replies")
        if self._timer is None:
            self._timer = self._loop.call_later(self.timeout / WAITS, self._tick)
        reply: asyncio.Future[Any] = self._loop.create_future()
        self.unsent.append(Command(packed, args[0] in READS, self._ticks + WAITS, reply))
        self.asked.set()
        return reply

    async def close(self) -> None:
        """Wait for the replies that are due, then close the connection."""
        if waiting := [command.reply for command in self._commands()]:
            await asyncio.wait(waiting)
        if self._timer is not None:
            self._timer.cancel()
        if tasks := [line.task for line in self.lines]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def drop(self, line: "Line") -> None:
        """Close ``line``; commands without a reply fail, others go to another."""
        self.dismiss(line)
        line.task.cancel()

    def refused(self, why: Exception) -> None:
        """Fail all commands, and those of the next moments at once: there is no connection."""
        kind: type[OSError] = TimeoutError if isinstance(why, TimeoutError) else ConnectionError
        self._refusal = partial(kind, str(why) or f"no connection in {self.connect_timeout:g} s")
        self._retry_at = self._loop.time() + random.uniform(self.wait / 2, self.wait)  # noqa: S311
        self.wait = min(max(FIRST_RETRY, 2 * self.wait), LAST_RETRY)
        while self.unsent:
            _fail(self.unsent.popleft(), self._refusal())

    def dismiss(self, line: "Line") -> None:
        """Give ``line`` no more commands; those that it did not send go to another."""
        if self.line is line:
            self.line = None
            if self.unsent:
                self._open()

    def _open(self) -> "Line":
        if self._loop.time() < self._retry_at:
            raise self._refusal()
        self.line = Line(self)
        self.lines.add(self.line)
        self.asked.set()
        return self.line

    def _commands(self) -> list[Command]:
        return [command for line in self.lines for command in line.sent] + list(self.unsent)

    def _tick(self) -> None:
        # As `patience`: the loop reads replies between the ticks, however late it is.
        self._ticks += 1
        for command in self._commands():
            if command.expires <= self._ticks:
                _fail(command, TimeoutError(f"no answer in {self.timeout:g} s"))
        while self.unsent and self.unsent[0].reply.done():
            self.unsent.popleft()
        for line in list(self.lines):
            line.check(self._ticks)
        waiting = self.unsent or any(line.sent or line is not self.line for line in self.lines)
        self._timer = self._loop.call_later(self.timeout / WAITS, self._tick) if waiting else None


class Line:
    """One connection, from the attempt to make it until it is lost."""

    def __init__(self, shared: SharedConnection) -> None:
        errors = require("redis.exceptions", "redis")
        # Redis answers with these too, and goes on to the next command.
        self._not_ready = errors.BusyLoadingError, errors.AuthenticationError
        self._failed = errors.ResponseError, UnicodeDecodeError
        self.sent: deque[Command] = deque()  # their replies come in this order
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._quiet_since = self._loop.time()
        self._connection = shared.connect()
        self.task = asyncio.create_task(self._run())

    def check(self, now: int) -> None:
        """Take no more commands once a reply is overdue, and end when nobody waits for any."""
        if self.sent and self.sent[0].expires <= now:
            self._shared.dismiss(self)
        if self._shared.line is not self and all(command.reply.done() for command in self.sent):
            self.task.cancel()

    async def _run(self) -> None:
        why = "closed"
        try:
            try:
                async with patience(self._shared.connect_timeout):
                    await self._connection.connect()  # type: ignore[no-untyped-call]  # redis 8.1
            except Exception as exc:
                self._shared.refused(exc)
            else:
                await self._talk()
        except Exception as exc:
            why = str(exc) or repr(exc)
        except asyncio.CancelledError:
            if self._shared.line is self:  # the loop is about to end
                self._shared.line = None
                self._shared.refused(ConnectionError(why))
            raise
        finally:
            if self._loop.is_running():  # else it was closed, and this is collected as garbage
                self._end(why)
                with suppress(Exception):  # whatever a connection that is given up dies of
                    async with patience(self._shared.connect_timeout):
                        await self._connection.disconnect()

    async def _talk(self) -> None:
        writer = asyncio.create_task(self._write())
        try:
            await self._read()
        finally:
            if self._loop.is_running():
                # First: a send on a connection that is closed would open another.
                writer.cancel()
                await asyncio.wait([writer])

    async def _write(self) -> None:
        shared = self._shared
        with suppress(require("redis.exceptions", "redis").RedisError):  # the reader sees it too
            while True:
                await shared.asked.wait()
                if not self.sent and self._loop.time() > self._quiet_since + IDLE:
                    for _ in range(3):
                        await asyncio.sleep(0)  # if it was closed, the loop tells the reader now
                if shared.line is not self:
                    return
                shared.asked.clear()
                batch = [command for command in shared.unsent if not command.reply.done()]
                shared.unsent.clear()
                self.sent += batch
                packed = [command.packed for command in batch]
                await self._connection.send_packed_command(packed, check_health=False)

    async def _read(self) -> None:
        read, sent, on_push = self._connection.read_response, self.sent, self._shared.on_push
        while True:
            try:
                reply = await read(disconnect_on_error=False)
            except self._failed as exc:
                _fail(sent.popleft(), exc)
            except self._not_ready as exc:
                _fail(sent.popleft(), ConnectionError(str(exc)))
            else:
                self._shared.wait = 0.0
                if on_push is not None and on_push(reply):
                    continue
                waiting = sent.popleft().reply
                if not waiting.done():  # else the request was cancelled, or it is too late
                    waiting.set_result(reply)
                if not sent:
                    self._quiet_since = self._loop.time()

    def _end(self, why: str) -> None:
        shared = self._shared
        shared.lines.discard(self)
        for command in reversed(self.sent):
            if command.repeatable and shared.line is self:
                shared.unsent.appendleft(command._replace(repeatable=False))
            else:
                _fail(command, ConnectionLost(f"the command may have been carried out: {why}"))
        self.sent.clear()
        shared.dismiss(self)


def _fail(command: Command, why: Exception) -> None:
    if not command.reply.done():  # else the request was cancelled
        command.reply.set_exception(why)
