# Run it: python sharded.py   (needs tornado-ext[redis] and redis-server)
"""Sessions on three weighted Redis shards; and what a hand-made list of addresses does instead.

/compare adds a fourth shard to both, and counts the sessions that are then looked for in vain.
"""

import hashlib
import sys
from contextlib import ExitStack

from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.serving import serve
from tornado_ext.sessions import SessionMixin
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import RedisServer

WEIGHTS = {"a": 2}  # a has twice the memory of the others
KEYS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(2000)]


class Visit(SessionMixin, MiddlewareMixin, RequestHandler):
    def get(self):
        self.session["visits"] = self.session.get("visits", 0) + 1
        self.write({"visits": self.session["visits"]})


class Compare(RequestHandler):
    def get(self):
        owners = by_ring("abc", 1)
        self.write(
            {
                "logged out by one more shard, in percent": {
                    "a list and a modulo": lost(by_modulo("aabc"), by_modulo("aabcd")),
                    "the ring, on one shard each": lost(owners, by_ring("abcd", 1)),
                    "the ring, on two shards each": lost(by_ring("abc", 2), by_ring("abcd", 2)),
                },
                "on each shard of the ring, in percent": {
                    name: percent(owners(key) == (name,) for key in KEYS) for name in "abc"
                },
            }
        )


def by_modulo(addresses):
    """The hand-made way: a shard with weight 2 is in the list twice."""
    return lambda key: (addresses[int(key, 16) % len(addresses)],)


def by_ring(names, replicas):
    urls = {name: f"redis://{name}.example" for name in names}  # nothing is connected
    return ShardedRedisStore(urls, weights=WEIGHTS, replicas=replicas).owners


def lost(before, after):
    """Return the share of the sessions that none of their new owners had before."""
    return percent(not set(before(key)) & set(after(key)) for key in KEYS)


def percent(answers):
    return round(100 * sum(answers) / len(KEYS), 1)


def make_app(urls):
    store = ShardedRedisStore(urls, weights=WEIGHTS)  # on two shards each
    return Application([("/", Visit), ("/compare", Compare)], session_store=store)


def main(port=8888):
    with ExitStack() as running:  # private servers; yours have addresses of their own
        urls = {name: running.enter_context(RedisServer()).url for name in "abc"}
        serve(lambda: make_app(urls), int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
