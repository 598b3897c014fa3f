# Run it: python static_files.py   (another port: python static_files.py 9000)
"""Static files: a URL that changes with the file, so that browsers keep it for ten years."""

import sys
from pathlib import Path

from tornado.template import DictLoader
from tornado.web import Application, RequestHandler

from tornado_ext.middleware import SecurityHeaders, StaticHandler
from tornado_ext.serving import serve

PAGE = """<!doctype html>
<link rel="stylesheet" href="{{ static_url("style.css") }}">
<h1>Green</h1>
"""


class Page(RequestHandler):
    def get(self):
        self.render("page.html")  # /static/style.css?v=, and a hash of what is in the file


def make_app():
    return Application(
        [("/", Page)],
        static_path=str(Path(__file__).parent / "static"),
        static_handler_class=StaticHandler,  # Tornado's, with the middleware around it
        middleware=[SecurityHeaders()],
        template_loader=DictLoader({"page.html": PAGE}),
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
