# Run it: python security_headers.py   (another port: python security_headers.py 9000)
"""A page that runs its own script and nobody else's."""

import sys

from tornado.template import DictLoader
from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin, NotFoundHandler, SecurityHeaders, csp_nonce
from tornado_ext.serving import serve

TEMPLATES = {
    "hello.html": """<!doctype html>
<title>Hello</title>
<p>Hello, <b id="name">{% raw name %}</b>.</p>
<p id="time"></p>
<script nonce="{{ csp_nonce() }}">
  document.getElementById("time").textContent = new Date().toLocaleTimeString()
</script>
"""
}


class BaseHandler(MiddlewareMixin, RequestHandler):
    pass


class Hello(BaseHandler):
    def get(self):
        # {% raw %} is the mistake that the policy makes good: the name is not escaped.
        self.render("hello.html", name=self.get_argument("name", "world"))


class Upload(BaseHandler):
    def get(self):
        # What somebody uploaded may be a page: it gets no script, and no origin to steal from.
        self.set_header("Content-Security-Policy", "sandbox")
        self.write("<script>document.title = document.domain</script>an upload")


def make_app():
    return Application(
        [("/", Hello), ("/upload", Upload)],
        middleware=[SecurityHeaders()],
        ui_methods={"csp_nonce": csp_nonce},  # {{ csp_nonce() }} in every template
        default_handler_class=NotFoundHandler,
        template_loader=DictLoader(TEMPLATES),
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
