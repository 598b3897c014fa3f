# Run it: python lifecycle.py   (another port: python lifecycle.py 9000)
"""The life of a request: what Tornado calls, and in which order. / lists the request before."""

import sys

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import Middleware, MiddlewareMixin
from tornado_ext.serving import serve


class Around(Middleware):
    def process_request(self, handler):
        handler.calls.append("process_request of a middleware")

    async def process_response(self, handler):
        handler.calls.append("process_response: the first byte waits for it")

    def process_finish(self, handler):
        handler.calls.append("process_finish: the reply has left")


class Life(MiddlewareMixin, RequestHandler):
    def set_default_headers(self):  # in __init__, and again for an error page
        self.calls = ["set_default_headers"]

    def initialize(self, log):  # the route's dict; no request is refused yet
        self.log = log
        self.calls.append("initialize")

    async def prepare(self):  # before every verb; what is finished here ends here
        await super().prepare()
        self.calls.append("prepare")

    async def get(self):
        self.calls.append("get")
        self.write({"the request before": self.log[-1] if self.log else []})

    def on_finish(self):  # nothing can be sent any more: count, log, let go
        self.calls.append("on_finish")
        self.log.append(self.calls)


def make_app():
    return Application([("/", Life, {"log": []})], middleware=[Around()])


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
