"""Session, on each kind of store: exclusive blocks, flash messages, users and ends."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from tornado.ioloop import IOLoop

from demo_app.sessions import SQLiteStore
from tornado_ext.sessions import (
    InsideExclusive,
    LeaseLost,
    MemoryStore,
    Record,
    Session,
    SessionBusy,
    SessionGone,
    SessionStore,
    SessionTooLarge,
    SessionValueError,
    StoreTimeout,
    StoreUnavailable,
    scripts,
)
from tornado_ext.sessions import redis as module
from tornado_ext.sessions.codec import key_of
from tornado_ext.sessions.lifetimes import Lifetimes
from tornado_ext.sessions.redis import RedisStore

LIFETIMES = Lifetimes(3600, 86400)
WRITERS = Path(__file__).with_name("writers.py")


@pytest.fixture(params=["memory", "redis", "sqlite"])
def store(
    request: pytest.FixtureRequest, io_loop: IOLoop, tmp_path: Path
) -> Iterator[SessionStore]:
    if request.param == "redis":
        store: SessionStore = RedisStore(request.getfixturevalue("redis_url"))
    else:
        store = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "s.db")
    yield store
    io_loop.run_sync(store.close)


async def stored(store: SessionStore, user_id: str | None = None, **values: Any) -> str:
    """Return the id of a stored session."""
    session = Session(store, LIFETIMES)
    session.update(values)
    if user_id is not None:
        session.login(user_id)
    await session.save()
    return str(session.id)


async def loaded(store: SessionStore, session_id: str) -> Session:
    session = Session(store, LIFETIMES)
    await session.load(session_id)
    return session


# Exclusive blocks.


@pytest.mark.gen_test
async def test_exclusive_increments_are_not_lost(store: SessionStore) -> None:
    session_id = await stored(store, n=0)

    async def increment() -> None:
        session = await loaded(store, session_id)
        async with session.exclusive() as held:
            n = held["n"]
            await asyncio.sleep(0)
            held["n"] = n + 1

    await asyncio.gather(*(increment() for _ in range(16)))
    assert dict(await loaded(store, session_id)) == {"n": 16}


@pytest.mark.gen_test
async def test_exclusive_begins_with_what_the_store_has_and_keeps_what_was_changed_before(
    store: SessionStore,
) -> None:
    session_id = await stored(store, n=0)
    session = await loaded(store, session_id)
    other = await loaded(store, session_id)
    other["n"] = 5
    await other.save()
    session["mine"] = 1
    async with session.exclusive():
        assert dict(session) == {"n": 5, "mine": 1}


@pytest.mark.gen_test
async def test_exclusive_keeps_other_keys_of_a_plain_save(store: SessionStore) -> None:
    session_id = await stored(store, n=0)
    session, other = await loaded(store, session_id), await loaded(store, session_id)
    async with session.exclusive():
        session["n"] = 1
        other["m"] = 2
        await other.save()
    assert dict(await loaded(store, session_id)) == {"n": 1, "m": 2}


@pytest.mark.gen_test
async def test_block_that_takes_longer_than_its_lease_stores_nothing(store: SessionStore) -> None:
    session_id = await stored(store, n=0)
    slow, quick = await loaded(store, session_id), await loaded(store, session_id)

    async def block() -> None:
        async with slow.exclusive(lease=0.05):
            slow["n"] = 100
            await asyncio.sleep(0.1)
            async with quick.exclusive():
                quick["n"] = 1

    with pytest.raises(LeaseLost):
        await block()
    await slow.save()  # as a request does at its end
    assert dict(slow) == {"n": 0}
    assert dict(await loaded(store, session_id)) == {"n": 1}


@pytest.mark.gen_test
async def test_save_inside_the_block_is_fenced_too(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, n=0))

    async def block() -> None:
        async with session.exclusive(lease=0.5):
            session["n"] = 1
            await session.save()
            await asyncio.sleep(0.6)
            session["n"] = 2
            await session.save()

    with pytest.raises(LeaseLost):
        await block()
    assert (await loaded(store, str(session.id)))["n"] == 1


@pytest.mark.gen_test
async def test_block_that_raises_stores_nothing(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, n=[0]))

    async def block() -> None:
        async with session.exclusive():
            session["n"].append(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await block()
    await session.save()
    assert dict(await loaded(store, str(session.id))) == {"n": [0]}


@pytest.mark.gen_test
async def test_wait_for_others_is_bounded(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, n=0))
    fence = await store.lease(session.key, 60)
    with pytest.raises(SessionBusy):
        async with session.exclusive(wait=0.1):
            pytest.fail("it is held")
    await store.release(session.key, fence or 0)
    async with session.exclusive(wait=0.1):
        session["n"] = 1
    assert dict(await loaded(store, str(session.id))) == {"n": 1}


@pytest.mark.gen_test
async def test_process_that_died_in_its_block_keeps_nobody_out(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, n=0))
    await store.lease(session.key, 0.2)  # and no release
    async with session.exclusive():
        session["n"] = 1
    assert dict(await loaded(store, str(session.id))) == {"n": 1}


@pytest.mark.gen_test
async def test_block_in_a_block_is_an_error_and_no_deadlock(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, n=0))
    async with session.exclusive():
        with pytest.raises(SessionBusy, match="another exclusive block here"):
            async with session.exclusive(wait=0.05):
                pytest.fail("it is held")
        session["n"] = 1
    assert dict(await loaded(store, str(session.id))) == {"n": 1}


@pytest.mark.gen_test
async def test_exclusive_of_a_session_that_ended_is_gone_at_once(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, n=0))
    await store.delete(session.key)
    with pytest.raises(SessionGone):
        async with session.exclusive():
            pytest.fail("it has ended")


@pytest.mark.gen_test
async def test_exclusive_of_an_id_that_was_replaced_is_gone_at_once(store: SessionStore) -> None:
    session_id = await stored(store, n=0)
    other = await loaded(store, session_id)
    other.regenerate()
    await other.save()
    session = await loaded(store, session_id)
    with pytest.raises(SessionGone):
        async with session.exclusive():
            pytest.fail("it lives on under another id")


@pytest.mark.gen_test
async def test_exclusive_keeps_what_another_task_changes_while_it_waits(
    store: SessionStore,
) -> None:
    session = await loaded(store, await stored(store, n=0))
    other = await loaded(store, str(session.id))

    async def block() -> None:
        async with session.exclusive() as held:
            held["n"] = 1

    async with other.exclusive():
        waiting = asyncio.create_task(block())
        await asyncio.sleep(0.02)
        session["paid"] = 1
    await waiting
    assert dict(await loaded(store, str(session.id))) == {"n": 1, "paid": 1}


@pytest.mark.gen_test
async def test_renewal_of_the_expiry_does_not_need_the_lease(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, n=0))

    async def block() -> None:
        async with session.exclusive(lease=0.02) as held:
            await asyncio.sleep(0.05)
            await session.keep_alive()
            held["n"] = 1

    with pytest.raises(LeaseLost):
        await block()


@pytest.mark.gen_test
async def test_logout_of_another_request_ends_a_block_without_a_trace(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, n=0))

    async def block() -> None:
        async with session.exclusive():
            await store.delete(session.key)
            session["n"] = 1

    with pytest.raises(SessionGone):
        await block()
    assert await store.load(session.key) is None


@pytest.mark.gen_test
async def test_exclusive_of_a_new_session_stores_it(store: SessionStore) -> None:
    session = Session(store, LIFETIMES)
    async with session.exclusive():
        session["n"] = 1
    assert dict(await loaded(store, str(session.id))) == {"n": 1}


@pytest.mark.gen_test
async def test_no_new_id_inside_a_block_but_a_logout(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, "7", n=0))
    key = session.key
    async with session.exclusive():
        with pytest.raises(InsideExclusive):
            session.login("7")
        with pytest.raises(InsideExclusive):
            session.regenerate()
        session.logout()
        session["begun"] = 1
    assert await store.load(key) is None
    assert dict(await loaded(store, str(session.id))) == {"begun": 1}


@pytest.mark.parametrize("store", ["redis"], indirect=True)
def test_writers_in_two_processes_lose_nothing(
    store: RedisStore, io_loop: IOLoop, redis_url: str
) -> None:
    session_id = io_loop.run_sync(lambda: stored(store, n=0))
    command = [sys.executable, str(WRITERS), redis_url, str(session_id)]
    running = [subprocess.Popen([*command, str(first)]) for first in (0, 8)]
    assert [process.wait(60) for process in running] == [0, 0]
    session = io_loop.run_sync(lambda: loaded(store, str(session_id)))
    expected = {f"key{number}": number for number in range(16)}
    assert dict(session) == {"n": 16, **expected}


# Flash messages.


@pytest.mark.gen_test
async def test_flash_is_shown_once_though_two_requests_race(store: SessionStore) -> None:
    session = Session(store, LIFETIMES)
    for number in range(5):
        session.flash(number)
    await session.save()
    racing = [await loaded(store, str(session.id)) for _ in range(4)]
    shown = await asyncio.gather(*(session.pop_flashes() for session in racing))
    assert sorted(message for messages in shown for message in messages) == [0, 1, 2, 3, 4]
    assert await (await loaded(store, str(session.id))).pop_flashes() == []


@pytest.mark.gen_test
async def test_flash_of_this_very_request_is_shown_and_not_stored(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, a=1))
    session.flash("now")
    assert await session.pop_flashes() == ["now"]
    assert not session.modified
    assert await session.pop_flashes() == []


@pytest.mark.gen_test
async def test_flash_of_a_session_that_ended_is_not_shown(store: SessionStore) -> None:
    session = Session(store, LIFETIMES)
    session.flash("secret")
    await session.save()
    late = await loaded(store, str(session.id))
    await store.delete(session.key)
    assert await late.pop_flashes() == []


@pytest.mark.gen_test
async def test_flash_messages_count_as_keys(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, a=1))
    for number in range(128):
        session.flash(number)
    with pytest.raises(SessionTooLarge):
        await session.save()


# Users.


@pytest.mark.gen_test
async def test_sessions_of_a_user_have_what_was_noted_at_login(store: SessionStore) -> None:
    session = Session(store, LIFETIMES)
    session.login(7, note={"agent": "Firefox"})
    session["a"] = 1
    await session.save()
    (info,) = await store.sessions_of("7")
    assert (info.key, info.note) == (session.key, {"agent": "Firefox"})
    assert 0 <= info.seen_at - info.created_at < 5
    session.regenerate()
    await session.save()
    (info,) = await store.sessions_of("7")
    assert (info.key, info.note) == (session.key, {"agent": "Firefox"})
    assert dict(session) == {"a": 1}


@pytest.mark.gen_test
async def test_one_of_a_users_sessions_can_be_ended(store: SessionStore) -> None:
    here, there = await stored(store, "7"), await stored(store, "7")
    (other,) = [
        info.key
        for info in await store.sessions_of("7")
        if info.key != (await loaded(store, here)).key
    ]
    await store.delete(other)
    assert (await loaded(store, there)).is_new
    assert (await loaded(store, here)).user_id == "7"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "late", [lambda s: s.regenerate(), lambda s: s.login("7"), lambda s: s.update(a=2)]
)
async def test_revoked_session_can_not_come_back(
    store: SessionStore, late: Callable[[Session], None]
) -> None:
    session = await loaded(store, await stored(store, "7", a=1))
    await store.revoke_user("7")
    late(session)
    with pytest.raises(SessionGone):
        await session.save()
    assert await store.sessions_of("7") == []


# Ends.


@pytest.mark.gen_test
async def test_session_past_its_lifetime_takes_no_save(store: SessionStore) -> None:
    session_id = await stored(store, a=1)
    session = await loaded(store, session_id)
    session._ends_at = time.time() - 1  # a WebSocket that was open for so long
    session["a"] = 2
    with pytest.raises(SessionGone):
        await session.save()
    with pytest.raises(SessionGone):
        await session.keep_alive()


@pytest.mark.gen_test
async def test_times_in_the_data_end_a_session_whatever_the_store_says(
    store: SessionStore,
) -> None:
    now = time.time()
    session_id = await stored(store, a=1)
    ended = {
        "idle": Record({}, now - 4000, now - 3700, ends_at=now + 1000),
        "absolute": Record({}, now - 4000, now, ends_at=now - 1),
        "lowered": Record({}, now - 90000, now, ends_at=now + 1000),
    }
    key = (await loaded(store, session_id)).key
    for record in ended.values():
        await store.delete(key)
        await store.create(key, record, 1000)
        assert (await loaded(store, session_id)).is_new


@pytest.mark.gen_test
async def test_keep_alive_stores_nothing_else(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, a=1))
    session["a"] = 2
    before = (await store.load(session.key) or Record()).seen_at
    session._seen_at -= 1000
    assert session.renewal_due
    await asyncio.sleep(0.01)
    await session.keep_alive()
    assert not session.renewal_due
    record = await store.load(session.key)
    assert record is not None
    assert record.seen_at > before
    assert record.fields == {"a": "1"}
    assert session.modified


# What can't be stored.


@pytest.mark.gen_test
async def test_too_large_a_change_leaves_the_session_as_it_was(store: SessionStore) -> None:
    session = await loaded(store, await stored(store, a=1))
    session["b"] = "x" * 65536
    with pytest.raises(SessionTooLarge, match="65536 bytes"):
        await session.save()
    assert dict(await loaded(store, str(session.id))) == {"a": 1}


@pytest.fixture
def session() -> Session:
    return Session(MemoryStore(), LIFETIMES)


@pytest.mark.parametrize("key", [1, None, "\ud800", "_session:x"])
def test_key_that_can_not_be_stored_is_refused(session: Session, key: Any) -> None:
    with pytest.raises(SessionValueError):
        session[key] = 1


@pytest.mark.parametrize("user_id", ["", None, True, 1.5, "\ud800"])
def test_user_that_can_not_be_stored_is_refused(session: Session, user_id: Any) -> None:
    with pytest.raises(SessionValueError):
        session.login(user_id)


@pytest.mark.gen_test
@pytest.mark.parametrize("value", [{1, 2}, b"x", 1j, float("nan"), object(), {"a": {"b": print}}])
async def test_value_that_is_no_json_is_named_with_its_type(session: Session, value: Any) -> None:
    session["tags"] = value
    with pytest.raises(
        SessionValueError, match=rf"session\['tags'\] holds a {type(value).__name__}"
    ):
        await session.save()


def test_clear_keeps_flash_messages(session: Session) -> None:
    session.update(a=1, b=2)
    session.flash("still here")
    session.clear()
    assert dict(session) == {}
    assert len(session._values) == 1


def test_repr_shows_keys_and_no_values(session: Session) -> None:
    session["token"] = "secret"
    assert repr(session) == "<Session of user None with ['token']>"


# A revoke and a login at the same time, on Redis, where these are several commands.


class Parked(RedisStore):
    """Waits before the scripts in ``parked``, and fails at those in ``failing``."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.parked: set[str] = set()
        self.failing: set[str] = set()
        self.waiting = asyncio.Event()
        self.go_on = asyncio.Event()

    async def _script(self, script: str, kind: str, key: str, *args: Any) -> Any:
        if script in self.parked:
            self.waiting.set()
            await self.go_on.wait()
        if script in self.failing:
            raise StoreUnavailable("away")
        return await super()._script(script, kind, key, *args)

    async def during(self, script: str, slow: Awaitable[object], quick: Awaitable[object]) -> Any:
        """Run ``quick`` while ``slow`` waits before ``script``; return what ``slow`` does."""
        self.parked = {script}
        task = asyncio.ensure_future(slow)
        await self.waiting.wait()
        self.parked = set()
        await quick
        self.go_on.set()
        return await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def parked(io_loop: IOLoop, redis_url: str) -> Iterator[Parked]:
    store = Parked(redis_url)
    yield store
    io_loop.run_sync(store.close)


@pytest.mark.gen_test
async def test_login_that_a_revoke_overtakes_is_refused(parked: Parked) -> None:
    session = Session(parked, LIFETIMES)
    session.login("7")
    (result,) = await parked.during(scripts.CREATE, session.save(), parked.revoke_user("7"))
    assert isinstance(result, SessionGone)
    assert session.is_new
    assert not session.cookie_due
    assert await parked.sessions_of("7") == []


@pytest.mark.gen_test
@pytest.mark.parametrize("parked_before", [scripts.ENTER, scripts.CREATE, scripts.DELETE])
async def test_new_id_that_a_revoke_overtakes_is_ended(parked: Parked, parked_before: str) -> None:
    session = await loaded(parked, await stored(parked, "7"))
    session.regenerate()
    (result,) = await parked.during(parked_before, session.save(), parked.revoke_user("7"))
    assert isinstance(result, SessionGone)
    assert not session.cookie_due
    for kept in (session.key, session._replaced):
        assert await parked.load(kept) is None
    assert await parked.sessions_of("7") == []


@pytest.mark.gen_test
@pytest.mark.parametrize("parked_before", [scripts.ENTER, scripts.CREATE, scripts.DELETE])
async def test_logout_while_a_new_id_is_stored_ends_that_too(
    parked: Parked, parked_before: str
) -> None:
    session = await loaded(parked, await stored(parked, "7"))
    session.regenerate()

    async def log_out() -> None:
        session.logout()

    await parked.during(parked_before, session.save(), log_out())
    await session.save()
    assert await parked.sessions_of("7") == []
    assert session.cookie_due
    assert session.is_new


@pytest.mark.gen_test
async def test_revoke_that_a_new_id_overtakes_ends_it(parked: Parked) -> None:
    session = await loaded(parked, await stored(parked, "7"))
    session.regenerate()
    (result,) = await parked.during(scripts.BURY, parked.revoke_user("7"), session.save())
    assert result == 1
    assert await parked.load(session.key) is None
    assert await parked.sessions_of("7") == []


@pytest.mark.gen_test
async def test_new_id_whose_predecessor_can_not_be_ended_is_not_given_out_after_a_revoke(
    parked: Parked,
) -> None:
    session = await loaded(parked, await stored(parked, "7"))
    await parked.revoke_user("7")
    parked.failing = {scripts.DELETE}
    session.regenerate()
    with pytest.raises((SessionGone, StoreUnavailable)):
        await session.save()
    assert not session.cookie_due


@pytest.mark.gen_test
async def test_index_of_a_user_forgets_sessions_that_expired(
    parked: Parked, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", 0.001)
    for number in range(60):
        await parked.create(f"old{number}", Record(user_id="7", ends_at=9e9), 0.01)
    await asyncio.sleep(0.02)
    for number in range(60):
        await parked.create(f"new{number}", Record(user_id="7", ends_at=9e9), 60)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.zcard(f"user:{key_of('7')}") < 90
    assert len(await parked.sessions_of("7")) == 60


@pytest.mark.gen_test
async def test_index_of_a_user_ends_with_his_last_session(parked: Parked, redis_url: str) -> None:
    now = time.time()
    for ends_in in (1000, 50):
        record = Record({}, now, now, "7", ends_at=now + ends_in)
        await parked.create(f"key{ends_in}", record, 20)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert 990 < await client.ttl(f"user:{key_of('7')}") <= 1000


# A new id whose predecessor's end is in doubt.


class Mute(MemoryStore):
    """Does what it is asked, and gives no answer to the verbs in ``mute``, once each."""

    def __init__(self, **limits: int) -> None:
        super().__init__(**limits)
        self.mute: list[str] = []
        self.refuses = False  # the next save
        self.meanwhile: Callable[[], Awaitable[None]] | None = None  # before the next delete

    async def save(self, *args: Any) -> Any:
        if self.refuses:
            self.refuses = False
            raise StoreUnavailable("refused")
        return self.answer("save", await super().save(*args))

    async def delete(self, *args: Any, **kwargs: Any) -> Record | None:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return self.answer("delete", await super().delete(*args, **kwargs))

    def answer(self, verb: str, result: Any) -> Any:
        if verb in self.mute:
            self.mute.remove(verb)
            raise StoreTimeout("no answer")
        return result


@pytest.fixture
def mute() -> Mute:
    return Mute()


async def two_of(store: SessionStore, **values: Any) -> tuple[Session, Session]:
    """Return one session, as two requests have it; the first wants a new id."""
    session_id = await stored(store, **values)
    one, other = await loaded(store, session_id), await loaded(store, session_id)
    one.regenerate()
    return one, other


@pytest.mark.gen_test
@pytest.mark.parametrize("refuses", [False, True])
async def test_what_others_stored_is_brought_along_before_the_old_record_ends(
    mute: Mute, refuses: bool
) -> None:
    session, other = await two_of(mute, a=1)
    other["b"] = 2
    await other.save()
    mute.refuses, mute.mute = refuses, ["delete"]
    for _ in range(1 + refuses):
        with pytest.raises(StoreUnavailable):
            await session.save()
    assert dict(await loaded(mute, str(session.id))) == {"a": 1, "b": 2}


@pytest.mark.gen_test
@pytest.mark.parametrize("unheard", [["delete"], ["save"], ["delete", "save"]])
async def test_what_others_stored_till_the_end_is_brought_along_by_the_next_save(
    mute: Mute, unheard: list[str]
) -> None:
    session, other = await two_of(mute, a=1, b=1, c=1)
    other.update(a=2, b=3)
    await other.save()

    async def meanwhile() -> None:
        other["b"] = 2
        del other["c"]
        await other.save()
        mute.mute = [*unheard]

    mute.meanwhile = meanwhile
    for _ in unheard:
        with pytest.raises(StoreTimeout):
            await session.save()
    await session.save()
    assert dict(await loaded(mute, str(session.id))) == {"a": 2, "b": 2}
    assert not session.modified


@pytest.mark.gen_test
@pytest.mark.parametrize("at_the_end", [False, True])
async def test_what_others_stored_goes_before_what_is_too_large_with_it(at_the_end: bool) -> None:
    store = Mute(max_keys=3)
    session, other = await two_of(store, a=1)
    session["mine"] = session["a"] = 2

    async def meanwhile() -> None:
        other["b"] = other["c"] = 3
        await other.save()

    if at_the_end:
        store.meanwhile = meanwhile
    else:
        await meanwhile()
    with pytest.raises(SessionTooLarge):
        await session.save()
    await session.save()
    assert dict(await loaded(store, str(session.id))) == {"a": 1, "b": 3, "c": 3}
    assert (await store.load(other.key) or Record()).replaced
