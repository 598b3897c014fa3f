"""Time every request, and answer one kind of error in one place. Run it: python middleware.py"""

import asyncio
import time

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import Middleware, MiddlewareMixin, NotFoundHandler, RequestId


class Timing(Middleware):
    def process_request(self, handler):
        handler.started = time.perf_counter()

    async def process_response(self, handler):
        await asyncio.sleep(0)  # a hook may await: the first byte waits for it
        milliseconds = (time.perf_counter() - handler.started) * 1000
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


async def main():
    make_app().listen(8888, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
