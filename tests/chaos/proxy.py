"""Between the apps and a Redis: what both say comes late."""

import asyncio
from typing import Self

ORDER = 1e-6  # seconds

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class DelayingProxy:
    """Pass bytes on to ``port`` and back, each way half of ``delay`` seconds later."""

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self._target = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def _accept(self, reader: Reader, writer: Writer) -> None:
        try:
            from_redis, to_redis = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, to_redis), (from_redis, writer)):
            task = asyncio.ensure_future(self._pass_on(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: Reader, sink: Writer) -> None:
        loop, late = asyncio.get_running_loop(), 0.0
        try:
            while data := await source.read(65536):
                # After what was said earlier, though the delay was longer then; asyncio does not
                # keep the order of calls at one time.
                late = max(late + ORDER, loop.time() + self.delay / 2)
                loop.call_at(late, _write, sink, data)
        except OSError:
            pass
        finally:
            loop.call_at(max(late + ORDER, loop.time()), sink.close)


def _write(sink: Writer, data: bytes) -> None:
    if not sink.is_closing():
        sink.write(data)
