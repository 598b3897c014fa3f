"""A hypothesis state machine: browsers with requests in flight, and a model next to them."""

import asyncio
import secrets

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.sessions.actions import ACTIONS, ASKING, USERS, Action, fits, step_of
from tests.sessions.comparing import BROWSERS, Compared
from tests.sessions.model import ENDED, LIFETIME
from tests.sessions.worlds import Visit
from tornado_ext.sessions.codec import key_of

VISITS = 4  # in flight
SOME_ACTIONS = st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=4)
PLANS = st.lists(st.booleans(), min_size=1, max_size=4)  # which verbs of a store fail


class Sessions(Compared):
    """Whatever requests do, and whatever their store suffers, it is what the model says."""

    # Rules.

    @initialize(users=st.lists(st.none() | st.sampled_from(USERS), min_size=2, max_size=2))
    def begin(self, users: list[str | None]) -> None:
        """Begin with sessions: most of what can go wrong needs one."""
        for browser, user in enumerate(users):
            number = self.open(browser)
            self.act(number, [("set", "a"), ("flash",), *([("login", user)] if user else [])])
            self.take([number], None)

    @precondition(lambda self: len(self.visits) < VISITS)
    @rule(browser=st.integers(0, BROWSERS - 1), actions=SOME_ACTIONS)
    def come(self, browser: int, actions: list[Action]) -> None:
        self.act(self.open(browser), actions)

    @precondition(lambda self: self.visits)
    @rule(data=st.data(), actions=SOME_ACTIONS)
    def go_on(self, data: st.DataObject, actions: list[Action]) -> None:
        self.act(self.one_of_them(data), actions)

    @precondition(lambda self: self.visits)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.take([self.one_of_them(data)], None)

    @rule(browser=st.integers(0, BROWSERS - 1), actions=SOME_ACTIONS)
    def come_and_leave(self, browser: int, actions: list[Action]) -> None:
        number = self.open(browser)
        self.act(number, actions)
        if number in self.visits:
            self.take([number], None)

    @rule(
        browser=st.integers(0, BROWSERS - 1),
        one=SOME_ACTIONS,
        other=SOME_ACTIONS,
        revoked=st.none() | st.sampled_from(USERS),
        pauses=st.lists(st.integers(0, 6), max_size=12),
    )
    def race(
        self,
        browser: int,
        one: list[Action],
        other: list[Action],
        revoked: str | None,
        pauses: list[int],
    ) -> None:
        """Two requests of a browser come together, and leave together."""
        numbers = [self.open(browser), self.open(browser)]
        for number, actions in zip(numbers, (one, other), strict=True):
            self.act(number, actions)
        self.world.pauses = pauses
        self.take([at for at in numbers if at in self.visits], None, revoked=revoked)
        self.world.pauses = []

    @rule(
        data=st.data(),
        browser=st.integers(0, BROWSERS - 1),
        actions=SOME_ACTIONS,
        last=st.none() | st.sampled_from(ASKING),
        plan=PLANS,
    )
    def suffer(
        self,
        data: st.DataObject,
        browser: int,
        actions: list[Action],
        last: Action | None,
        plan: list[bool],
    ) -> None:
        """Come, and go on or leave while the store fails."""
        number = self.open(browser)
        self.act(number, actions)
        if number in self.visits and fits(self.model.views[number], last):
            fault = st.sampled_from(self.world.faults)
            self.world.plan = [data.draw(fault) if fails else None for fails in plan]
            self.take([number], last, failing=True)
            self.wait(250)  # a lease that could not be given back ends

    @precondition(lambda self: any(self.jar))
    @rule(data=st.data())
    def come_while_the_store_fails(self, data: st.DataObject) -> None:
        browser = data.draw(st.sampled_from([at for at, has in enumerate(self.jar) if has]))
        visit = Visit(self.world.app, self.jar[browser], browser)
        self.world.plan = [data.draw(st.sampled_from(self.world.faults))]
        self.run(visit.open())
        assert (visit.status, visit.cookies) in [(503, []), (None, [])]
        if visit.status is None:  # a read was tried again
            self.serial += 1
            self.visits[self.serial] = visit
            self.model.open(self.serial, browser)

    @rule(seconds=st.sampled_from([70, 150, 250, 1100, 10_100]))
    def let_time_pass(self, seconds: int) -> None:
        if seconds < LIFETIME or not self.visits:
            self.wait(seconds)

    @rule(user=st.sampled_from(USERS))
    def revoke(self, user: str) -> None:
        infos = self.run(self.world.store.sessions_of(user))
        live = [kept for kept in self.model.kept if kept.user == user and self.model.live(kept)]
        assert {info.key: info.seen_at for info in infos} == {one.key: one.seen for one in live}
        assert self.run(self.world.store.revoke_user(user)) == self.model.revoke(user)

    @rule(user=st.sampled_from(USERS), data=st.data(), turns=st.integers(0, 20))
    def revoke_while_the_store_fails(self, user: str, data: st.DataObject, turns: int) -> None:
        """What could be reached is ended, the rest is as it was; the next revoke ends it."""
        self.run(self.world.revoke(user, data.draw(st.sampled_from(self.world.faults)), turns))
        seen, expected = self.run(self.look({})), self.states(self.model)
        for kept in self.model.kept:
            if kept.user == user and kept.key not in seen:
                kept.state = ENDED
        assert seen == self.states(self.model)
        assert seen.items() <= expected.items()
        self.revoke(user)

    def teardown(self) -> None:
        self.run(self.end())
        self.run(self.world.close())
        asyncio.set_event_loop(None)
        self.loop.close()

    async def end(self) -> None:
        self.world.plan = []
        for visit in self.visits.values():
            await visit.step(None)
        made_up = secrets.token_urlsafe(32)
        visit = Visit(self.world.app, made_up, 0)
        await visit.open()
        await visit.step(step_of(("set", "a"), 0))
        await visit.step(None)
        assert visit.jar(made_up) not in (made_up, None)
        assert await self.world.store.load(key_of(made_up)) is None
