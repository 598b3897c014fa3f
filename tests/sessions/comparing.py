"""What requests do, next to what the model says of it."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy, deepcopy
from itertools import permutations, product
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from tests.sessions.actions import Action, do, fits, flash_name, said, step_of
from tests.sessions.model import ENDED, LIVE, REPLACED, TOMBSTONE, Kept, Model, Refused, View
from tests.sessions.worlds import Visit, World
from tornado_ext.sessions import Record
from tornado_ext.sessions.codec import decode, key_of

BROWSERS = 2
REVOKE = 0  # among the numbers of requests
FATES = FINE, EARLY, LATE = "fine", "early", "late"  # of one that meets a revoke

Look = tuple[Any, ...] | str | None  # what there is under a key


class Compared(RuleBasedStateMachine):
    """Browsers with requests in flight, and a model that does the same."""

    def __init__(self, make_world: Callable[[], World]) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.world = make_world()
        self.model = Model(BROWSERS, self.world.clock.now)
        self.jar: list[str | None] = [None] * BROWSERS
        self.visits: dict[int, Visit] = {}
        self.serial = 0

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

    def take(
        self,
        numbers: list[int],
        action: Action | None,
        *,
        failing: bool = False,
        revoked: str | None = None,
    ) -> None:
        """Have the requests do this, or end; it must be what the model says, in one order."""
        self.serial += 1
        self.world.created.clear()
        visits = {number: self.visits[number] for number in numbers}
        results = self.run(self.steps(visits, action, revoked))
        self.world.plan = []
        seen = self.run(self.look(visits))
        told = [
            self.ordered(order, visits, action, revoked, dict(zip(numbers, fates, strict=True)))
            for order in permutations([*numbers, *([REVOKE] if revoked else [])])
            for fates in product(FATES if revoked else [FINE], repeat=len(numbers))
        ]
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
        self,
        order: Iterable[int],
        visits: dict[int, Visit],
        action: Action | None,
        revoked: str | None,
        fates: dict[int, str],
    ) -> tuple[Model, dict[int, Any]]:
        """Return what the model has when the requests do it one after the other.

        A revoke may meet one half-way: before or after its new session took the old one's place.
        """
        model, results = deepcopy(self.model), {}
        for number in order:
            if number == REVOKE:
                model.revoke(str(revoked))
            elif fates[number] == EARLY:
                results[number] = model.refuse(number, visits[number].browser)
            else:
                results[number] = self.expect(model, number, visits[number], action)
                if fates[number] == LATE:
                    results[number] = 409
        return model, results

    def take_cookies(self) -> None:
        """Have the model's browsers keep what the real ones have."""
        by_key = {kept.key: kept for kept in self.model.kept}
        self.model.jar = [by_key[key] if key else None for key in self.jar_keys()]

    async def steps(
        self, visits: dict[int, Visit], action: Action | None, revoked: str | None
    ) -> dict[int, Any]:
        """Return what the handlers did, or the status of requests that have ended."""
        steps = [visit.step(action and step_of(action, self.serial)) for visit in visits.values()]
        revoking = (
            self.world.app.settings["session_store"].revoke_user(revoked)
            if revoked
            else asyncio.sleep(0)
        )
        done = await asyncio.gather(*steps, revoking)
        results = dict(zip(visits, done[:-1], strict=True))
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
        may_be_new = view.kept is None or seen.get(view.kept.key)
        unmerged = [self.unmerged(view)] if may_be_new else []
        new: list[Look] = []
        for key, look in self.attempts(number, visit, action):
            allowed.get(key, new).append(look)
        for kept in self.model.kept:
            look = seen.get(kept.key)
            assert look in allowed[kept.key]
            self.absorb(kept, look)
        for key in self.world.created:
            look = seen.get(key)
            assert look in [None, *new, *unmerged]
            if look not in [None, *new] and view.kept is not None:
                # What others stored under the old id is here before that is replaced.
                assert seen.get(view.kept.key) != REPLACED
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
