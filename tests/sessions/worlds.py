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
)
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
  elseif kind == 'hash' and redis.call('HEXISTS', key, 'leased') == 1 then
    redis.call('HINCRBY', key, 'leased', -past)
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
    def __init__(self, servers: list[RedisServer]) -> None:
        self.servers = servers
        if len(servers) == 1:  # a ring holds when one of its nodes fails, and not when all do
            self.faults = (REFUSE, MUTE, FREEZE, CUT)
        self.admins = [redis.Redis.from_url(server.url) for server in servers]
        for admin in self.admins:
            admin.flushall()
        super().__init__()
        self.hasty = self.make_store(HASTY)

    def make_store(self, timeout: float = PATIENT) -> SessionStore:
        query = f"socket_timeout={timeout}&socket_connect_timeout={timeout}"
        urls = {f"n{at}": f"{server.url}?{query}" for at, server in enumerate(self.servers)}
        return RedisStore(urls["n0"]) if len(urls) == 1 else ShardedRedisStore(urls)

    async def advance(self, seconds: float) -> None:
        await super().advance(seconds)
        for admin in self.admins:
            admin.eval(AGE, 0, int(seconds * 1000))

    async def break_down(self, fault: str) -> None:
        for server, admin in zip(self.servers, self.admins, strict=True):
            if fault == FREEZE:
                server.freeze()
            elif fault == CUT:
                admin.client_kill_filter(_type="normal", skipme=True)

    async def repair(self, fault: str) -> None:
        for server, admin in zip(self.servers, self.admins, strict=True):
            server.thaw()
            admin.ping()  # heard with what was said to the frozen one,
            admin.ping()  # and after it
        async with asyncio.timeout(10):
            for _ in range(8):  # keys, of which each server has some
                key = secrets.token_hex(32)
                while not await self._answers(key):
                    await asyncio.sleep(0.01)

    async def _answers(self, key: str) -> bool:
        try:
            return await self.store.load(key) is None
        except StoreUnavailable:
            return False

    async def close(self) -> None:
        await super().close()
        await self.hasty.close()
        for admin in self.admins:
            admin.close()
