# Run it: python rate_limit.py   (another port: python rate_limit.py 9000)
"""A login that nobody can try all passwords on.

With REDIS=redis://host in the environment, several processes share the limits.
"""

import os
import sys
from hmac import compare_digest

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin, RateLimit
from tornado_ext.serving import serve

REDIS = os.environ.get("REDIS")
PROXIES = ["127.0.0.0/8"]  # whose X-Forwarded-For is believed: nginx on this machine


def account(handler):
    """Count by the account that is tried; a request that names none is not limited."""
    name = handler.get_body_argument("name", None)
    return name and name.lower()


class Login(MiddlewareMixin, RequestHandler):
    middleware = [
        RateLimit(20, 60, trusted_proxies=PROXIES, redis=REDIS, name="login:address"),
        RateLimit(5, 300, key=account, redis=REDIS, name="login:account", fail_open=False),
    ]

    def get(self):
        self.write("POST your name and password here")

    def post(self):
        if compare_digest(self.get_body_argument("password"), "correct horse"):
            self.write("welcome")
        else:
            self.set_status(403)
            self.write("wrong name or password")

    def write_error(self, status_code, **kwargs):
        if status_code == 429:
            self.finish("Too many attempts. Please wait.")  # Retry-After says how long
        else:
            super().write_error(status_code, **kwargs)


def make_app():
    return Application([("/login", Login)])


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
