# Run it: python xsrf.py   (another port: python xsrf.py 9000)
"""Requests that another site makes a browser send: refused by a token, or by the browser's word."""

import sys

from tornado.template import DictLoader
from tornado.web import Application, RequestHandler

from tornado_ext.serving import serve

PAGE = """<!doctype html>
<form method="post">{% module xsrf_form_html() %} <button>Transfer</button></form>
"""


class Transfer(RequestHandler):
    def get(self):
        self.render("page.html")

    def post(self):
        self.write("transferred")


class Hook(RequestHandler):
    """Called by another server, which has no cookie, and signs what it sends instead."""

    def check_xsrf_cookie(self):
        pass

    def post(self):
        self.write("noted")


def make_app():
    return Application(
        [("/", Transfer), ("/hook", Hook)],
        # A token in a cookie and in the form: another site can't read it, so it can't send it.
        xsrf_cookies=True,
        xsrf_cookie_kwargs={"samesite": "Lax"},
        # Since Tornado 6.6: Sec-Fetch-Site, which pages can't forge, and Origin in old browsers.
        cross_origin_protection=True,
        trusted_origins=["https://shop.example"],  # whose requests are welcome all the same
        template_loader=DictLoader({"page.html": PAGE}),
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
