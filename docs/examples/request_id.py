# Run it: python request_id.py   (another port: python request_id.py 9000)
"""Name each request in its log records."""

import asyncio
import logging
import sys

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin, NotFoundHandler, RequestId, RequestIdFilter
from tornado_ext.serving import serve

log = logging.getLogger("shop")


class Order(MiddlewareMixin, RequestHandler):
    async def get(self, number):
        log.info("looking for order %s", number)
        await asyncio.sleep(0.01)  # other requests are served meanwhile
        log.info("order %s found", number)
        self.write({"order": number, "request_id": self.request_id})


def make_app():
    return Application(
        [("/orders/([0-9]+)", Order)],
        middleware=[RequestId()],  # first, so that the others run inside it
        default_handler_class=NotFoundHandler,
    )


def log_handler(stream=None):
    handler = logging.StreamHandler(stream)
    handler.addFilter(RequestIdFilter())  # on the handler: it is then for every logger's records
    handler.setFormatter(logging.Formatter("%(request_id)s %(levelname)s %(name)s: %(message)s"))
    return handler


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, handlers=[log_handler()])
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
