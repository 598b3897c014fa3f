# Run it: python cors.py   (another port: python cors.py 9000)
"""Let pages of some other origins call an API: a middleware of one's own."""

import sys

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import Middleware, MiddlewareMixin, NotFoundHandler
from tornado_ext.serving import serve

ORIGINS = ["https://shop.example"]


class CORS(Middleware):
    """Answer preflights, and tell browsers which origins may read the responses."""

    def __init__(self, origins, *, methods="GET, POST", headers="Content-Type", max_age=600):
        self.origins = frozenset(origins)
        self.preflight = {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": headers,
            "Access-Control-Max-Age": str(max_age),  # seconds
        }

    def process_request(self, handler):
        request = handler.request
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            for name, value in self.preflight.items():
                handler.set_header(name, value)
            handler.set_status(204)
            handler.finish()  # so the verb is not called, nor the middleware further in

    def process_response(self, handler):
        # For errors too, which a page could not read otherwise.
        handler.add_header("Vary", "Origin")
        origin = handler.request.headers.get("Origin")
        if origin in self.origins:  # whole origins: shop.example.evil.example ends elsewhere
            handler.set_header("Access-Control-Allow-Origin", origin)


class Price(MiddlewareMixin, RequestHandler):
    prices = {"tea": 3}

    def get(self, name):
        self.write({"price": self.prices[name]})

    def post(self, name):
        self.write({"ordered": name})


def make_app(origins=ORIGINS):
    return Application(
        [("/prices/(.*)", Price)],
        middleware=[CORS(origins)],  # first: a preflight is nobody else's business
        default_handler_class=NotFoundHandler,
        cross_origin_protection=True,  # a POST from elsewhere is a 403
        trusted_origins=origins,  # but for these
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
