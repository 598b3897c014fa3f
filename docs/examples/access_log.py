# Run it: python access_log.py   (another port: python access_log.py 9000)
"""Write one line of JSON for each request."""

import logging
import sys

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import AccessLog, MiddlewareMixin, NotFoundHandler, RequestId
from tornado_ext.serving import serve


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


if __name__ == "__main__":
    with open("access.log", "a") as stream:
        log_to(stream)
        serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
