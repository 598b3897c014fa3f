import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.proxy import DelayingProxy, Reader, Writer

LINES = 200


@asynccontextmanager
async def echoing(delay: float) -> AsyncIterator[tuple[DelayingProxy, Reader, Writer]]:
    """A connection through a proxy to who repeats what he hears."""

    async def echo(reader: Reader, writer: Writer) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, DelayingProxy(server.sockets[0].getsockname()[1]) as proxy:
        proxy.delay = delay
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        yield proxy, reader, writer
        writer.close()


@pytest.mark.gen_test
async def test_what_is_said_arrives_in_its_order_though_the_delay_shrinks() -> None:
    async with echoing(0.2) as (proxy, reader, writer):
        for number in range(LINES):
            writer.write(b"%d\n" % number)
            await asyncio.sleep(0)
            proxy.delay *= 0.9
        assert [int(await reader.readline()) for _ in range(LINES)] == list(range(LINES))


@pytest.mark.gen_test
async def test_a_reply_takes_the_delay_at_least() -> None:
    async with echoing(0.1) as (_, reader, writer):
        began = asyncio.get_running_loop().time()
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        assert asyncio.get_running_loop().time() - began >= 0.1
