"""Somebody who numbers what he says, checks what he hears, and comes back whatever happens."""

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from tornado.httpclient import HTTPClientError
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError

from tests.demo_app.talker import text_of
from tornado_ext.testing import Client

ANSWER = 2.0  # seconds; who hears nothing for so long asks, and then connects again
PACE = 0.05  # seconds between two messages


class Chatter:
    """One end of a chat, by the rules that ``chat.js`` follows."""

    def __init__(self, name: str, client: Client, path: str, urls: Sequence[str]) -> None:
        self.name = name
        self.client = client
        self.path = path
        self.urls = urls
        self.said = 0  # messages that the room has shown
        self.heard: list[tuple[int, str]] = []
        self.quiet = False  # says no more
        self.connections = 0
        self.logged_out = False
        self.late: set[asyncio.Future[WebSocketClientConnection]] = set()

    @property
    def last(self) -> int:
        return self.heard[-1][0] if self.heard else 0

    async def talk(self) -> None:
        """Connect, to one of the addresses after the other, until the task is cancelled."""
        for number in count(random.randrange(len(self.urls))):
            self.client.base_url = self.urls[number % len(self.urls)]
            opening = asyncio.ensure_future(self.client.websocket(f"{self.path}?after={self.last}"))
            await asyncio.wait([opening], timeout=ANSWER)
            if not opening.done():
                self.late.add(opening)
                opening.add_done_callback(self.close_late)
            elif (exc := opening.exception()) is not None:
                self.logged_out |= isinstance(exc, HTTPClientError) and exc.code == 401
            else:
                self.connections += 1
                await self.attend(opening.result())
            await asyncio.sleep(random.uniform(0.05, 0.3))

    def close_late(self, opening: "asyncio.Future[WebSocketClientConnection]") -> None:
        """Close what was opened when nobody waited for it any more."""
        self.late.discard(opening)
        if opening.exception() is None:
            opening.result().close()

    async def attend(self, socket: WebSocketClientConnection) -> None:
        """Say and hear until the connection is no good any more."""
        speaking = asyncio.ensure_future(asyncio.sleep(0))
        asked = False
        try:
            while True:
                try:
                    frame = await asyncio.wait_for(socket.read_message(), ANSWER)
                except TimeoutError:
                    if asked:
                        return
                    asked = True
                    await self.send(socket, type="sync", after=self.last)
                    continue
                if frame is None:
                    self.logged_out |= socket.close_code == 4401
                    return
                asked = False
                data = json.loads(frame)
                if data["type"] == "message" and not self.hear(data):
                    await self.send(socket, type="sync", after=self.last)
                if data["type"] in ("ready", "later") or self.is_mine(data):
                    speaking.cancel()
                    speaking = asyncio.ensure_future(self.speak(socket))
        except WebSocketClosedError:
            return
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            socket.close()

    def hear(self, data: dict[str, Any]) -> bool:
        """Take the next message; return False if one is missing before this one."""
        if data["id"] == self.last + 1:
            (text,) = text_of(data["html"], ".//p[@class='text']")
            self.heard.append((data["id"], text))
        return bool(data["id"] <= self.last)

    def is_mine(self, data: dict[str, Any]) -> bool:
        """Count one's own message when it is shown; the next one may be said then."""
        if data.get("key") != f"{self.name}-{self.said}" or data["id"] > self.last:
            return False
        self.said += 1
        return True

    async def speak(self, socket: WebSocketClientConnection) -> None:
        await asyncio.sleep(PACE)
        if not self.quiet:
            number = self.said
            key = f"{self.name}-{number}"
            with suppress(WebSocketClosedError):
                await self.send(socket, type="say", key=key, text=f"{self.name} {number}")

    async def send(self, socket: WebSocketClientConnection, **frame: object) -> None:
        await socket.write_message(json.dumps(frame))
