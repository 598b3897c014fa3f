"""The network between a browser and the app, which can be cut."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK = 65536  # bytes


class Wire:
    """A TCP proxy. While it is cut, nothing passes and nothing is closed, as in a tunnel."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.whole = asyncio.Event()
        self.whole.set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port: int = self.server.sockets[0].getsockname()[1]

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.whole.wait()
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        for source, sink in ((reader, to_writer), (to_reader, writer)):
            task = asyncio.ensure_future(self.copy(source, sink))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK):
                await self.whole.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()

    async def stop(self) -> None:
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def cut(self) -> None:
        self.loop.call_soon_threadsafe(self.whole.clear)

    def mend(self) -> None:
        self.loop.call_soon_threadsafe(self.whole.set)


@contextmanager
def cut_off(target: int) -> Iterator[Wire]:
    """Run a wire to a port of this machine, in a thread of its own."""
    started, stop = threading.Event(), threading.Event()
    wires: list[Wire] = []

    async def run() -> None:
        wires.append(Wire(target))
        await wires[0].start()
        started.set()
        await asyncio.to_thread(stop.wait)
        await wires[0].stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    started.wait()
    try:
        yield wires[0]
    finally:
        stop.set()
        thread.join()
