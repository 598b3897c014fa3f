"""HTTP at little cost: requests to several app processes, on connections that are kept."""

import asyncio
import json
import random
import re
import time
from typing import Any, NamedTuple

PATIENCE = 15.0  # seconds for a reply; a store that waits in vain takes less

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Cut(Exception):
    """The connection ended before the reply, or none came in time: nobody knows what was done."""


class Reply(NamedTuple):
    """What came back. ``cookie`` is the new session id, "" if it was taken away, or None."""

    status: int
    cookie: str | None
    body: Any


NO_REPLY = Reply(0, None, None)


class Wire:
    """The way to the processes that listen on ``ports`` of 127.0.0.1, each request to any of them.

    ``times`` has when each request was sent, and the seconds that its reply took.
    """

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.times: list[tuple[float, float]] = []
        self.restarting = False  # one of the processes, which may cut connections
        self._kept: dict[int, list[Stream]] = {}

    async def ask(self, path: str, cookie: str = "", *, timed: bool = True) -> Reply:
        """Send a request to a process that takes connections; raises `Cut`."""
        for port in random.sample(self.ports, len(self.ports)):
            try:
                stream = await self._stream(port)
            except OSError:
                continue  # it is being restarted, and was told nothing
            began = time.monotonic()
            reply = await self._exchange(port, stream, path, cookie)
            if timed:
                self.times.append((began, time.monotonic() - began))
            return reply
        raise Cut("no process takes connections")

    async def ask_at(self, port: int, path: str) -> Reply:
        """Send a request to the process on this port; raises `Cut` and OSError."""
        return await self._exchange(port, await self._stream(port), path, "")

    async def aclose(self) -> None:
        """Close the connections."""
        for streams in self._kept.values():
            for _, writer in streams:
                writer.close()
                await asyncio.wait([asyncio.ensure_future(writer.wait_closed())], timeout=1)

    async def _stream(self, port: int) -> Stream:
        kept = self._kept.setdefault(port, [])
        while kept:
            reader, writer = kept.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", port)

    async def _exchange(self, port: int, stream: Stream, path: str, cookie: str) -> Reply:
        reader, writer = stream
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: session={cookie}\r\n\r\n".encode()
        )
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(_find(rb"Content-Length: (\d+)", head) or 0))
        except (OSError, EOFError, TimeoutError) as exc:
            writer.close()
            raise Cut(repr(exc)) from exc
        if _find(rb"Connection: (close)", head):
            writer.close()
        else:
            self._kept[port].append(stream)
        return Reply(int(head[9:12]), _find(rb'Set-Cookie: session="?([^;"]*)', head), _json(body))


def _find(pattern: bytes, head: bytes) -> str | None:
    found = re.search(pattern, head)
    return found[1].decode() if found else None


def _json(body: bytes) -> Any:
    return json.loads(body) if body else None
