# Run it: python arguments.py   (another port: python arguments.py 9000)
"""Arguments of each kind: path, query, form, JSON, files, headers. What is missing is a 400."""

import sys

from tornado.escape import json_decode
from tornado.web import Application, HTTPError, RequestHandler

from tornado_ext.serving import serve


class Search(RequestHandler):
    def get(self, shop):  # from the path
        self.write(
            {
                "shop": shop,
                "q": self.get_query_argument("q"),  # no default: 400 without it
                "page": self.get_query_argument("page", "1"),  # always text
                "tags": self.get_query_arguments("tag"),  # ?tag=a&tag=b
                "language": self.request.headers.get("Accept-Language", "none"),
            }
        )


class Order(RequestHandler):
    def post(self):  # a form; get_argument() would mix it with the query
        files = self.request.files.get("picture", [])
        self.write(
            {
                "item": self.get_body_argument("item"),  # spaces around it are stripped
                "extras": self.get_body_arguments("extra"),
                "note": self.get_body_argument("note", "", strip=False),
                "pictures": [[file.filename, len(file.body)] for file in files],
            }
        )


class Json(RequestHandler):
    def post(self):  # Tornado leaves a body of JSON as it is
        try:
            order = json_decode(self.request.body)
            self.write({"items": len(order["items"])})
        except (ValueError, TypeError, KeyError):
            raise HTTPError(400, reason="Not an order") from None


def make_app():
    return Application([("/shops/([a-z]+)", Search), ("/order", Order), ("/json", Json)])


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
