"""All clients of the app: so many browsers, and what they found together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlencode

from tests.chaos.browser import Browser, Lost
from tests.chaos.ledger import Counts
from tests.chaos.wire import NO_REPLY, Cut, Reply, Wire
from tornado_ext.sessions.codec import key_of

LAG = 1.0  # seconds by which the load may be behind before it gives up catching up
AT_ONCE = 16  # requests, where there is nothing to wait for


class Load:
    """So many browsers, who make ``rate`` requests a second together."""

    def __init__(self, wire: Wire, *, rate: float, browsers: int) -> None:
        self.wire = wire
        self.counts = Counts()
        self.requests = 0
        self.ended: list[str] = []  # ids of sessions that were logged out
        self.left: list[Browser] = []  # whose sessions nobody uses any more
        self._browsers = [Browser(self, f"u{number}") for number in range(browsers)]
        self._rate, self._next = rate, 0.0

    async def fill(self, sessions: int) -> None:
        """Make sessions that are looked at in the end alone."""
        idle = [Browser(self, f"idle{number}") for number in range(sessions)]
        await in_turn([browser.log_in for browser in idle])
        for browser in idle:
            browser.losses = "idle_lost", "idle_lost"
        self.left += idle

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have the browsers at work until the end of the block, and for what they have begun."""
        self._stop = False
        self._next = asyncio.get_running_loop().time()
        working = [asyncio.ensure_future(self._work(browser)) for browser in self._browsers]
        try:
            yield
        finally:
            self._stop = True
            await asyncio.gather(*working)

    async def look_at_all(self) -> None:
        """Look at every session, used or not, and at every one that has ended."""
        await in_turn([browser.look for browser in (*self._browsers, *self.left)])
        await in_turn([partial(self.try_ended, cookie) for cookie in self.ended])

    async def turn(self, requests: int = 1) -> None:
        """Wait until it is time for more requests."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now - LAG) + requests / self._rate
        await asyncio.sleep(self._next - now)

    async def ask(self, verb: str, cookie: str = "", waits: bool = False, /, **query: str) -> Reply:
        """Send a request, and count it if it fails; its time says nothing if it ``waits``."""
        self.requests += 1
        excused = self.wire.restarting
        try:
            path = f"/{verb}?{urlencode(query)}"
            reply = await self.wire.ask(path, cookie, timed=not waits)
        except Cut as exc:
            if not (excused or self.wire.restarting):
                self.fail(verb, cookie, exc)
            return NO_REPLY
        if reply.status not in (200, 409) or (reply.body or {}).get("error") == "LeaseLost":
            self.fail(verb, cookie, reply.body)
        return reply

    def fail(self, verb: str, cookie: str, what: object) -> None:
        self.counts.add("failed", f"{verb} of {key_of(cookie)}: {what}")

    async def try_ended(self, cookie: str) -> None:
        """Come with the id of a session that was logged out."""
        reply = await self.ask("read", cookie)
        if reply.status == 200 and (reply.body["user"] or reply.body["values"]):
            self.counts.add("logouts_undone", f"{key_of(cookie)}: {reply.body}")
            self.ended = [other for other in self.ended if other != cookie]

    async def _work(self, browser: Browser) -> None:
        while not self._stop:
            try:
                await browser.act()
            except Lost as exc:
                self.counts.add("lost", f"{key_of(browser.cookie)} {exc}")
                browser.forget()


async def in_turn(works: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Do all of this, a few at once."""
    left = iter(works)

    async def work() -> None:
        for one in left:
            await one()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
