# Run it: python cookies.py   (another port: python cookies.py 9000)
"""Cookies: plain ones, signed ones, and one that is renewed while its user is active."""

import os
import secrets
import sys

from tornado.web import Application, RequestHandler

from tornado_ext.serving import serve

DAYS = 14  # that the signed cookie is valid
RENEW_AFTER = 1  # days: not at every request


class BaseHandler(RequestHandler):
    def prepare(self):
        self.user = None
        if value := self.get_signed_cookie("user", max_age_days=DAYS):
            self.user = value.decode()
            if self.get_signed_cookie("user", max_age_days=RENEW_AFTER) is None:
                self.remember(self.user)

    def remember(self, user):
        # Signed, not secret: the client can read it, and can't change it.
        self.set_signed_cookie("user", user, expires_days=DAYS, httponly=True, samesite="Lax")


class Home(BaseHandler):
    def get(self):
        self.write({"user": self.user, "colour": self.get_cookie("colour", "none")})


class Colour(BaseHandler):
    def post(self):  # a plain cookie: whatever the client says
        self.set_cookie("colour", self.get_argument("colour"), expires_days=365, samesite="Lax")
        self.redirect("/")


class Login(BaseHandler):
    def post(self):
        self.remember(self.get_argument("user"))
        self.redirect("/")


class Logout(BaseHandler):
    def post(self):  # a copy of the cookie is still good: what must end, belongs in a session
        self.clear_cookie("user")
        self.redirect("/")


def make_app():
    return Application(
        [("/", Home), ("/colour", Colour), ("/login", Login), ("/logout", Logout)],
        cookie_secret=os.environ.get("COOKIE_SECRET") or secrets.token_hex(32),
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
