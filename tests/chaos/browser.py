"""A browser that remembers what it was promised, and checks what it is shown."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from tests.chaos.ledger import NAMES, Kept
from tests.chaos.wire import NO_REPLY, Reply
from tornado_ext.sessions.codec import key_of

if TYPE_CHECKING:
    from tests.chaos.clients import Load


class Lost(Exception):
    """A browser is logged in, and the app does not know it."""


class Browser:
    """Logs in, does what browsers do, logs out, and begins again."""

    def __init__(self, load: "Load", name: str) -> None:
        self.load, self.name = load, name
        self.user = self.cookie = ""
        self.kept: Kept | None = None  # None: it has no session, or does not know
        self.losses = "lost", "writes_lost"  # how a session and a value that are lost are counted
        self._serial = 0

    async def act(self) -> None:
        """Do one thing."""
        if self.kept is None:
            await self.load.turn()
            return await self.log_in()
        (action,) = random.choices(list(ACTIONS), list(ACTIONS.values()))
        return await action(self)

    async def log_in(self) -> None:
        self.user = self._new()
        values = {name: self._new() for name in NAMES[:2]}
        if (await self._ask("login", user=self.user, **values)).status == 200:
            self.kept = Kept(values)

    async def look(self) -> None:
        """Compare what the session holds with what it should."""
        if self.kept is None:
            return
        reply = await self.load.ask("read", self.cookie)
        if reply.status == 200 and reply.body["user"] != self.user:
            self.load.counts.add(self.losses[0], f"{key_of(self.cookie)}: {reply.body}")
            self.forget()
        elif reply.status == 200:
            self._note(self.kept.read(reply.body["values"]))

    def forget(self) -> None:
        self.kept, self.cookie = None, ""

    # Actions: of a browser that has a session.

    async def read(self) -> None:
        await self.load.turn()
        await self.look()

    async def write(self) -> None:
        """Write one value, or more in requests at the same time; then look."""
        names = random.sample(NAMES, random.choice((1, 1, 2, 3)))
        await self._write([(name, self._new()) for name in names])

    async def write_the_same(self) -> None:
        name = random.choice(NAMES)
        await self._write([(name, self._new()), (name, self._new())])

    async def drop(self) -> None:
        name = random.choice(NAMES)
        await self.load.turn(2)
        self._wrote(name, [(None, self._took(await self._ask("drop", name=name)))])
        await self.look()

    async def count(self) -> None:
        at_once = random.choice((1, 1, 3))
        await self.load.turn(at_once)
        asking = (self._ask("count", at_once > 1) for _ in range(at_once))  # for each other
        replies = await asyncio.gather(*asking)
        took = [reply.body["count"] if self._took(reply) else None for reply in replies]
        if wrong := self._session.counted(took):
            self._note([wrong])

    async def flash(self) -> None:
        message = self._new()
        await self.load.turn()
        self._session.flashed(message, self._took(await self._ask("flash", message=message)))

    async def show_flashes(self) -> None:
        await self.load.turn()
        reply = await self._ask("flashes")
        self._note(self._session.popped(reply.body["messages"] if self._took(reply) else None))

    async def regenerate(self) -> None:
        """Take a new id, while a slow request with the old one may be under way."""
        name, value = random.choice(NAMES), self._new()
        slow = random.random() < 0.5
        await self.load.turn(3 if slow else 2)
        writing = self._set_slowly(name, value) if slow else _nothing()
        reply, written = await asyncio.gather(self._ask("regenerate"), writing)
        if not self._took(reply):
            self.forget()  # which id it has by now, it was not told
            return
        if slow:
            self._session.wrote(name, [(value, written.status == 200)])
        await self.look()

    async def log_out(self) -> None:
        """End it, while a slow request may be under way; or everywhere, on two devices."""
        cookies = [self.cookie]
        everywhere, slow = random.random() < 0.3, random.random() < 0.3
        await self.load.turn(1 + everywhere + slow)
        if everywhere:
            other = await self.load.ask("login", "", user=self.user)
            cookies += [other.cookie] if other.cookie else []
        writing = self._set_slowly("a", "late") if slow else _nothing()
        verb = "revoke" if everywhere else "logout"
        reply: Reply = (await asyncio.gather(self._ask(verb), writing))[0]
        if everywhere and reply.body == {"ended": 0}:
            raise Lost(self.user)
        if self._took(reply):
            self.load.ended += cookies
        self.forget()

    async def leave(self) -> None:
        """Use the session no more: nothing that is written later makes up for a loss."""
        left = Browser(self.load, self.name)
        left.user, left.cookie, left.kept = self.user, self.cookie, self.kept
        self.load.left.append(left)
        self.forget()

    async def come_with_ended(self) -> None:
        await self.load.turn()
        if self.load.ended:
            await self.load.try_ended(random.choice(self.load.ended))

    # Helpers.

    @property
    def _session(self) -> Kept:
        assert self.kept is not None
        return self.kept

    def _new(self) -> str:
        self._serial += 1
        return f"{self.name}-{self._serial}"

    async def _ask(self, verb: str, waits: bool = False, /, **query: str) -> Reply:
        reply = await self.load.ask(verb, self.cookie, waits, **query)
        if reply.cookie is not None:
            self.cookie = reply.cookie
        return reply

    def _set_slowly(self, name: str, value: str) -> Coroutine[Any, Any, Reply]:
        """Send a request with the id that it has now, and leave its cookie alone."""
        return self.load.ask("set", self.cookie, True, slowly="1", **{name: value})

    def _took(self, reply: Reply) -> bool:
        if reply.status == 409 and reply.body["error"] == "SessionGone":
            raise Lost(self.user)
        return reply.status == 200

    async def _write(self, writes: Sequence[tuple[str, str]]) -> None:
        await self.load.turn(len(writes) + 1)
        asked = [self._ask("set", **{name: value}) for name, value in writes]
        took = [self._took(reply) for reply in await asyncio.gather(*asked)]
        for written in dict(writes):
            self._wrote(
                written,
                [(v, ok) for (name, v), ok in zip(writes, took, strict=True) if name == written],
            )
        await self.look()

    def _wrote(self, name: str, writes: list[tuple[str | None, bool]]) -> None:
        self._session.wrote(name, writes)

    def _note(self, wrong: list[str]) -> None:
        for what in wrong:
            self.load.counts.add(self.losses[1], f"{key_of(self.cookie)}: {what}")


ACTIONS: dict[Callable[[Browser], Awaitable[None]], int] = {
    Browser.read: 30,
    Browser.write: 20,
    Browser.write_the_same: 5,
    Browser.drop: 5,
    Browser.count: 8,
    Browser.flash: 6,
    Browser.show_flashes: 5,
    Browser.regenerate: 4,
    Browser.log_out: 5,
    Browser.leave: 5,
    Browser.come_with_ended: 5,
}


async def _nothing() -> Reply:
    return NO_REPLY
