# Run it: python sentinel.py 8888 SENTINEL:26379   (needs tornado-ext[redis])
"""Sessions on a Redis whose master is chosen by Sentinels."""

import sys

from redis.asyncio.sentinel import Sentinel
from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.serving import serve
from tornado_ext.sessions import SessionMixin
from tornado_ext.sessions.redis import RedisStore

MASTER = "sessions"  # its name in sentinel.conf
TIMEOUT = 0.5  # seconds, for Redis and for a Sentinel


class Visit(SessionMixin, MiddlewareMixin, RequestHandler):
    def get(self):
        self.session["visits"] = self.session.get("visits", 0) + 1
        self.write({"visits": self.session["visits"]})


def make_app(*addresses):
    sentinels = [address.rsplit(":", 1) for address in addresses]
    client = Sentinel(sentinels, socket_timeout=TIMEOUT).master_for(MASTER, socket_timeout=TIMEOUT)
    return Application([("/", Visit)], session_store=RedisStore(client), redis_client=client)


if __name__ == "__main__":
    port, *addresses = sys.argv[1:]
    serve(lambda: make_app(*addresses), int(port))
