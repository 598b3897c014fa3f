"""One end of a chat, without a browser."""

import json
import secrets
from typing import Any

from html5lib import parseFragment
from tornado.websocket import WebSocketClientConnection


class Talker:
    """One end of a chat."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.socket = socket
        self.closed = False

    async def say(self, text: object, key: object = None) -> None:
        key = key or secrets.token_hex(8)
        await self.send(json.dumps({"type": "say", "key": key, "text": text}))

    async def ask(self, kind: str, **content: object) -> None:
        await self.send(json.dumps({"type": kind, **content}))

    async def send(self, frame: str | bytes) -> None:
        await self.socket.write_message(frame, binary=isinstance(frame, bytes))

    async def next(self, kind: str) -> dict[str, Any]:
        """Return the next frame of a kind; those of others are passed over."""
        while (frame := await self.read()) is not None:
            data: dict[str, Any] = json.loads(frame)
            if data["type"] == kind:
                return data
        raise AssertionError(f"closed with {self.socket.close_code}")

    async def hears(self) -> str:
        """Return the text of the next message."""
        frame = await self.next("message")
        return "".join(text_of(frame["html"], ".//p[@class='text']"))

    async def is_asked_to_wait(self) -> None:
        """Return when a frame may be sent again later."""
        await self.next("later")

    async def sees(self) -> list[str]:
        """Return the names in the next list of people."""
        names: list[str] = (await self.next("people"))["names"]
        return names

    async def is_told(self) -> str:
        """Return the next complaint."""
        text: str = (await self.next("refused"))["text"]
        return text

    async def is_closed(self) -> int | None:
        """Return the close code."""
        while not self.closed:
            await self.read()
        return self.socket.close_code

    async def read(self) -> str | bytes | None:
        frame = await self.socket.read_message()
        self.closed = frame is None
        return frame


def text_of(html: str, path: str) -> list[str]:
    fragment = parseFragment(html, namespaceHTMLElements=False)
    return ["".join(element.itertext()) for element in fragment.findall(path)]
