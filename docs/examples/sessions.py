# Run it: python sessions.py   (another port: python sessions.py 9000)
"""Log in, fill a cart, log out."""

import sys

from tornado.web import Application, RequestHandler, authenticated

from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.serving import serve
from tornado_ext.sessions import MemoryStore, SessionMixin


class BaseHandler(SessionMixin, MiddlewareMixin, RequestHandler):
    pass


class Cart(BaseHandler):
    @authenticated  # on the user whom the session is tied to
    def get(self):
        self.write({"user": self.current_user, "cart": self.session.get("cart", [])})

    @authenticated
    def post(self):
        self.session.setdefault("cart", []).append(self.get_argument("item"))
        self.redirect("/")  # the change is stored before this leaves


class Login(BaseHandler):
    def get(self):
        self.write("POST your name here")

    def post(self):
        self.session.login(self.get_argument("name"))
        self.redirect("/")


class Logout(BaseHandler):
    def post(self):
        self.session.logout()
        self.redirect("/login")


def make_app(store=None):
    return Application(
        [("/", Cart), ("/login", Login), ("/logout", Logout)],
        session_store=store or MemoryStore(),
        login_url="/login",
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
