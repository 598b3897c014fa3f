"""A limit on how often one address, one user or anything else may ask."""

import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from tornado.log import app_log
from tornado.web import RequestHandler

from tornado_ext._extras import require
from tornado_ext._redis import RedisServer
from tornado_ext.errors import ConfigurationError, TornadoExtError, Unavailable
from tornado_ext.middleware._address import client_address, networks
from tornado_ext.middleware.mixin import Middleware

if TYPE_CHECKING:
    from redis.asyncio import Redis

PAUSE = 1.0  # seconds for which a Redis that failed is not asked again

# The generic cell rate algorithm: a counter is the time when a request is due at an even pace;
# requests may be early by less than a burst. KEYS: the counter. ARGV: the pace and the burst, in
# microseconds. Returns for how long to wait. A counter that is further ahead than a burst is from
# before the clock was set back, and counts for nothing.
GCRA = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = tonumber(redis.call('GET', KEYS[1]) or 0)
if due < now or due > now + ARGV[2] then due = now end
due = due + ARGV[1]
if due > now + ARGV[2] then return due - now - ARGV[2] end
redis.call('SET', KEYS[1], due, 'PX', math.ceil((due - now) / 1000))
return 0
"""


class RateLimited(TornadoExtError):
    """The client asks more often than a `RateLimit` allows; it may after ``retry_after`` seconds.

    Override ``write_error`` to tell it so in another way than with a page that says 429.
    """

    status_code = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds, sent as Retry-After (RFC 6585 section 4)


class RateLimit(Middleware):
    """Let each key make ``limit`` requests in ``period`` seconds, and answer 429 to the others.

    A key that made none for a while may make ``burst`` at once; then they are allowed at an even
    pace. Requests that Tornado refuses before ``prepare`` are not counted.
    """

    def __init__(
        self,
        limit: int,
        period: float = 60,  # seconds
        *,
        burst: int | None = None,  # as limit
        key: Literal["address", "user"] | Callable[[RequestHandler], str | None] = "address",
        trusted_proxies: Sequence[str] = (),  # networks, such as "10.0.0.0/8"
        redis: "str | Redis | None" = None,
        name: str = "",
        fail_open: bool = True,
        capacity: int = 100_000,  # keys
    ) -> None:
        """Count in the memory of this process, or in a Redis for all processes.

        :arg key: ``"user"`` is ``current_user``, and the address of who has none. A function
            returns a key, or None for a request that is not limited.
        :arg trusted_proxies: whose X-Forwarded-For is believed; nobody else's is.
        :arg name: begins the keys in Redis. Limits of the same name share their counters.
        :arg fail_open: while Redis is away, True counts in memory, False refuses with 503.
        :arg capacity: beyond it, memory forgets the key whose last request is longest ago.
        :raises ConfigurationError: naming the argument that can't be right.
        :raises MissingExtra: if ``redis`` is given and the library is not installed.
        """
        burst = limit if burst is None else burst
        for argument, number in (("limit", limit), ("burst", burst), ("capacity", capacity)):
            _check(argument, number, isinstance(number, int) and number >= 1)
        _check("period", period, isinstance(period, (int, float)) and 0 < period < math.inf)
        _check("key", key, callable(key) or key in ("address", "user"))
        _check("fail_open", fail_open, isinstance(fail_open, bool))
        _check("name", name, isinstance(name, str) and (name != "" or redis is None))
        self._rate = f"{limit} requests in {period:g} s"
        self._key = key
        self._proxies = networks("RateLimit(trusted_proxies)", trusted_proxies)
        self._name = name
        self._fail_open = fail_open
        self._memory = Counters(max(1, round(period / limit * 1e6)), burst, capacity)
        self._redis = None if redis is None else RedisServer(redis, "RateLimit(redis)")
        self._paused_until = 0.0

    def process_request(self, handler: RequestHandler) -> Awaitable[None] | None:
        """Count the request.

        :raises RateLimited: if it is one too many.
        :raises Unavailable: if Redis does not answer, and ``fail_open`` is False.
        """
        key = self._key_of(handler)
        if key is None:
            return None
        if self._redis is not None:
            return self._ask(self._redis, key)
        self._admit(key, self._memory.wait(_digest(key)))
        return None

    async def close(self) -> None:
        """Close the running loop's connection to Redis."""
        if self._redis is not None:
            await self._redis.close()

    def _key_of(self, handler: RequestHandler) -> str | None:
        if callable(self._key):
            return self._key(handler)
        user = _user(handler) if self._key == "user" else None
        return client_address(handler, self._proxies) if user is None else f"user {user}"

    def _admit(self, key: str, wait: int) -> None:
        if wait > 0:
            message = f"more than {self._rate} from {key[:64]!r}"  # repr: it goes into the log
            raise RateLimited(message, math.ceil(wait / 1e6))

    async def _ask(self, server: RedisServer, key: str) -> None:
        counter = _digest(key)
        wait = await self._wait_of_redis(server, counter)
        if wait is None:
            if not self._fail_open:
                raise Unavailable(f"Redis at {server.name} does not count requests")
            wait = self._memory.wait(counter)
        self._admit(key, wait)

    async def _wait_of_redis(self, server: RedisServer, counter: str) -> int | None:
        """Return as `Counters.wait` does; None while Redis is away."""
        if time.monotonic() < self._paused_until:
            return None
        try:
            key = f"rate:{self._name}:{counter}"
            return int(await server.script(GCRA, [key], self._memory.pace, self._memory.most))
        except (OSError, require("redis.exceptions", "redis").RedisError) as exc:
            if time.monotonic() >= self._paused_until:  # one line for all that were waiting
                app_log.warning("RateLimit: Redis at %s is away: %r", server.name, exc)
            self._paused_until = time.monotonic() + PAUSE
            return None


class Counters:
    """The counters of one process, as `GCRA` has them, on a clock that is never set back."""

    def __init__(self, pace: int, burst: int, capacity: int) -> None:
        """Take the pace in microseconds and the burst in requests."""
        self.pace, self.most = pace, pace * burst
        self.capacity = capacity
        self._due: OrderedDict[str, int] = OrderedDict()  # the last to be allowed comes last

    def __len__(self) -> int:
        return len(self._due)

    def wait(self, key: str) -> int:
        """Count a request, and return 0; or return for how many microseconds it is too early."""
        now = time.monotonic_ns() // 1000
        due = max(self._due.get(key, now), now) + self.pace
        if due > now + self.most:
            return due - now - self.most
        self._due[key] = due
        self._due.move_to_end(key)
        while len(self._due) > self.capacity or next(iter(self._due.values())) <= now:
            self._due.popitem(last=False)
        return 0


def _user(handler: RequestHandler) -> str | int | None:
    try:
        user = handler.current_user
    except Unavailable:  # its session's store; the handler fails itself, if it needs that
        return None
    if user is None or isinstance(user, (str, int)):
        return user
    raise ConfigurationError(
        f"RateLimit(key='user') counts by strings and numbers, and current_user is {user!r}: give "
        "a function as the key"
    )


def _digest(key: str) -> str:
    # Short, whatever a client made the key of.
    return blake2b(key.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _check(argument: str, value: object, right: bool) -> None:
    if not right:
        raise ConfigurationError(f"RateLimit({argument}) can't be {value!r}")
