"""Redis pub/sub that keeps itself connected: the plumbing of `tornado_ext.rooms.RedisBus`."""

import asyncio
import random
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, NamedTuple, Self

from tornado.log import gen_log

from tornado_ext._extras import require
from tornado_ext._patience import patience
from tornado_ext._redis import TOTAL_TIMEOUT, RedisServer

FIRST_RETRY, LAST_RETRY = 0.1, 2.0  # seconds between attempts to connect, doubling

OnMessage = Callable[[str, bytes], None]  # channel, payload


class Refused(Exception):
    """Redis answered a command with an error."""


class PubSub:
    """Listen on channels, and send commands, on two connections that are made anew when lost.

    What is published here comes back here once, whatever becomes of Redis. ``channels()`` are
    those to listen on after connecting; ``on_beat`` is awaited then, and every ``interval``
    seconds. Every method takes `TOTAL_TIMEOUT` seconds at most, and raises `Refused`, or
    ConnectionError when Redis is away: at once, if that is known.
    """

    def __init__(
        self,
        server: RedisServer,
        *,
        channels: Callable[[], Iterable[str]],
        on_message: OnMessage,
        on_beat: Callable[[], Awaitable[None]],
        interval: float,
    ) -> None:
        self.process = secrets.token_hex(8)
        self._server = server
        self._channels = channels
        self._on_message = on_message
        self._on_beat = on_beat
        self._interval = interval
        self._heard: set[str] = set()  # the channels that Redis has confirmed
        self._numbers = count()
        self._in_flight: dict[int, _Sent] = {}
        self._strays: set[int] = set()  # given to on_message; Redis may still bring them back
        self._lines: tuple[_Line, _Line] | None = None  # one listens, one is for commands
        self._tried = asyncio.Event()  # the first attempt to connect has ended
        self._lost = asyncio.Event()
        self._reported = False  # that Redis is away
        self._keeper = asyncio.create_task(self._keep())

    async def command(self, *command: str | bytes | float) -> Any:
        """Return the reply to ``command``."""
        async with self._answering() as (_, commands):
            return await commands.ask(*command)

    async def publish(self, channel: str, payload: bytes) -> None:
        """Publish, and return when the message has come back, if this process listens.

        When this raises, ``on_message`` has had the message; other processes may not.
        """
        number, sent = next(self._numbers), _Sent(channel, payload, asyncio.Future())
        try:
            async with self._answering() as (_, commands):
                self._in_flight[number] = sent
                header = f"{self.process}:{number} ".encode()
                await commands.ask("PUBLISH", channel, header + payload)
                if channel in self._heard and not await asyncio.shield(sent.came_back):
                    raise ConnectionError("connection lost")
        except (ConnectionError, Refused):
            if not sent.came_back.done():
                self._on_message(channel, payload)
            raise
        finally:
            self._in_flight.pop(number, None)

    async def listen(self, channel: str) -> None:
        """Return when messages of ``channel`` arrive."""
        async with self._answering() as (listener, _):
            await listener.ask("SUBSCRIBE", channel)
            self._heard.add(channel)

    async def ignore(self, channel: str) -> None:
        """Listen no more on ``channel``."""
        self._heard.discard(channel)  # what is published from now on may not come back
        async with self._answering() as (listener, _):
            await listener.ask("UNSUBSCRIBE", channel)
            self._heard.discard(channel)

    async def close(self) -> None:
        """Close both connections, for good."""
        self._keeper.cancel()
        await asyncio.wait([self._keeper])

    @asynccontextmanager
    async def _answering(self) -> "AsyncIterator[tuple[_Line, _Line]]":
        lines = None
        try:
            async with patience(TOTAL_TIMEOUT):
                await self._tried.wait()
                lines = self._lines
                if lines is None:
                    raise ConnectionError("not connected")
                yield lines
        except TimeoutError as exc:
            if lines is not None:
                lines[0].fail(exc)
            raise ConnectionError("no answer") from exc

    async def _keep(self) -> None:
        wait = FIRST_RETRY
        while True:
            try:
                await self._hold()
                wait = FIRST_RETRY
            except Exception as exc:
                self._fail(exc)
            self._tried.set()
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311
            wait = min(2 * wait, LAST_RETRY)

    async def _hold(self) -> None:
        """Connect, and return when a connection is lost."""
        self._lost.clear()
        async with (
            _Line(self._server, self._receive, self._fail) as listener,
            _Line(self._server, self._receive, self._fail) as commands,
        ):
            await self._listen_again(listener)
            self._lines = listener, commands
            self._tried.set()
            if self._reported:
                self._reported = False
                gen_log.warning("Redis at %s is back", self._server.name)
            while not self._lost.is_set():
                async with patience(TOTAL_TIMEOUT):
                    await listener.ask("PING")
                await self._on_beat()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._interval):
                        await self._lost.wait()

    async def _listen_again(self, listener: "_Line") -> None:
        self._heard.clear()
        while missing := set(self._channels()) - self._heard:  # more may come in the meantime
            for channel in missing:
                async with patience(TOTAL_TIMEOUT):
                    await listener.ask("SUBSCRIBE", channel)
                self._heard.add(channel)

    def _receive(self, channel: str, message: bytes) -> None:
        header, _, payload = message.partition(b" ")
        process, _, number = header.partition(b":")
        if process == self.process.encode():
            if int(number) in self._strays:
                self._strays.remove(int(number))
                return
            if (sent := self._in_flight.get(int(number))) is not None:
                sent.settle(came_back=True)
        self._on_message(channel, payload)

    def _fail(self, exc: Exception) -> None:
        self._lines = None
        self._lost.set()
        for number, sent in self._in_flight.items():
            if not sent.came_back.done():
                self._strays.add(number)
                sent.settle(came_back=False)
                self._on_message(sent.channel, sent.payload)
        if not self._reported:
            self._reported = True
            gen_log.warning("Redis at %s is away: %s", self._server.name, str(exc) or "no answer")


class _Sent(NamedTuple):
    """A message on its way through Redis."""

    channel: str
    payload: bytes
    came_back: "asyncio.Future[bool]"

    def settle(self, *, came_back: bool) -> None:
        if not self.came_back.done():
            self.came_back.set_result(came_back)


class _Line:
    """One connection, on which commands leave at once; replies are matched to them in order.

    Its first failure is told to ``on_failure``; from then on commands raise ConnectionError.
    """

    def __init__(
        self, server: RedisServer, on_message: OnMessage, on_failure: Callable[[Exception], None]
    ) -> None:
        pool = server.client.connection_pool
        # `patience` bounds the waits. Replies are bytes and lists, whatever the URL says.
        options = {
            **pool.connection_kwargs,
            "socket_timeout": None,
            "socket_connect_timeout": None,
            "decode_responses": False,
            "protocol": 2,
        }
        self._connection = pool.connection_class(**options)
        self._error_reply = require("redis.exceptions", "redis").ResponseError
        self._on_message = on_message
        self._on_failure = on_failure
        self._failure = ""
        self._waiting: deque[asyncio.Future[Any]] = deque()

    async def __aenter__(self) -> Self:
        async with patience(TOTAL_TIMEOUT):
            await self._connection.connect()  # type: ignore[no-untyped-call]  # redis 8.1
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._end("closed")
        self._reader.cancel()
        await asyncio.wait([self._reader])
        await self._connection.disconnect(nowait=True)

    async def ask(self, *command: str | bytes | float) -> Any:
        """Return the reply to ``command``; raise `Refused` if it is an error."""
        if self._failure:
            raise ConnectionError(self._failure)
        reply = asyncio.get_running_loop().create_future()
        self._waiting.append(reply)
        try:
            await self._connection.send_command(*command)
        except Exception as exc:
            self.fail(exc)
        return await reply

    def fail(self, exc: Exception) -> None:
        """Give the connection up because of ``exc``."""
        if not self._failure:
            self._end(str(exc) or "no answer")
            self._on_failure(exc)

    def _end(self, why: str) -> None:
        self._failure = why
        for reply in self._waiting:
            if not reply.done():
                reply.set_exception(ConnectionError(why))

    async def _read(self) -> None:
        try:
            while True:
                self._take(await self._reply())
        except Exception as exc:
            self.fail(exc)

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response()
        except self._error_reply as exc:
            return Refused(str(exc))

    def _take(self, reply: Any) -> None:
        if isinstance(reply, list) and reply[:1] == [b"message"]:
            self._on_message(reply[1].decode(), reply[2])
            return
        waiting = self._waiting.popleft()
        if waiting.done():  # who asked was cancelled
            return
        if isinstance(reply, Refused):
            waiting.set_exception(reply)
        else:
            waiting.set_result(reply)
