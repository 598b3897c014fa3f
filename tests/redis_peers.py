"""What stands where a Redis should, and misbehaves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


class _Peer:
    """A server on a port of its own, for the length of a ``with``."""

    async def __aenter__(self) -> Self:
        self.tasks: list[asyncio.Task[None]] = []
        self.writers: list[Writer] = []
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def accept(self, reader: Reader, writer: Writer) -> None:
        raise NotImplementedError

    def run(self, work: Awaitable[None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))


class Proxy(_Peer):
    """Between a client and Redis; can hold back or cut what is said on a connection."""

    def __init__(self, redis_port: int) -> None:
        self.redis_port = redis_port
        self.to_redis: list[asyncio.Event] = []  # of each connection, set while data may pass
        self.from_redis: list[asyncio.Event] = []
        self.clients: list[Writer] = []  # the clients' ends
        self.cuts: list[int] = []  # bytes of replies, after which a client is cut off, in turn
        self.said: list[bytes] = []  # by the clients, as it came

    async def accept(self, reader: Reader, writer: Writer) -> None:
        from_redis, to_redis = await asyncio.open_connection("127.0.0.1", self.redis_port)
        self.writers += [writer, to_redis]
        self.clients.append(writer)
        for gates, source, sink in (
            (self.to_redis, reader, to_redis),
            (self.from_redis, from_redis, writer),
        ):
            gates.append(asyncio.Event())
            gates[-1].set()
            self.run(self.copy(source, sink, gates[-1]))

    async def copy(self, source: Reader, sink: Writer, gate: asyncio.Event) -> None:
        try:
            while data := await source.read(65536):
                await gate.wait()
                if gate in self.to_redis:
                    self.said.append(data)
                elif self.cuts:
                    sink.write(data[: self.cuts.pop(0)])
                    break
                sink.write(data)
        finally:
            sink.close()


class Scripted(_Peer):
    """Takes commands as they come, and sends what ``answer`` returns to each.

    The commands with which redis-py begins a connection are answered with OK.
    """

    def __init__(self, answer: Callable[[list[bytes]], bytes]) -> None:
        self.answer = answer
        self.heard: list[list[list[bytes]]] = []  # the commands of each connection
        self.refusals = 0  # of the connections that come next

    async def accept(self, reader: Reader, writer: Writer) -> None:
        self.writers.append(writer)
        if self.refusals:
            self.refusals -= 1
            writer.close()
            return
        self.heard.append([])
        self.run(self.serve(reader, writer, self.heard[-1]))

    async def serve(self, reader: Reader, writer: Writer, heard: list[list[bytes]]) -> None:
        while line := await reader.readline():
            command = [await self.word(reader) for _ in range(int(line[1:]))]
            if command[0] == b"CLIENT":
                writer.write(b"+OK\r\n")
                continue
            heard.append(command)
            writer.write(self.answer(command))
        writer.close()

    async def word(self, reader: Reader) -> bytes:
        length = int((await reader.readline())[1:])
        return (await reader.readexactly(length + 2))[:-2]
