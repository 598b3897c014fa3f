"""Write one line of JSON for each request. Run it: python access_log.py"""

import asyncio
import logging

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import AccessLog, MiddlewareMixin, NotFoundHandler, RequestId


class Hello(MiddlewareMixin, RequestHandler):
    def get(self):
        self.write("hello")


def make_app():
    return Application(
        [("/", Hello)],
        middleware=[RequestId(), AccessLog()],
        default_handler_class=NotFoundHandler,  # 404s are logged too
        log_function=lambda _: None,  # instead of Tornado's own line
    )


def log_to(stream):
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))  # the JSON and nothing else
    access = logging.getLogger("tornado_ext.access")
    access.addHandler(handler)
    access.setLevel(logging.INFO)
    access.propagate = False  # not into the application's log as well
    return handler


async def main():
    with open("access.log", "a") as stream:
        log_to(stream)
        make_app().listen(8888, "127.0.0.1")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
