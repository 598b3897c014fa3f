"""The servers of `benchmarks.rooms`: each sends what a client asks for to all its clients.

A client sends ``"10"`` and everybody gets ten messages, which came in one turn of the event loop.
"""

import asyncio
import logging
import sys
import time

from tornado.escape import json_encode
from tornado.web import Application
from tornado.websocket import WebSocketHandler
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as serve_websockets

from benchmarks._servers import listen, serve, until_stdin_ends
from tornado_ext.rooms import LocalBus, RedisBus, RoomMixin

TEXT = "x" * 226


def message() -> dict[str, object]:
    """Return what is said: 270 bytes with the frame's header; ``at`` is when, in seconds."""
    return {"text": TEXT, "at": f"{time.time():.7f}"}


class Plain(WebSocketHandler):
    """Tornado alone, as in its own chat demo."""

    everybody: set["Plain"] = set()

    def open(self) -> None:
        """Enter."""
        self.everybody.add(self)

    def on_message(self, number: str | bytes) -> None:
        """Write each message to each client."""
        for _ in range(int(number)):
            said = message()
            for each in self.everybody:
                each.write_message(said)

    def on_close(self) -> None:
        """Leave."""
        self.everybody.discard(self)


class Room(RoomMixin, WebSocketHandler):
    """The room of this package."""

    async def open(self) -> None:
        """Enter."""
        await self.join("room")

    async def on_message(self, number: str | bytes) -> None:
        """Broadcast."""
        await asyncio.gather(*(self.broadcast("room", message()) for _ in range(int(number))))


async def peer() -> None:
    """Serve with the websockets library, without compression, which costs twice the CPU."""
    everybody: set[ServerConnection] = set()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # clients leave without a word

    async def talk(client: ServerConnection) -> None:
        everybody.add(client)
        try:
            async for number in client:
                for _ in range(int(number)):
                    broadcast(everybody, json_encode(message()))
        finally:
            everybody.discard(client)

    async with serve_websockets(talk, sock=listen(), compression=None, ping_interval=None):
        await until_stdin_ends()


async def main(kind: str, redis_url: str = "") -> None:
    """Serve until standard input ends."""
    if kind == "websockets":
        await peer()
        return
    handler = Plain if kind == "plain" else Room
    bus = RedisBus(redis_url) if redis_url else LocalBus()
    await serve(Application([("/", handler)], room_bus=bus))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
