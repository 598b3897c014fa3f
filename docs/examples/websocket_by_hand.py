# Run it: python websocket_by_hand.py   (other ports: python websocket_by_hand.py 9000 9001)
"""An echo over WebSocket: by hand on a bare socket (RFC 6455), and the same with Tornado."""

import asyncio
import base64
import hashlib
import socket
import struct
import sys

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_ext.serving import serve

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10  # section 5.2
LONGEST = 2**20  # bytes of a message


class Echo(WebSocketHandler):  # with Tornado: fragments, pings, limits and closing are its work
    async def on_message(self, message):
        await self.write_message(message, binary=isinstance(message, bytes))


async def echo(connection):  # by hand
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        writer.write(handshake(await reader.readuntil(b"\r\n\r\n")))
        while True:
            opcode, payload = await read_frame(reader)
            if opcode in (TEXT, BINARY, CLOSE):
                writer.write(frame(opcode, payload))
            elif opcode == PING:
                writer.write(frame(PONG, payload))
            await writer.drain()
            if opcode == CLOSE:
                return
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
        pass  # gone, or not a WebSocket client
    finally:
        writer.close()


def handshake(request):
    """Section 4.2.2: prove that the key was read."""
    lines = (line.partition(":") for line in request.decode().split("\r\n"))
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    if "sec-websocket-key" not in headers:
        raise ValueError("no WebSocket handshake")
    key = (headers["sec-websocket-key"] + GUID).encode()
    digest = hashlib.sha1(key, usedforsecurity=False).digest()
    accept = base64.b64encode(digest).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()


async def read_frame(reader):
    """Section 5.2: FIN and opcode, mask bit and length, mask, payload."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", await reader.readexactly(8))
    if not first & 0x80 or not second & 0x80 or length > LONGEST:
        raise ValueError("a fragment, a frame without a mask, or too long")
    mask = await reader.readexactly(4)
    masked = await reader.readexactly(length)
    repeated = (mask * (length // 4 + 1))[:length]
    number = int.from_bytes(masked, "big") ^ int.from_bytes(repeated, "big")
    return first & 0x0F, number.to_bytes(length, "big")


def frame(opcode, payload):
    """A server does not mask."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", 0x80 | opcode, length)
    elif length < 2**16:
        head = struct.pack("!BBH", 0x80 | opcode, 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, length)
    return head + payload


async def accept(listening):
    loop, clients = asyncio.get_running_loop(), set()
    while True:
        connection, _ = await loop.sock_accept(listening)
        task = asyncio.create_task(echo(connection))
        clients.add(task)  # the loop itself keeps no strong reference
        task.add_done_callback(clients.discard)


async def make_app(port=0):
    listening = socket.create_server(("127.0.0.1", port))
    listening.setblocking(False)
    by_hand = asyncio.create_task(accept(listening))
    print(f"by hand: ws://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    print("with Tornado: /echo on", end=" ")
    return Application([("/echo", Echo)], by_hand=by_hand)


if __name__ == "__main__":
    ports = [int(port) for port in sys.argv[1:]] or [8888, 8889]
    serve(lambda: make_app(ports[-1]), ports[0])
