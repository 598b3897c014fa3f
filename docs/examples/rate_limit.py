"""A login that nobody can try all passwords on. Run it: python rate_limit.py [PORT]

With REDIS=redis://host in the environment, several processes share the limits.
"""

import asyncio
import os
import sys
from hmac import compare_digest

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin, RateLimit

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


async def main(port=8888):
    (socket,) = bind_sockets(port, "127.0.0.1")
    HTTPServer(make_app()).add_socket(socket)
    print(f"http://127.0.0.1:{socket.getsockname()[1]}/login", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
