"""A handler for each way in which a response ends."""

import asyncio
from typing import Any

from tornado import gen
from tornado.web import Finish, HTTPError, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

from tornado_ext.middleware import MiddlewareMixin


class Handler(MiddlewareMixin, RequestHandler):
    pass


class Returns(Handler):
    async def prepare(self) -> None:
        await super().prepare()
        self.settings["trace"].append("prepare")

    def get(self) -> None:
        self.settings["trace"].append("verb")
        self.write("hello")

    head = post = get


class AsyncReturns(Handler):
    async def get(self) -> None:
        await asyncio.sleep(0)
        self.write("hello")


class CoroutineReturns(Handler):
    @gen.coroutine
    def get(self) -> Any:
        yield gen.moment
        self.write("hello")


class FinishesWithChunk(Handler):
    def get(self) -> None:
        self.finish("hello")


class FinishesInPrepare(Handler):
    async def prepare(self) -> None:
        await super().prepare()
        self.finish("hello")


class Redirects(Handler):
    def get(self) -> None:
        self.redirect("/elsewhere")


class Renders(Handler):
    def get(self) -> None:
        self.render("page.html")


class Streams(Handler):
    async def get(self) -> None:
        self.write("one,")
        await self.flush()
        self.write("two")


class StreamsAndFails(Handler):
    async def get(self) -> None:
        self.write("one,")
        await self.flush()
        raise ZeroDivisionError


@stream_request_body
class TakesStream(Handler):
    def data_received(self, chunk: bytes) -> None:
        self.settings["trace"].append("data")

    def post(self) -> None:
        self.write("hello")


class NotModified(Handler):
    def get(self) -> None:
        self.set_status(304)


class BodyWith204(Handler):
    def get(self) -> None:
        self.set_status(204)
        self.write("hello")


class Detaches(Handler):
    async def get(self) -> None:
        stream = self.detach()
        await stream.write(b"HTTP/1.1 200 Mine\r\nConnection: close\r\n\r\nhello")
        stream.close()


class SendsError(Handler):
    def get(self) -> None:
        self.send_error(403)


class RaisesFinish(Handler):
    def get(self) -> None:
        self.write("hello")
        raise Finish


class RaisesHTTPError(Handler):
    def get(self) -> None:
        raise HTTPError(403)


class Fails(Handler):
    def get(self) -> None:
        raise ZeroDivisionError


class FailsInPrepare(Handler):
    async def prepare(self) -> None:
        await super().prepare()
        raise ZeroDivisionError


class FailsAfterFinish(Handler):
    def get(self) -> None:
        self.finish("hello")
        raise ZeroDivisionError


class Waits(Handler):
    async def get(self) -> None:
        self.settings["trace"].append("verb")
        await self.settings["left"].wait()
        self.write("hello")


class StreamsOn(Handler):
    async def get(self) -> None:
        self.settings["trace"].append("verb")
        while True:
            self.write("x" * 100_000)
            await self.flush()


class Socket(MiddlewareMixin, WebSocketHandler):
    def on_message(self, message: str | bytes) -> None: ...


class RefusingSocket(Socket):
    async def prepare(self) -> None:
        await super().prepare()
        raise HTTPError(403)
