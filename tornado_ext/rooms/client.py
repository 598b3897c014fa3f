"""One client of the rooms: the frames that it is sent, and the limits that it is held to."""

import asyncio
import struct

from tornado.iostream import IOStream, StreamBufferFullError
from tornado.log import app_log, gen_log
from tornado.websocket import WebSocketHandler

TEXT, BINARY = 0x1, 0x2  # opcodes (RFC 6455 section 5.2)
TOO_SLOW = 1013, "too slow, try again"  # IANA's registry of WebSocket close codes
CONTROL = 1024  # bytes that are kept free for Tornado's pings, its pongs and the close frame


def frame(opcode: int, payload: bytes) -> bytes:
    """Return the one frame of a message, unmasked and not compressed (RFC 6455 section 5.2).

    It is legal on a connection with permessage-deflate too (RFC 7692 section 6).
    """
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 2**16:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


class Outgoing:
    """What is on its way to one client, which is closed when that is too much or too old."""

    __slots__ = ("_handler", "_last", "_seconds", "_size", "_stream", "_timer")

    def __init__(
        self, handler: WebSocketHandler, stream: IOStream, size: int, seconds: float
    ) -> None:
        """Let ``size`` bytes wait for ``seconds`` at most."""
        self._handler = handler
        self._stream = stream
        self._size = size
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        stream.max_write_buffer_size = size + CONTROL

    def send(self, data: bytes) -> None:
        """Write whole frames, unless the connection is closing."""
        connection = self._handler.ws_connection
        if connection is None or connection.is_closing():
            return
        if not self._stream.writing() and not (data := self._rest(data)):
            return
        self._stream.max_write_buffer_size = self._size
        try:
            sent = self._stream.write(data)
        except StreamBufferFullError:
            self._give_up(f"more than {self._size} bytes wait for it")
        else:
            if not sent.done():
                self._watch(sent)
        finally:
            self._stream.max_write_buffer_size = self._size + CONTROL

    def close(self, code: int, reason: str) -> None:
        """Close the WebSocket, also when its buffer is full. Tornado gives it 5 seconds."""
        self._stream.max_write_buffer_size = None
        try:
            self._handler.close(code, reason)
        except Exception:  # of an override: it must not keep the others from being closed
            app_log.exception("%s.close() failed", type(self._handler).__name__)
            self._stream.close()

    def _rest(self, data: bytes) -> bytes:
        """Return what the kernel does not take at once: write() costs as much as the send."""
        try:
            return data[self._stream.write_to_fd(memoryview(data)) :]
        except BlockingIOError:
            return data
        except OSError:
            self._stream.close(exc_info=True)
            return b""

    def _watch(self, sent: "asyncio.Future[None]") -> None:
        self._last = sent
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._check, sent)

    def _check(self, sent: "asyncio.Future[None]") -> None:
        self._timer = None
        if not sent.done():
            self._give_up(f"it has read nothing of the last {self._seconds:g} s")
        elif not self._last.done():
            self._watch(self._last)

    def _give_up(self, why: str) -> None:
        gen_log.warning("Closed the WebSocket of %s: %s", self._handler.request.remote_ip, why)
        self.close(*TOO_SLOW)


class Pace:
    """How long each message of a client has to wait, so that they come at no more than a rate."""

    __slots__ = ("_due", "_early", "_interval")

    def __init__(self, rate: float, burst: float) -> None:
        """Allow ``rate`` messages a second, and after a pause ``burst`` at once."""
        self._interval = 1 / rate
        self._early = burst / rate
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Count a message, and return the seconds after which it may be handled."""
        self._due = max(self._due, now) + self._interval
        return max(0.0, self._due - now - self._early)
