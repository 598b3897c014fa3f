"""A hypothesis state machine: browsers with requests in flight, and a model next to them."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack, suppress
from copy import copy, deepcopy
from itertools import permutations
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.sessions.model import (
    ENDED,
    LEASE,
    LIFETIME,
    LIVE,
    REPLACED,
    TOMBSTONE,
    Kept,
    Model,
    Refused,
    View,
)
from tests.sessions.worlds import Handler, Step, Visit, World
from tornado_ext.sessions import Record, Session
from tornado_ext.sessions.codec import FLASH, decode, key_of

BROWSERS, USERS, KEYS, VISITS = 2, ["u1", "u2"], ["a", "b"], 4

Action = tuple[str, ...]
ACTIONS: list[Action] = [
    *(("set", key) for key in KEYS),
    *(("delete", key) for key in KEYS),
    *(("login", user) for user in USERS),
    ("append", "list"),
    *((verb,) for verb in ("logout", "regenerate", "regenerate", "flash", "pop", "save", "save")),
    *((verb,) for verb in ("reload", "count", "enter", "leave")),
]
SOME_ACTIONS = st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=4)
PLANS = st.lists(st.booleans(), min_size=1, max_size=4)  # which verbs of a store fail

Look = tuple[Any, ...] | str | None  # what there is under a key


class Sessions(RuleBasedStateMachine):
    """Whatever requests do, and whatever their store suffers, it is what the model says."""

    def __init__(self, make_world: Callable[[], World]) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.world = make_world()
        self.model = Model(BROWSERS, self.world.clock.now)
        self.jar: list[str | None] = [None] * BROWSERS
        self.visits: dict[int, Visit] = {}
        self.serial = 0

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

    @precondition(lambda self: len(self.visits) > 1)
    @rule(data=st.data(), pauses=st.lists(st.integers(0, 6), max_size=12))
    def leave_together(self, data: st.DataObject, pauses: list[int]) -> None:
        number = st.sampled_from(list(self.visits))
        numbers = data.draw(st.lists(number, min_size=2, max_size=3, unique=True))
        self.world.pauses = pauses
        self.take(numbers, None)
        self.world.pauses = []

    @rule(
        data=st.data(),
        browser=st.integers(0, BROWSERS - 1),
        actions=SOME_ACTIONS,
        last=st.none() | st.sampled_from(ACTIONS),
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

    # What a rule is made of.

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def wait(self, seconds: int) -> None:
        self.model.now += seconds
        self.run(self.world.advance(seconds))

    def open(self, browser: int) -> int:
        self.serial += 1
        visit = self.visits[self.serial] = Visit(self.world.app, self.jar[browser], browser)
        self.run(visit.open())
        self.model.open(self.serial, browser)
        return self.serial

    def one_of_them(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(list(self.visits)))

    def act(self, number: int, actions: list[Action]) -> None:
        for action in actions:
            if number in self.visits and fits(self.model.views[number], action):
                self.take([number], action)

    # What comes of them.

    def take(self, numbers: list[int], action: Action | None, *, failing: bool = False) -> None:
        """Have the requests do this, or end; it must be what the model says, in one order."""
        self.serial += 1
        self.world.created.clear()
        visits = {number: self.visits[number] for number in numbers}
        results = self.run(self.steps(visits, action))
        self.world.plan = []
        seen = self.run(self.look(visits))
        told = [self.ordered(order, visits, action) for order in permutations(numbers)]
        # The last of two replies to a browser need not be that of the last save.
        cookies = [{model.jar_keys()[at] for model, _ in told} for at in range(BROWSERS)]
        jar_is_right = all(key in keys for key, keys in zip(self.jar_keys(), cookies, strict=True))
        for model, expected in told:
            if (results, seen) == (expected, self.states(model)) and jar_is_right:
                self.model = model
                self.take_cookies()
                return
        if failing and list(results.values()) == [503]:
            self.recover(numbers[0], visits[numbers[0]], action, seen)
            return
        model, expected = told[0]
        raise AssertionError(
            f"{action}: {results} and not {expected}, {self.jar_keys()} and not one each of "
            f"{cookies}, {seen} and not {self.states(model)}"
        )

    def ordered(
        self, order: Iterable[int], visits: dict[int, Visit], action: Action | None
    ) -> tuple[Model, dict[int, Any]]:
        """Return what the model has when the requests do it one after the other."""
        model = deepcopy(self.model)
        return model, {at: self.expect(model, at, visits[at], action) for at in order}

    def take_cookies(self) -> None:
        """Have the model's browsers keep what the real ones have."""
        by_key = {kept.key: kept for kept in self.model.kept}
        self.model.jar = [by_key[key] if key else None for key in self.jar_keys()]

    async def steps(self, visits: dict[int, Visit], action: Action | None) -> dict[int, Any]:
        """Return what the handlers did, or the status of requests that have ended."""
        steps = [visit.step(action and step_of(action, self.serial)) for visit in visits.values()]
        results = dict(zip(visits, await asyncio.gather(*steps), strict=True))
        for number, visit in visits.items():
            if visit.status is not None:
                results[number] = visit.status
                self.jar[visit.browser] = visit.jar(self.jar[visit.browser])
                del self.visits[number]
        return results

    def expect(self, model: Model, number: int, visit: Visit, action: Action | None) -> Any:
        """Have the model do it; it learns the key of the session, if that is a new one."""
        view = model.views[number]
        result: Any
        if action is None:
            result = model.close(number, visit.browser)
        else:
            try:
                result = do(model, view, action, visit.browser, self.serial)
            except Refused as refused:
                result = model.fail(number, visit.browser, refused.status)
        if view.kept is not None:
            view.kept.key = view.kept.key or visit.handler.session.key
        return result

    async def look(self, visits: dict[int, Visit]) -> dict[str, Look]:
        """Return what the store has under all keys that were ever made."""
        keys = {kept.key for kept in self.model.kept} | set(self.world.created)
        records = await asyncio.gather(*(self.world.store.load(key) for key in keys))
        looks = zip(keys, map(self.look_of, records), strict=True)
        return {key: look for key, look in looks if look is not None}

    def look_of(self, record: Record | None) -> Look:
        if record is None or record.replaced:
            return record and REPLACED
        if record.ends_at <= self.model.now:
            return None
        return said(decode(record.fields)), record.user_id, record.seen_at, record.ends_at

    def states(self, model: Model) -> dict[str, Look]:
        """Return what the store should have, as `look` does."""
        held = (kept for kept in model.kept if model.live(kept) or model.tombstone(kept))
        return {kept.key: look_at(kept) for kept in held}

    def jar_keys(self) -> list[str | None]:
        return [cookie and key_of(cookie) for cookie in self.jar]

    # After a failure.

    def recover(
        self, number: int, visit: Visit, action: Action | None, seen: dict[str, Look]
    ) -> None:
        """See that each record is as it was, or as the request would have it; go on from there."""
        view, old_jar = self.model.views[number], self.model.jar[visit.browser]
        allowed: dict[str, list[Look]] = {kept.key: [] for kept in self.model.kept}
        new = [self.unmerged(view)] if view.kept is None or seen.get(view.kept.key) else []
        for key, look in self.attempts(number, visit, action):
            allowed.get(key, new).append(look)
        for kept in self.model.kept:
            look = seen.get(kept.key)
            assert look in allowed[kept.key]
            self.absorb(kept, look)
        for key in self.world.created:
            look = seen.get(key)
            assert look in [None, *new]
            kept = Kept({}, view.user, 0, 0, key=key)
            self.model.kept.append(kept)
            self.absorb(kept, look)
        del self.model.views[number]
        self.take_cookies()
        if view.ended or None in allowed.get(old_jar.key if old_jar else "", [None]):
            return
        assert self.model.live(self.model.jar[visit.browser]), (
            "a failing store has logged somebody out"
        )

    def attempts(
        self, number: int, visit: Visit, action: Action | None
    ) -> Iterator[tuple[str, Look]]:
        """Yield what each record may be after none, some or all of what the request asked for."""
        for does, fails in ((False, False), (True, False), (False, True), (True, True)):
            model = deepcopy(self.model)
            for kept in model.kept:
                over = not model.live(kept) and not model.tombstone(kept)
                kept.state = ENDED if over else kept.state
                kept.trace = [copy(kept)]
            view = model.views[number]
            with suppress(Refused, KeyError):
                if does and action is None:
                    model.close(number, visit.browser)
                elif does and action is not None:
                    do(model, view, action, visit.browser, self.serial)
                if fails:
                    model.fail(number, visit.browser, 503)
            for kept in model.kept:
                yield from ((kept.key, look_at(past)) for past in kept.trace)

    def unmerged(self, view: View) -> Look:
        """Return what a new record is before it has what others stored under the old id."""
        return said(view.values), view.user, self.model.now, view.ends

    def absorb(self, kept: Kept, look: Look) -> None:
        """Take on what is there."""
        if isinstance(look, tuple):
            (plain, flashes), kept.user, kept.seen, kept.ends = deepcopy(look)
            named = {flash_name(serial): [*tag, serial] for *tag, serial in flashes}
            kept.state, kept.fields = LIVE, plain | named
        elif kept.state == LIVE:
            kept.state = look or ENDED
            kept.until = self.model.now + TOMBSTONE


def look_at(kept: Kept) -> Look:
    """Return what the store should have for it, if its time is not over."""
    live = said(kept.fields), kept.user, kept.seen, kept.ends
    return {LIVE: live, REPLACED: REPLACED, ENDED: None}[kept.state]


def fits(view: View, action: Action | None) -> bool:
    """Tell whether a handler may do this here."""
    if view.in_block:
        return action is None or action[0] not in ("login", "regenerate", "count", "enter")
    return action != ("leave",)


def do(model: Model, view: View, action: Action, browser: int, serial: int) -> Any:
    """Do it to the model, and return what a handler sees."""
    verb, *args = action
    result = None
    value = [browser, view.user, serial]
    match verb:
        case "set":
            view.values[args[0]] = value
        case "append":
            view.values["list"] = [*view.values.get("list", []), value]
        case "delete":
            view.values.pop(args[0], None)
        case "flash":
            view.values[flash_name(serial)] = value
        case "pop":
            result = model.pop_flashes(view)
        case "count":
            model.enter(view)
            view.values["n"] = view.values.get("n", 0) + 1
            model.leave(view)
        case _:
            getattr(model, verb)(view, *args)
    return result, {k: v for k, v in view.values.items() if not k.startswith(FLASH)}, view.user


def step_of(action: Action, serial: int) -> Step:
    """Return what a handler does, which returns what it sees."""

    async def step(handler: Handler, stack: AsyncExitStack) -> Any:
        session, browser = handler.session, handler.request.connection.browser
        result = await act(session, stack, action, [browser, session.user_id, serial])
        values = deepcopy(dict(session))
        everything = [*values.get("list", []), *(values[key] for key in KEYS if key in values)]
        for of_browser, of_user, _ in [*everything, *(result or [])]:
            assert of_browser == browser
            assert of_user in (None, session.user_id)
        return result, values, session.user_id

    return step


async def act(session: Session, stack: AsyncExitStack, action: Action, value: Any) -> Any:
    verb, *args = action
    match verb:
        case "set":
            session[args[0]] = value
        case "append":
            session.setdefault("list", []).append(value)
        case "delete":
            session.pop(args[0], None)
        case "flash":
            session.flash(value)
        case "pop":
            return await session.pop_flashes()
        case "count":
            async with session.exclusive(wait=0, lease=LEASE):
                session["n"] = session.get("n", 0) + 1
        case "enter":
            await stack.enter_async_context(session.exclusive(wait=0, lease=LEASE))
        case "leave":
            await stack.aclose()
        case "save" | "reload":
            await getattr(session, verb)()
        case _:
            getattr(session, verb)(*args)
    return None


def flash_name(serial: int) -> str:
    return f"{FLASH}{serial:09}"


def said(fields: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return the values of a session, and its flash messages in their order."""
    plain = {name: value for name, value in fields.items() if not name.startswith(FLASH)}
    return plain, [fields[name] for name in sorted(fields.keys() - plain)]
