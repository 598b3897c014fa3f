"""Name each request in its log records. Run it: python request_id.py"""

import asyncio
import logging

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin, NotFoundHandler, RequestId, RequestIdFilter

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


async def main():
    logging.basicConfig(level=logging.INFO, handlers=[log_handler()])
    make_app().listen(8888, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
