# Run it: python middleware.py   (another port: python middleware.py 9000)
"""Time every request, and answer one kind of error in one place."""

import asyncio
import sys
import time

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import Middleware, MiddlewareMixin, NotFoundHandler, RequestId
from tornado_ext.serving import serve


class Timing(Middleware):
    def process_request(self, handler):
        handler.started = time.perf_counter()

    async def process_response(self, handler):
        await asyncio.sleep(0)  # a hook may await: the first byte waits for it
        if started := getattr(handler, "started", None):  # not for what Tornado refused before
            milliseconds = (time.perf_counter() - started) * 1000
            handler.set_header("Server-Timing", f"app;dur={milliseconds:.1f}")


class NoSuchItem(Exception):
    pass


class ItemsAreFound(Middleware):
    def process_exception(self, handler, exc):
        if isinstance(exc, NoSuchItem):
            handler.set_status(404)
            handler.finish({"error": f"there is no {exc}"})


class BaseHandler(MiddlewareMixin, RequestHandler):
    middleware = [ItemsAreFound()]  # around the handlers of this class


class Item(BaseHandler):
    def get(self, name):
        if name != "tea":
            raise NoSuchItem(name)
        self.write({"item": name})


def make_app():
    return Application(
        [("/items/(.*)", Item)],
        middleware=[RequestId(), Timing()],  # around those of every class
        default_handler_class=NotFoundHandler,  # and around the 404s of no route
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
