"""Redis pub/sub that keeps itself connected: the plumbing of `RedisBus`."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable
from itertools import count
from typing import Any, NamedTuple

from tornado.log import gen_log

from tornado_ext._patience import patience
from tornado_ext._redis import RedisServer
from tornado_ext._shared import ConnectionLost, Line

SLICE = 500  # commands that are sent at once; a connection takes 4,096
RETRY = 0.1  # seconds between attempts; the connection makes them rarer while Redis is away

OnMessage = Callable[[str, bytes], None]  # channel, payload


async def in_slices(do: Callable[[str], Awaitable[object]], names: Iterable[str]) -> None:
    """Await ``do`` of each name, many at once: what they send leaves in one write.

    Raises the first exception when the others of its slice are done.
    """
    rest = list(names)
    for start in range(0, len(rest), SLICE):
        work = map(do, rest[start : start + SLICE])
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result


class PubSub:
    """Listen on channels of a Redis, on a connection that is made anew when it is lost.

    What is published here comes back here once, whatever becomes of Redis. ``channels()`` are
    those to listen on after connecting; ``on_beat`` is awaited then, and every ``interval``
    seconds. What Redis does not do in time raises as `RedisServer.command` does; at once, if it
    is known to be away.
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
        self._listener = server.listener(self._receive)
        self._line: Line | None = None  # the one on which all channels are listened to
        self._why_not = "not connected"
        self._tried = asyncio.Event()  # the first attempt to connect has ended
        self._reported = False  # that Redis is away
        self._keeper = asyncio.create_task(self._keep())

    async def publish(self, channel: str, payload: bytes) -> None:
        """Publish, and return when the message has come back, if this process listens.

        When this raises, ``on_message`` has had the message; other processes may not.
        """
        number, sent = next(self._numbers), _Sent(channel, payload, asyncio.Future())
        line = None
        try:
            async with patience(self._server.timeout):
                await self.check()
                self._in_flight[number] = sent
                header = f"{self.process}:{number} ".encode()
                await self._server.command("PUBLISH", channel, header + payload)
                line = self._line
                if channel in self._heard and not await asyncio.shield(sent.came_back):
                    raise ConnectionLost("connection lost")
        except Exception as exc:
            if line is not None and isinstance(exc, TimeoutError):
                self._listener.drop(line)  # it has gone deaf
            self._deliver(number, sent, stray=isinstance(exc, (TimeoutError, ConnectionLost)))
            raise
        finally:
            self._in_flight.pop(number, None)

    async def listen(self, channel: str) -> None:
        """Return when messages of ``channel`` arrive."""
        await self.check()
        if channel not in self._heard:
            await self._subscribe(channel)

    async def ignore(self, channel: str) -> None:
        """Listen no more on ``channel``."""
        self._heard.discard(channel)  # what is published from now on may not come back
        await self.check()
        await self._listener.ask("UNSUBSCRIBE", channel)
        self._heard.discard(channel)

    async def close(self) -> None:
        """Listen no more, for good."""
        self._why_not = "closed"
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        await self._listener.close()

    async def check(self) -> None:
        """Raise ConnectionError while messages do not arrive."""
        await self._tried.wait()
        if self._line is None or self._line is not self._listener.line:
            raise ConnectionError(self._why_not)

    async def _keep(self) -> None:
        while True:
            try:
                await self._hold()
            except Exception as exc:
                self._report(str(exc) or "no answer")
            finally:
                self._line = None
                for number, sent in self._in_flight.items():
                    self._deliver(number, sent, stray=True)
                self._tried.set()
            await asyncio.sleep(random.uniform(RETRY / 2, RETRY))  # noqa: S311

    async def _hold(self) -> None:
        """Connect and listen; raise when the connection is lost."""
        await self._listener.ask("PING")
        line = self._listener.line
        if line is None:
            raise ConnectionError("connection lost")
        try:
            await self._hold_on_to(line)
        except Exception:
            self._listener.drop(line)  # else it may go on to bring what the next one brings too
            raise

    async def _hold_on_to(self, line: Line) -> None:
        await self._listen_again()
        self._line = line
        self._tried.set()
        if self._reported:
            self._reported = False
            gen_log.warning("Redis at %s is back", self._server.name)
        while True:
            await self._listener.ask("PING")
            await self._on_beat()
            await asyncio.wait([line.task], timeout=self._interval)
            if line is not self._listener.line:
                raise ConnectionError("connection lost")

    async def _listen_again(self) -> None:
        self._heard.clear()
        while missing := set(self._channels()) - self._heard:  # more may come in the meantime
            await in_slices(self._subscribe, missing)

    async def _subscribe(self, channel: str) -> None:
        await self._listener.ask("SUBSCRIBE", channel)
        self._heard.add(channel)

    def _receive(self, reply: Any) -> bool:
        """Take a message; return False for what is the reply to a command."""
        if not isinstance(reply, list) or reply[:1] != [b"message"]:
            return False
        try:
            self._take(reply[1].decode(), reply[2])
        except (TypeError, ValueError):  # to raise here would end the connection
            gen_log.warning("Redis at %s brought what no bus has sent", self._server.name)
        return True

    def _take(self, channel: str, message: bytes) -> None:
        header, _, payload = message.partition(b" ")
        process, _, text = header.partition(b":")
        number = int(text)
        if process == self.process.encode():
            if number in self._strays:
                self._strays.remove(number)
                return
            if (sent := self._in_flight.get(number)) is not None:
                sent.came_back.set_result(True)
        self._on_message(channel, payload)

    def _deliver(self, number: int, sent: "_Sent", *, stray: bool) -> None:
        """Give a message to on_message here, unless it has had it; ``stray`` may come back."""
        if not sent.came_back.done():
            if stray:
                self._strays.add(number)
            sent.came_back.set_result(False)
            self._on_message(sent.channel, sent.payload)

    def _report(self, why: str) -> None:
        self._why_not = f"not connected: {why}"
        if not self._reported:
            self._reported = True
            gen_log.warning("Redis at %s is away: %s", self._server.name, why)


class _Sent(NamedTuple):
    """A message on its way through Redis."""

    channel: str
    payload: bytes
    came_back: "asyncio.Future[bool]"  # False: it was delivered without
