"""A WebSocket client that reads and writes frames by hand."""

from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient

from tests.rooms.chat import Process


async def raw(process: Process, path: str = "/", *headers: str) -> IOStream:
    """Connect with a stream that reads and writes frames by hand."""
    stream = await connect(process)
    lines = [f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers]
    await stream.write("\r\n".join([*lines, "", ""]).encode())
    await stream.read_until(b"\r\n\r\n")
    return stream


async def connect(process: Process) -> IOStream:
    return await TCPClient().connect("127.0.0.1", int(process.url.rpartition(":")[2]))


async def close_code(stream: IOStream) -> int:
    """Read frames up to the one that closes, and return its code."""
    while True:
        opcode, size = await stream.read_bytes(2)
        length = (
            size if size < 126 else int.from_bytes(await stream.read_bytes(2 if size == 126 else 8))
        )
        payload = await stream.read_bytes(length)
        if opcode == 0x88:
            return int.from_bytes(payload[:2])
