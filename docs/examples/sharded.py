# Run it: python sharded.py   (needs redis-server; another port: python sharded.py 9000)
"""Sessions on three weighted Redis shards; and what a hand-made list of addresses does instead.

/compare adds a shard to both, and counts the sessions that are then looked for where they are not.
"""

import hashlib
import sys
from contextlib import ExitStack

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.serving import serve
from tornado_ext.sessions import SessionMixin
from tornado_ext.sessions.ring import Ring
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import RedisServer

WEIGHTS = {"a": 2}  # a has twice the memory of b and c
KEYS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(10_000)]


class Visit(SessionMixin, MiddlewareMixin, RequestHandler):
    def get(self):
        self.session["visits"] = self.session.get("visits", 0) + 1
        self.write({"visits": self.session["visits"]})


class Compare(RequestHandler):
    def get(self):
        before, after = ["a", "a", "b", "c"], ["a", "a", "b", "c", "d"]
        moved_by_modulo = sum(modulo(before, key) != modulo(after, key) for key in KEYS)
        ring, larger = Ring("abc", WEIGHTS), Ring("abcd", WEIGHTS)
        moved_by_ring = sum(ring.owner(key) != larger.owner(key) for key in KEYS)
        self.write(
            {
                "logged out by one more shard, in percent": {
                    "a list and a modulo": 100 * moved_by_modulo / len(KEYS),
                    "the ring": 100 * moved_by_ring / len(KEYS),
                },
                "on each shard of the ring, in percent": {
                    name: 100 * sum(ring.owner(key) == name for key in KEYS) / len(KEYS)
                    for name in "abc"
                },
            }
        )


def modulo(addresses, key):
    """The hand-made way: a shard with weight 2 is in the list twice."""
    return addresses[int(key, 16) % len(addresses)]


def make_app(urls):
    store = ShardedRedisStore(urls, weights=WEIGHTS)
    return Application([("/", Visit), ("/compare", Compare)], session_store=store)


def main(port=8888):
    with ExitStack() as running:  # private servers: yours have addresses that you know
        urls = {name: running.enter_context(RedisServer()).url for name in "abc"}
        serve(lambda: make_app(urls), int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
