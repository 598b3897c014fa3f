"""The way to a server, which a test can cut, stop or spoil."""

import asyncio
import re
from contextlib import suppress
from typing import Self

CHUNK = 2**16  # bytes


class Network:
    """Relay connections to a port of this machine: ``async with Network(3306) as network:``."""

    def __init__(self, port: int) -> None:
        self.deaf = False  # what the server says is lost
        self.cut_after: int | None = None  # bytes from the server until the connections are cut
        self.spoil = False  # what the server says is garbage
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        self.cut()

    def url(self, url: str) -> str:
        """Return the URL of a server, through this network."""
        return re.sub(r":\d+/", f":{self._server.sockets[0].getsockname()[1]}/", url)

    def cut(self) -> None:
        """Close all connections."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, server = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, server]
        await asyncio.gather(self._forward(reader, server), self._answer(upstream, writer))

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                writer.write(data)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.spoil:
                    data = bytes(byte ^ 0x5A for byte in data)
                if self.cut_after is not None:
                    data = data[: self.cut_after]
                    self.cut_after -= len(data)
                if not self.deaf:
                    writer.write(data)
                    await writer.drain()
                if self.cut_after == 0:
                    break
        writer.close()
