"""The pool against a model that counts."""

import asyncio
from contextlib import suppress
from math import inf
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from tornado_ext.mysql._url import parse
from tornado_ext.mysql.drivers import DRIVERS
from tornado_ext.mysql.pool import Pool, Slot

SIZE = 3


class Model(RuleBasedStateMachine):
    """Who has a slot, and who waits for one, in the order of coming."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.pool = Pool(*parse(self.url, {"max_size": SIZE}, DRIVERS))
        self.lent: list[Slot] = []
        self.waiting: list[asyncio.Task[Slot]] = []

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def start(self) -> "asyncio.Task[Slot]":
        return self.loop.create_task(self.pool.acquire(inf))

    @rule()
    def borrow(self) -> None:
        task = self.start()
        if len(self.lent) < SIZE:
            self.lent.append(self.run(task))
        else:
            self.run(turns(2))
            assert not task.done()
            self.waiting.append(task)

    @precondition(lambda self: self.lent)
    @rule(which=st.integers(0, SIZE - 1), broken=st.booleans())
    def give_back(self, which: int, broken: bool) -> None:
        slot = self.lent.pop(which % len(self.lent))
        if broken:
            slot.connection.terminate()
        self.run(self.release(slot))
        if self.waiting:
            self.lent.append(self.run(self.waiting.pop(0)))

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 20))
    def cancel_a_waiter(self, which: int) -> None:
        assert self.cancel(self.waiting.pop(which % len(self.waiting)))

    @precondition(lambda self: self.waiting)
    @rule()
    def cancel_a_waiter_whose_slot_comes(self) -> None:
        slot = self.lent.pop()
        assert self.cancel(self.waiting.pop(0), slot)
        if self.waiting:
            self.lent.append(self.run(self.waiting.pop(0)))

    @precondition(lambda self: len(self.lent) < SIZE)
    @rule(after=st.integers(0, 12))
    def cancel_while_connecting(self, after: int) -> None:
        task = self.start()
        self.run(turns(after))
        if not self.cancel(task):
            self.run(self.release(task.result()))

    async def release(self, slot: Slot) -> None:
        self.pool.release(slot)

    def cancel(self, task: "asyncio.Task[Slot]", slot: Slot | None = None) -> bool:
        async def wait() -> None:
            if slot is not None:
                self.pool.release(slot)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        self.run(wait())
        return task.cancelled()

    @invariant()
    def the_counts_are_right(self) -> None:
        stats = self.pool.stats()
        assert (stats.in_use, stats.waiting) == (len(self.lent), len(self.waiting))
        assert stats.open >= sum(slot.is_open for slot in self.lent)

    @invariant()
    def nobody_shares(self) -> None:
        assert len({id(slot.connection) for slot in self.lent}) == len(self.lent)

    def teardown(self) -> None:
        for task in self.waiting:
            self.cancel(task)
        for slot in self.lent:
            self.run(self.release(slot))
        self.run(self.pool.close())
        assert (self.pool.stats().in_use, self.pool.stats().open) == (0, 0)
        self.run(turns(2))
        self.loop.close()


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_the_pool_counts_as_its_model_does(url: str) -> None:
    machine = type("Machine", (Model,), {"url": url})

    run_machine(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
