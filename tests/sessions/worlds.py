"""Where the state machine's requests take place: real handlers and stores, with time in its hands.

A request comes and goes in this process, without a socket, and stops wherever it is told to.
"""

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
import redis
from tornado.concurrent import Future
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import Application, RequestHandler

from demo_app import sessions as sqlite
from tests.redis_data import forget
from tests.sessions.model import IDLE, LIFETIME
from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.sessions import (
    MemoryStore,
    SessionMixin,
    SessionStore,
    StoreTimeout,
    StoreUnavailable,
    memory,
    saving,
    session,
    sharded,
)
from tornado_ext.sessions._sharding import copies, upkeep
from tornado_ext.sessions._sharding.replicas import LONGEST_TIMEOUT
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import RedisServer

REFUSE, MUTE, FREEZE, CUT = "refuse", "mute", "freeze", "cut"  # what a store does to a verb
HASTY, PATIENT = 0.1, 10.0  # seconds that a store waits for a frozen Redis, and for a slow machine
AGE = """
local past = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, left = redis.call('TYPE', key).ok, redis.call('PTTL', key)
  if kind == 'zset' then
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      redis.call('ZINCRBY', key, -past, member)
    end
  elseif kind == 'hash' then
    for _, name in ipairs({'leased', 'until'}) do
      if redis.call('HEXISTS', key, name) == 1 then redis.call('HINCRBY', key, name, -past) end
    end
  end
  if left > 0 then redis.call('PEXPIRE', key, left - past) end
end
"""

Step = Callable[["Handler", contextlib.AsyncExitStack], Awaitable[Any]]


class Clock:
    """Stands where modules have ``time``: it goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def time(self) -> float:
        return self.now

    monotonic = time

    def time_ns(self) -> int:
        return int(self.now) * 10**9


class Handler(SessionMixin, MiddlewareMixin, RequestHandler):
    """Does step after step, as its connection has them."""

    async def get(self) -> None:
        assert self.session is not None
        await self.request.connection.serve(self)  # type: ignore[union-attr]


class Visit:
    """A request, and the connection that it came on."""

    context = None

    def __init__(self, app: Application, cookie: str | None, browser: int) -> None:
        self.browser = browser
        headers = HTTPHeaders({"Host": "x"})
        if cookie is not None:
            headers["Cookie"] = f"session={cookie}"
        line = RequestStartLine("GET", "/", "HTTP/1.1")
        request = HTTPServerRequest(start_line=line, headers=headers, connection=self)  # type: ignore[arg-type]
        self._delegate = app.get_handler_delegate(request, Handler)
        self._steps: asyncio.Queue[Step | None] = asyncio.Queue()
        self._turn = asyncio.Event()
        self._sent: Future[None] = Future()
        self._sent.set_result(None)
        self.handler: Handler
        self.status: int | None = None
        self.cookies: list[str] = []

    async def open(self) -> None:
        """Begin; return when the session is loaded."""
        self._delegate.finish()
        await self._turn.wait()

    async def step(self, step: Step | None) -> Any:
        """Have the handler do this, and return what comes of it; None ends the request."""
        self._turn.clear()
        self.result = None
        self._steps.put_nowait(step)
        await self._turn.wait()
        return self.result

    async def serve(self, handler: Handler) -> None:
        self.handler = handler
        async with contextlib.AsyncExitStack() as stack:
            while True:
                self._turn.set()
                step = await self._steps.get()
                if step is None:
                    return
                self.result = await step(handler, stack)

    def jar(self, had: str | None) -> str | None:
        """Return the cookie that the browser has now."""
        for line in self.cookies:
            morsel = SimpleCookie(line)["session"]
            had = None if morsel["max-age"] == "0" or "1970" in morsel["expires"] else morsel.value
            had = had or None
        return had

    # What Tornado asks of a connection.

    def set_close_callback(self, callback: Callable[[], None] | None) -> None: ...

    def write_headers(self, line: Any, headers: HTTPHeaders, *_: object) -> "Future[None]":
        self.status, self.cookies = line.code, headers.get_list("Set-Cookie")
        return self._sent

    def finish(self) -> None:
        self._turn.set()


class World:
    """A store, whose verbs fail as planned, and the app that is on it."""

    faults: Sequence[str] = (REFUSE, MUTE)

    def __init__(self) -> None:
        self.clock = Clock()
        self._patches = pytest.MonkeyPatch()
        for module in (memory, saving, session):
            self._patches.setattr(module, "time", self.clock)
        self._patches.setattr(sqlite, "time", self.clock.time)
        self.store = self.make_store()
        self.hasty = self.store  # asks a server that is in trouble
        self.created: list[str] = []
        self.plan: list[str | None] = []  # what happens to the next verbs
        self.pauses: list[int] = []  # turns of the loop before and after the next verbs
        kept = {"session_idle_timeout": IDLE, "session_lifetime": LIFETIME}
        self.app = Application(session_store=Unreliable(self), **kept)

    def make_store(self) -> SessionStore:
        raise NotImplementedError

    async def advance(self, seconds: float) -> None:
        """Let time go on."""
        self.clock.now += seconds

    async def before_verb(self) -> None: ...
    async def break_down(self, fault: str) -> None: ...
    async def repair(self, fault: str) -> None: ...

    async def revoke(self, user: str, fault: str, turns: int) -> None:
        """Revoke a user, and have the store fail so many turns of the loop later."""
        revoking = asyncio.ensure_future(self.hasty.revoke_user(user))
        for _ in range(turns):
            await asyncio.sleep(0)
        await self.break_down(fault)
        with contextlib.suppress(StoreUnavailable):
            await revoking
        await self.repair(fault)

    async def close(self) -> None:
        await self.store.close()
        self._patches.undo()


class Unreliable(SessionStore):
    """The store of a world, as its plan has it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def _verb(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        world = self._world
        await world.before_verb()
        fault = world.plan.pop(0) if world.plan else None
        for _ in range(world.pauses.pop() if world.pauses else 0):
            await asyncio.sleep(0)
        if fault == REFUSE:
            raise StoreUnavailable("refused")
        store = world.store
        if fault is not None:
            store = world.hasty
            await world.break_down(fault)
        try:
            result = await getattr(store, verb)(*args, **kwargs)
        finally:
            if fault is not None:
                await world.repair(fault)
        if fault == MUTE:
            raise StoreTimeout("no answer")
        for _ in range(world.pauses.pop() if world.pauses else 0):
            await asyncio.sleep(0)
        return result

    async def load(self, *args: Any) -> Any:
        return await self._verb("load", *args)

    async def create(self, key: str, *args: Any) -> None:
        self._world.created.append(key)
        await self._verb("create", key, *args)

    async def save(self, *args: Any) -> Any:
        return await self._verb("save", *args)

    async def delete(self, *args: Any, **kwargs: Any) -> Any:
        return await self._verb("delete", *args, **kwargs)

    async def lease(self, *args: Any) -> Any:
        return await self._verb("lease", *args)

    async def release(self, *args: Any) -> None:
        await self._verb("release", *args)

    async def sessions_of(self, *args: Any) -> Any:
        return await self._verb("sessions_of", *args)

    async def revoke_user(self, *args: Any) -> Any:
        return await self._verb("revoke_user", *args)

    async def close(self) -> None: ...


class MemoryWorld(World):
    def make_store(self) -> SessionStore:
        return MemoryStore()


class SQLiteWorld(World):
    def make_store(self) -> SessionStore:
        self._directory = tempfile.TemporaryDirectory()
        return sqlite.SQLiteStore(Path(self._directory.name) / "sessions.db")

    async def close(self) -> None:
        await super().close()
        self._directory.cleanup()


class RedisWorld(World):
    faults = (REFUSE, MUTE, FREEZE, CUT)

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.admin = redis.Redis.from_url(server.url)
        self.admin.flushall()
        super().__init__()
        self.hasty = self.make_store(HASTY)

    def make_store(self, timeout: float = PATIENT) -> SessionStore:
        return RedisStore(patient(self.server, timeout))

    async def advance(self, seconds: float) -> None:
        await super().advance(seconds)
        self.admin.eval(AGE, 0, int(seconds * 1000))

    async def break_down(self, fault: str) -> None:
        if fault == FREEZE:
            self.server.freeze()
        elif fault == CUT:
            self.admin.client_kill_filter(_type="normal", skipme=True)

    async def repair(self, fault: str) -> None:
        self.server.thaw()
        self.admin.ping()  # heard with what was said to the frozen one,
        self.admin.ping()  # and after it
        async with asyncio.timeout(10):
            while not await self._answers():
                await asyncio.sleep(0.01)

    async def _answers(self) -> bool:
        try:
            return await self.store.load(secrets.token_hex(32)) is None
        except StoreUnavailable:
            return False

    async def close(self) -> None:
        await super().close()
        await self.hasty.close()
        self.admin.close()


class RingWorld(World):
    """Nodes are killed, one at a time, and come back empty: nobody is to notice."""

    ROUND = 12  # verbs; one of the nodes is away for a third of them

    def __init__(self, servers: list[RedisServer]) -> None:
        self.servers = servers
        self.away: RedisServer | None = None
        self.verbs = 0
        for server in servers:
            with redis.Redis.from_url(server.url) as admin:
                admin.flushall()
        super().__init__()
        for module in (copies, sharded):
            self._patches.setattr(module, "time", self.clock)
        self._patches.setattr(upkeep, "SHORT_INTERVAL", 0.02)

    def make_store(self) -> ShardedRedisStore:
        urls = [patient(server, LONGEST_TIMEOUT) for server in self.servers]
        return ShardedRedisStore({f"n{at}": url for at, url in enumerate(urls)})

    async def advance(self, seconds: float) -> None:
        await super().advance(seconds)
        for server in self.servers:
            if server is not self.away:
                with redis.Redis.from_url(server.url) as admin:
                    admin.eval(AGE, 0, int(seconds * 1000))

    async def before_verb(self) -> None:
        self.verbs += 1
        if self.verbs % self.ROUND == self.ROUND // 3:
            await self._settled()
            self.away = self.servers[self.verbs // self.ROUND % len(self.servers)]
            self.away.kill()
        elif self.verbs % self.ROUND == 2 * self.ROUND // 3:
            self._bring_back()

    def _bring_back(self) -> None:
        if self.away is not None:
            forget(self.away)
            self.away.restart()
            self.away = None

    async def _settled(self) -> None:
        assert isinstance(self.store, ShardedRedisStore)
        async with asyncio.timeout(20):
            while {node.state for node in (await self.store.health()).values()} != {"ok"}:
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        await super().close()
        self._bring_back()


def patient(server: RedisServer, timeout: float) -> str:
    """Return the URL of a server with these timeouts, in seconds."""
    return f"{server.url}?socket_timeout={timeout}&socket_connect_timeout={timeout}"
