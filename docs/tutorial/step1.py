# Run it: python step1.py   (another port: python step1.py 9000)
"""Step 1: a page, with headers that keep browsers from what it does not need."""

import sys

from tornado.template import DictLoader
from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin, SecurityHeaders
from tornado_ext.serving import serve

CHAT = """<!doctype html><html lang="en"><title>Chat</title>
<h1>Hello, {{ name }}</h1>
"""


class BaseHandler(MiddlewareMixin, RequestHandler):
    pass


class Chat(BaseHandler):
    def get(self):
        self.render("chat.html", name=self.get_argument("name", "stranger"))


def make_app():
    return Application(
        [("/", Chat)],
        middleware=[SecurityHeaders()],
        template_loader=DictLoader({"chat.html": CHAT}),
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
