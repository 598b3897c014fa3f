"""One hello handler, stock and with the mixins, and the middlewares that are put around it."""

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.mysql import DatabaseMixin
from tornado_ext.sessions import MemoryStore, SessionMixin


class Stock(RequestHandler):
    """Says hello."""

    def get(self) -> None:
        """Write five bytes."""
        self.write("hello")


class Mixed(SessionMixin, MiddlewareMixin, DatabaseMixin, Stock):
    """Says hello with every mixin, and asks nothing of them."""


class PassThrough:
    """Does nothing, without being awaited."""

    def process_request(self, handler: RequestHandler) -> None:
        """Do nothing."""

    def process_response(self, handler: RequestHandler) -> None:
        """Do nothing."""


class AsyncPassThrough:
    """Does nothing, and has to be awaited for it."""

    async def process_request(self, handler: RequestHandler) -> None:
        """Do nothing."""

    async def process_response(self, handler: RequestHandler) -> None:
        """Do nothing."""


class AwaitsOnce:
    """Has to be awaited before the reply leaves."""

    async def process_response(self, handler: RequestHandler) -> None:
        """Do nothing."""


class Case:
    """A handler, and an application in which it answers ``/``."""

    def __init__(self, handler: type[RequestHandler], *middleware: object) -> None:
        """Put ``middleware`` around ``handler``, the first outermost."""
        self.handler = handler
        self.application = Application(
            [("/", handler)], middleware=middleware, session_store=MemoryStore()
        )


CASES = {
    "stock": Case(Stock),
    "stock again": Case(Stock),
    "mixins, nothing to do": Case(Mixed),
    "five def middlewares": Case(Mixed, *[PassThrough() for _ in range(5)]),
    "five async def middlewares": Case(Mixed, *[AsyncPassThrough() for _ in range(5)]),
    "a reply that awaits once": Case(Mixed, AwaitsOnce()),
}
