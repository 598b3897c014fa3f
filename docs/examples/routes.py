# Run it: python routes.py   (another port: python routes.py 9000)
"""Routes: with arguments, by the host that was asked for, and backwards from a name to its URL."""

import sys

from tornado.web import Application, RequestHandler, url

from tornado_ext.serving import serve


class Home(RequestHandler):
    def get(self):
        tea = self.reverse_url("item", "green tea")  # quoted, as a path must be
        june = self.reverse_url("archive", 2026, 6)
        self.write(f'<a href="{tea}">Tea</a> <a href="{june}">June 2026</a>')


class Item(RequestHandler):
    def initialize(self, currency):  # the third part of the route
        self.currency = currency

    def get(self, name):  # the group in the pattern: text, unquoted
        self.write({"item": name, "price": f"3 {self.currency}"})


class Archive(RequestHandler):
    def get(self, year, month):  # named groups arrive by name
        self.write({"year": int(year), "month": int(month)})


class Admin(RequestHandler):
    def get(self):
        self.write(f"only on {self.request.host_name}")


def make_app():
    app = Application(
        [
            url("/", Home),
            url("/items/([^/]+)", Item, {"currency": "euro"}, name="item"),
            url("/archive/(?P<year>[0-9]{4})/(?P<month>[0-9]{1,2})", Archive, name="archive"),
        ]
    )
    app.add_handlers(r"admin\.localhost", [url("/", Admin)])  # tried before the others
    return app


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
