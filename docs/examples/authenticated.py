# Run it: python authenticated.py   (another port: python authenticated.py 9000)
"""@authenticated: who is not logged in is sent to the login page, and from there back."""

import re
import sys

from tornado.template import DictLoader
from tornado.web import Application, RequestHandler, authenticated

from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.serving import serve
from tornado_ext.sessions import MemoryStore, SessionMixin

PAGE = """<!doctype html>
<title>Log in</title>
<form method="post">
{% module xsrf_form_html() %}
<label>Name <input name="name" required></label> <button>Log in</button>
</form>
"""
# A path of this site: "//host" and "/\\host" are addresses of others.
LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]*")


class BaseHandler(SessionMixin, MiddlewareMixin, RequestHandler):
    pass  # current_user is the one whom the session is tied to


class Orders(BaseHandler):
    @authenticated  # GET: 302 to login_url?next=/orders?page=2; other methods: 403
    def get(self):
        self.write(f"orders of {self.current_user}, page {self.get_argument('page', '1')}")

    @authenticated
    def post(self):
        self.write("ordered")


class Login(BaseHandler):
    def get(self):
        self.render("login.html")

    def post(self):
        self.session.login(self.get_body_argument("name"))  # a new id, against fixation
        target = self.get_query_argument("next", "/orders")
        self.redirect(target if LOCAL.fullmatch(target) else "/orders")


def make_app():
    return Application(
        [("/orders", Orders), ("/login", Login)],
        login_url="/login",
        session_store=MemoryStore(),
        template_loader=DictLoader({"login.html": PAGE}),
        xsrf_cookies=True,
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
