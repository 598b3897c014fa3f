"""The session of a request, from cookie to cookie."""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
from tornado.ioloop import IOLoop
from tornado.web import Application, HTTPError, RequestHandler, authenticated

from tests.sessions.acting import Act, Action, Do, Parked, put, show, shown, twin_of
from tornado_ext._lifecycle import LifecycleMixin
from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.sessions import (
    Change,
    CookieSent,
    MemoryStore,
    Record,
    SessionMixin,
    StoreTimeout,
    StoreUnavailable,
)
from tornado_ext.sessions.codec import key_of
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.sessions.session import Session
from tornado_ext.testing import Client, RedisServer


class Private(SessionMixin, RequestHandler):
    @authenticated
    def get(self) -> None:
        self.write(str(self.current_user))


@pytest.fixture
def app(app: Application) -> Application:
    app.add_handlers(".*", [("/private", Private)])
    return app


# Keeping.


@pytest.mark.gen_test
async def test_what_one_request_sets_the_next_one_gets(do: Do) -> None:
    await do(put(name="ann", cart=[1]))
    assert await shown(do) == {"user": None, "name": "ann", "cart": [1]}


@pytest.mark.gen_test
async def test_change_inside_a_list_is_noticed(do: Do) -> None:
    await do(put(cart=[1], deep={"a": [{}]}))
    await do(lambda h: h.session["cart"].append(2))
    await do(lambda h: h.session["deep"]["a"][0].update(b=3))
    assert await shown(do) == {"user": None, "cart": [1, 2], "deep": {"a": [{"b": 3}]}}


@pytest.mark.gen_test
async def test_deleted_key_is_gone_and_an_emptied_session_stays(do: Do, client: Client) -> None:
    await do(put(a=1))
    cookie = client.cookie("session")
    await do(lambda h: h.session.pop("a"))
    assert await shown(do) == {"user": None}
    assert client.cookie("session") == cookie


@pytest.mark.gen_test
async def test_new_session_without_data_is_not_stored(
    do: Do, client: Client, store: MemoryStore
) -> None:
    await do(show)
    assert client.cookie("session") is None
    assert len(store) == 0


@pytest.mark.gen_test
async def test_session_is_stored_before_the_reply(do: Do, store: MemoryStore) -> None:
    async def slow_create(key: str, record: Record, ttl: float) -> None:
        await asyncio.sleep(0.02)
        await MemoryStore.create(store, key, record, ttl)

    store.create = slow_create  # type: ignore[method-assign]
    response = await do(
        lambda h: (h.session.update(a=1), h.redirect("/"))[0], follow_redirects=False
    )
    assert response.code == 302
    assert len(store) == 1


@pytest.mark.gen_test
async def test_session_is_stored_when_the_handler_fails(do: Do) -> None:
    def fail(handler: Act) -> None:
        handler.session["a"] = 1
        raise HTTPError(418)

    assert (await do(fail)).code == 418
    assert (await shown(do))["a"] == 1


@pytest.mark.gen_test
async def test_value_that_is_no_json_is_named(do: Do, caplog: pytest.LogCaptureFixture) -> None:
    assert (await do(put(tags={1, 2}))).code == 500
    assert "session['tags'] holds a set that is no JSON" in caplog.text


@pytest.mark.gen_test
async def test_key_that_is_no_string_is_refused(do: Do, caplog: pytest.LogCaptureFixture) -> None:
    assert (await do(lambda h: h.session.update({1: 2}))).code == 500
    assert "a session's key must be a string, not 1" in caplog.text


# Requests of one session at a time.


@pytest.mark.gen_test
async def test_two_requests_that_change_different_keys_both_win(do: Do) -> None:
    await do(put(a=0, b=0))
    both_loaded = asyncio.Barrier(2)

    def change(name: str) -> Action:
        async def action(handler: Act) -> None:
            assert handler.session[name] == 0
            await both_loaded.wait()
            handler.session[name] = 1

        return action

    await asyncio.gather(do(change("a")), do(change("b")))
    assert await shown(do) == {"user": None, "a": 1, "b": 1}


@pytest.mark.gen_test
async def test_slow_reader_of_a_replaced_session_gets_its_reply_and_no_cookie(
    do: Do, client: Client
) -> None:
    await do(put(a=1))
    slow = Parked(show)
    response = asyncio.ensure_future(do(slow, by=twin_of(client)))
    await slow.loaded.wait()
    await do(lambda h: h.session.login(7))
    slow.go_on.set()
    assert json.loads((await response).body) == {"user": None, "a": 1}
    assert "Set-Cookie" not in (await response).headers
    assert (await shown(do))["user"] == "7"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "late", [put(late=1), lambda h: h.session.login(8), lambda h: h.session.logout()]
)
@pytest.mark.parametrize("loaded_before", [True, False])
async def test_replaced_session_can_not_be_changed(
    do: Do, client: Client, late: Action, loaded_before: bool
) -> None:
    await do(put(a=1))
    slow, twin = Parked(late), twin_of(client)
    if loaded_before:
        response = asyncio.ensure_future(do(slow, by=twin))
        await slow.loaded.wait()
    await do(lambda h: h.session.login(7))
    slow.go_on.set()
    reply = await response if loaded_before else await do(late, by=twin)
    assert reply.code == 409
    assert "Set-Cookie" not in reply.headers
    assert await shown(do) == {"user": "7", "a": 1}


@pytest.mark.gen_test
async def test_write_that_a_login_overtakes_is_carried_over(do: Do, client: Client) -> None:
    await do(put(kept=1, dropped=1, ours=1))
    login = Parked(lambda h: (h.session.login(7), h.session.update(ours=2))[1])
    response = asyncio.ensure_future(do(login))
    await login.loaded.wait()
    twin = twin_of(client)
    await do(put(kept=2, added=3, ours=9), by=twin)
    await do(lambda h: h.session.pop("dropped"), by=twin)
    login.go_on.set()
    assert (await response).code == 200
    assert await shown(do) == {"user": "7", "kept": 2, "added": 3, "ours": 2}


class Failing(MemoryStore):
    """Fails at the verbs in ``failing``, after doing them if ``late``."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: set[str] = set()
        self.late = False

    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        if "delete" in self.failing and not self.late:
            raise StoreUnavailable("refused")
        record = await super().delete(key, replaced_for=replaced_for)
        if "delete" in self.failing:
            raise StoreTimeout("done, and no answer")
        return record


@pytest.mark.gen_test
@pytest.mark.parametrize("late", [False, True])
async def test_login_whose_last_step_fails_logs_nobody_out(
    do: Do, app: Application, client: Client, late: bool
) -> None:
    store = app.settings["session_store"] = Failing()
    await do(lambda h: (h.session.login(7), h.session.update(a=1))[1])
    store.failing, store.late = {"delete"}, late
    assert (await do(lambda h: h.session.regenerate())).code == 503
    store.failing = set()
    assert await shown(do) == {"user": "7", "a": 1}


@pytest.mark.gen_test
@pytest.mark.parametrize("late", [False, True])
async def test_save_tried_again_ends_the_replaced_id(
    do: Do, app: Application, client: Client, late: bool
) -> None:
    store = app.settings["session_store"] = Failing()

    async def try_twice(handler: Act) -> None:
        handler.session.login(7)
        store.failing, store.late = {"delete"}, late
        with pytest.raises(StoreUnavailable):
            await handler.session.save()
        store.failing = set()
        await handler.session.save()

    await do(put(a=1))
    old = twin_of(client)
    assert (await do(try_twice)).code == 200
    assert await shown(do) == {"user": "7", "a": 1}
    assert await shown(do, by=old) == {"user": None}


@pytest.mark.gen_test
async def test_saves_of_one_session_at_a_time(do: Do) -> None:
    async def save_twice(handler: Act) -> None:
        del handler.session["a"]
        handler.session["b"] = 2
        await asyncio.gather(handler.session.save(), handler.session.save())

    await do(put(a=1))
    assert (await do(save_twice)).code == 200
    assert await shown(do) == {"user": None, "b": 2}


# Saved by hand, and after the first byte.


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("action", "user"),
    [
        (put(a=2), "7"),
        (lambda h: h.session.regenerate(), "7"),
        (lambda h: h.session.login(8), "8"),
        (lambda h: h.session.logout(), None),
    ],
)
async def test_client_is_told_of_what_the_handler_saved_itself(
    do: Do, action: Action, user: str | None
) -> None:
    async def act_and_save(handler: Act) -> None:
        action(handler)
        await handler.session.save()

    await do(lambda h: h.session.login(7))
    assert (await do(act_and_save)).code == 200
    assert (await shown(do))["user"] == user


@pytest.mark.gen_test
@pytest.mark.parametrize("awaited", [True, False])
async def test_change_after_the_first_byte_is_stored_before_the_last(do: Do, awaited: bool) -> None:
    async def stream(handler: Act) -> None:
        handler.session["a"] = 1
        handler.write("begun")
        flushed = handler.flush()
        if awaited:
            await flushed
        handler.session["b"] = 2
        handler.finish()

    await do(put(z=0))
    await do(stream)
    assert await shown(do) == {"user": None, "z": 0, "a": 1, "b": 2}


class Slow(MemoryStore):
    """Takes its time to store something, and counts what is stored."""

    stored = 0

    async def save(self, key: str, change: Change) -> Collection[str] | None:
        await asyncio.sleep(0.02)
        self.stored += 1
        return await super().save(key, change)


@pytest.mark.gen_test
@pytest.mark.parametrize("pause", [0, 0.01, 0.03])  # seconds: the store takes 0.02
async def test_changes_between_the_pieces_of_a_reply_are_all_stored(
    do: Do, app: Application, pause: float
) -> None:
    async def stream(handler: Act) -> None:
        handler.session["list"].append(0)
        for number in range(1, 4):
            handler.flush()
            handler.flush()
            await asyncio.sleep(pause)
            handler.session["list"].append(number)
        handler.finish()

    app.settings["session_store"] = Slow()
    await do(put(list=[]))
    await do(stream)
    assert await shown(do) == {"user": None, "list": [0, 1, 2, 3]}


@pytest.mark.gen_test
async def test_last_byte_waits_until_what_came_after_the_first_is_stored(
    do: Do, app: Application
) -> None:
    store = app.settings["session_store"] = Slow()
    stored = []

    async def stream(handler: Act) -> None:
        handler.session["a"] = 1
        handler.flush()
        await asyncio.sleep(0.01)
        handler.session["b"] = 2
        await handler.finish()
        stored.append(store.stored)

    await do(put(a=0))
    await do(stream)
    assert stored == [2]


@pytest.mark.gen_test
async def test_logout_after_the_first_byte_is_a_logout(do: Do, client: Client) -> None:
    async def stream(handler: Act) -> None:
        await handler.flush()
        handler.session.logout()

    await do(lambda h: h.session.login(7))
    await do(stream)
    assert await shown(do) == {"user": None}


@pytest.mark.gen_test
@pytest.mark.parametrize("late", [lambda s: s.login(8), lambda s: s.regenerate()])
async def test_new_id_after_the_first_byte_is_refused(
    do: Do, late: Callable[[Session], None]
) -> None:
    async def stream(handler: Act) -> None:
        await handler.flush()
        with pytest.raises(CookieSent):
            late(handler.session)

    await do(lambda h: h.session.login(7))
    await do(stream)
    assert await shown(do) == {"user": "7"}


@pytest.mark.gen_test
async def test_new_session_after_the_first_byte_is_refused(
    do: Do, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    async def stream(handler: Act) -> None:
        await handler.flush()
        handler.session["a"] = 1

    await do(stream)
    assert "CookieSent" in caplog.text
    assert len(store) == 0


# Ids.


@pytest.mark.gen_test
async def test_login_changes_the_id_and_keeps_the_data(
    do: Do, client: Client, store: MemoryStore
) -> None:
    await do(put(cart=[1]))
    before = client.cookie("session") or ""
    await do(lambda h: h.session.login(7))
    assert client.cookie("session") != before
    assert await shown(do) == {"user": "7", "cart": [1]}
    tombstone = await store.load(key_of(before))
    assert tombstone is not None
    assert tombstone.replaced


@pytest.mark.gen_test
async def test_login_of_another_user_begins_empty(do: Do) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(card="4111"))[1])
    await do(lambda h: (h.session.login(8), h.session.update(a=1))[1])
    assert await shown(do) == {"user": "8", "a": 1}


@pytest.mark.gen_test
async def test_login_of_the_same_user_keeps_the_data(do: Do) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(a=1))[1])
    await do(lambda h: h.session.login("7"))
    assert await shown(do) == {"user": "7", "a": 1}


@pytest.mark.gen_test
async def test_regenerate_changes_the_id_and_keeps_user_and_data(do: Do, client: Client) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(a=1))[1])
    before = client.cookie("session")
    await do(lambda h: h.session.regenerate())
    assert client.cookie("session") != before
    assert await shown(do) == {"user": "7", "a": 1}


@pytest.mark.gen_test
async def test_logout_ends_data_id_and_cookie(do: Do, client: Client, store: MemoryStore) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(a=1))[1])
    stolen = twin_of(client)
    await do(lambda h: h.session.logout())
    assert client.cookie("session") is None
    assert len(store) == 0
    assert await shown(do, by=stolen) == {"user": None}


@pytest.mark.gen_test
async def test_what_is_set_after_logout_begins_a_new_session(do: Do, client: Client) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(a=1))[1])
    before = client.cookie("session")
    await do(lambda h: (h.session.logout(), h.session.update(b=2))[1])
    assert client.cookie("session") not in (None, before)
    assert await shown(do) == {"user": None, "b": 2}


@pytest.mark.gen_test
async def test_store_sees_a_hash_of_the_id(do: Do, client: Client, store: MemoryStore) -> None:
    await do(put(a=1))
    session_id = client.cookie("session") or ""
    assert list(store._kept) == [key_of(session_id)]
    assert session_id not in repr(store._kept)


# After the reply.


@pytest.mark.gen_test
@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("change", [lambda s: s.update(a=2), lambda s: s.logout()])
async def test_change_after_the_reply_that_is_not_saved_is_logged(
    do: Do, caplog: pytest.LogCaptureFixture, change: Callable[[Session], None], saved: bool
) -> None:
    async def change_late(handler: Act) -> None:
        await handler.finish()
        change(handler.session)
        if saved:
            await handler.session.save()

    await do(put(a=1))
    await do(change_late)
    await asyncio.sleep(0)
    assert ("GET /do/1 has ended, and what it changed in its session is lost" in caplog.text) is (
        not saved
    )


# What the error page changes.


class Apologising(Act):
    """Tells of an error on the next page, or forgets the visitor."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if self.get_argument("forget", None):
            self.session.logout()
        else:
            self.session.flash(f"{status_code} of {self.session.user_id}")
        self.finish(f"{status_code}")


@pytest.fixture
def apologising(app: Application) -> None:
    app.add_handlers(".*", [("/sorry/(.*)", Apologising)])


async def told(do: Do) -> list[str]:
    async def tell(handler: Act) -> None:
        handler.write(json.dumps(await handler.session.pop_flashes()))

    return list(json.loads((await do(tell)).body))


def too_much(handler: Act) -> None:
    handler.session.login(8)
    handler.session["a"] = "x" * 70_000


def no_json(handler: Act) -> None:
    handler.session["a"] = {1}


@pytest.mark.gen_test
@pytest.mark.usefixtures("apologising")
@pytest.mark.parametrize(
    ("action", "said"),
    [(too_much, "413 of None"), (no_json, "500 of None"), (lambda h: 1 / 0, "500 of None")],
)
@pytest.mark.parametrize("known", [True, False])
async def test_what_an_error_page_changes_is_stored_without_what_failed(
    do: Do, app: Application, client: Client, action: Action, said: str, known: bool
) -> None:
    if known:
        await do(put(a=1))
    app.settings["actions"]["x"] = action
    assert (await client.fetch("/sorry/x")).code == int(said[:3])
    assert await told(do) == [said]
    assert await shown(do) == {"user": None, **({"a": 1} if known else {})}


@pytest.mark.gen_test
@pytest.mark.usefixtures("apologising")
async def test_logout_of_an_error_page_is_a_logout(
    do: Do, app: Application, client: Client, store: MemoryStore
) -> None:
    await do(lambda h: h.session.login(7))
    app.settings["actions"]["x"] = no_json
    assert (await client.fetch("/sorry/x?forget=1")).code == 500
    assert client.cookie("session") is None
    assert len(store) == 0


@pytest.mark.gen_test
@pytest.mark.usefixtures("apologising")
async def test_error_page_is_sent_though_what_it_changed_can_not_be_stored(
    do: Do,
    app: Application,
    client: Client,
    store: MemoryStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ended(handler: Act) -> None:
        await store.delete(handler.session.key)
        handler.session["a"] = 2

    await do(put(a=1))
    app.settings["actions"]["x"] = ended
    response = await client.fetch("/sorry/x")
    assert (response.code, response.body) == (409, b"409")
    assert "What an error page changed in its session is not stored: SessionGone" in caplog.text
    assert len(store) == 0


@pytest.mark.gen_test
async def test_error_page_after_a_failed_save_renews_nothing(
    do: Do, app: Application, clock: Callable[[float], None]
) -> None:
    class Away(MemoryStore):
        saves = 0

        async def save(self, key: str, change: Change) -> Collection[str] | None:
            self.saves += 1
            raise StoreUnavailable("away")

    store = app.settings["session_store"] = Away()
    app.settings["session_idle_timeout"] = 1000
    await do(put(a=1))
    clock(500)
    assert (await do(put(a=2))).code == 503
    assert store.saves == 1


@pytest.mark.gen_test
async def test_error_page_ends_the_id_whose_end_got_no_answer(
    do: Do, app: Application, client: Client
) -> None:
    class Once(MemoryStore):
        refused = False

        async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
            if not self.refused:
                self.refused = True
                raise StoreUnavailable("away")
            return await super().delete(key, replaced_for=replaced_for)

    app.settings["session_store"] = Once()
    await do(put(a=1))
    old = twin_of(client)
    assert (await do(lambda h: h.session.login(7))).code == 503
    assert await shown(do) == {"user": "7", "a": 1}
    assert await shown(do, by=old) == {"user": None}


# Time.


@pytest.mark.gen_test
async def test_session_ends_when_it_is_idle(
    do: Do, app: Application, clock: Callable[[float], None]
) -> None:
    app.settings["session_idle_timeout"] = 1000
    await do(put(a=1))
    clock(900)
    assert (await shown(do))["a"] == 1
    clock(900)
    assert (await shown(do))["a"] == 1
    clock(1100)
    assert await shown(do) == {"user": None}


@pytest.mark.gen_test
async def test_session_ends_after_its_lifetime_however_active(
    do: Do, app: Application, clock: Callable[[float], None]
) -> None:
    app.settings.update(session_idle_timeout=1000, session_lifetime=2500)
    await do(put(a=1))
    for _ in range(3):
        clock(800)
        assert (await shown(do))["a"] == 1
    clock(200)
    assert await shown(do) == {"user": None}


@pytest.mark.gen_test
async def test_lifetime_is_enforced_by_the_data_too(
    do: Do, app: Application, store: MemoryStore, clock: Callable[[float], None]
) -> None:
    app.settings["session_lifetime"] = 2500
    await do(put(a=1))
    ((_, kept),) = store._kept.items()
    kept.record.seen_at = kept.expires_at = time.time() + 1e9
    clock(2600)
    assert await shown(do) == {"user": None}


@pytest.mark.gen_test
async def test_login_begins_a_new_lifetime(
    do: Do, app: Application, clock: Callable[[float], None]
) -> None:
    app.settings["session_lifetime"] = 1000
    await do(put(a=1))
    clock(900)
    await do(lambda h: h.session.login(7))
    clock(900)
    assert (await shown(do))["user"] == "7"


@pytest.mark.gen_test
async def test_reading_renews_the_expiry_only_now_and_then(
    do: Do, app: Application, store: MemoryStore, clock: Callable[[float], None]
) -> None:
    app.settings["session_idle_timeout"] = 6000
    await do(put(a=1))
    ((_, kept),) = store._kept.items()
    made = kept.record.seen_at
    clock(590)
    await do(show)
    assert kept.record.seen_at == made
    clock(20)
    await do(show)
    assert kept.record.seen_at > made + 600


@pytest.mark.gen_test
@pytest.mark.parametrize("idle", [30, 60, 65])
async def test_active_reader_stays_however_short_the_idle_timeout(
    do: Do, app: Application, clock: Callable[[float], None], idle: int
) -> None:
    app.settings["session_idle_timeout"] = idle
    await do(put(a=1))
    for _ in range(6):
        clock(idle / 2 - 1)
        assert (await shown(do))["a"] == 1


@pytest.mark.gen_test
async def test_clock_that_is_put_back_ends_no_session(
    do: Do, app: Application, clock: Callable[[float], None]
) -> None:
    app.settings["session_idle_timeout"] = 1000
    await do(put(a=1))
    clock(-2000)
    for _ in range(4):
        clock(400)
        assert (await shown(do))["a"] == 1


# Who it is.


@pytest.mark.gen_test
async def test_authenticated_sends_visitors_to_the_login_with_next(client: Client) -> None:
    reply = await client.get("/private", follow_redirects=False)
    assert (reply.code, reply.headers["Location"]) == (302, "/login?next=%2Fprivate")


@pytest.mark.gen_test
async def test_authenticated_lets_users_in(do: Do, client: Client) -> None:
    await do(lambda h: h.session.login(7))
    assert (await client.get("/private")).body == b"7"


@pytest.mark.gen_test
async def test_error_page_before_the_session_is_loaded_has_no_user(
    do: Do, app: Application
) -> None:
    app.settings["xsrf_cookies"] = True
    reply = await do(show, method="POST", body="", headers={"X-Xsrftoken": "wrong"})
    assert (reply.code, reply.body) == (403, b"403 None")


@pytest.mark.gen_test
async def test_flash_messages_are_shown_once_in_their_order(do: Do) -> None:
    async def pop(handler: Act) -> None:
        handler.write(json.dumps(await handler.session.pop_flashes()))

    await do(lambda h: (h.session.flash("one"), h.session.flash({"two": 2}))[1])
    await do(lambda h: h.session.flash("three"))
    assert await shown(do) == {"user": None}
    assert json.loads((await do(pop)).body) == ["one", {"two": 2}, "three"]
    assert json.loads((await do(pop)).body) == []


@pytest.mark.gen_test
async def test_reload_takes_on_what_others_stored(do: Do, client: Client) -> None:
    async def reload(handler: Act) -> None:
        handler.session["lost"] = 1
        await do(put(a=2), by=twin_of(client))
        await handler.session.reload()
        show(handler)

    await do(put(a=1))
    assert json.loads((await do(reload)).body) == {"user": None, "a": 2}


# A store that fails.


@pytest.fixture
def redis_app(
    app: Application, io_loop: IOLoop, redis_url: str, redis_server: RedisServer
) -> Iterator[RedisServer]:
    store = app.settings["session_store"] = RedisStore(redis_url)
    yield redis_server
    io_loop.run_sync(store.close)


@pytest.mark.gen_test
@pytest.mark.parametrize("failure", ["kill", "freeze"])
async def test_dead_store_is_a_503_that_keeps_the_cookie_and_works_when_it_is_back(
    do: Do, client: Client, redis_app: RedisServer, failure: str
) -> None:
    await do(lambda h: h.session.login(7))
    getattr(redis_app, failure)()
    reply = await do(show)
    assert (reply.code, reply.headers["Retry-After"], reply.body) == (503, "1", b"503 None")
    assert "Set-Cookie" not in reply.headers
    if failure == "kill":
        redis_app.restart()
        await do(lambda h: h.session.login(7), by=client)
    else:
        redis_app.thaw()
    assert (await shown(do))["user"] == "7"


@pytest.mark.gen_test
async def test_handler_that_does_not_touch_the_session_works_without_the_store(
    do: Do, redis_app: RedisServer
) -> None:
    await do(put(a=1))
    redis_app.kill()
    assert (await do(lambda h: h.write("hello"))).body == b"hello"


@pytest.mark.gen_test
async def test_request_without_a_cookie_asks_nothing_of_the_store(
    do: Do, redis_app: RedisServer
) -> None:
    redis_app.kill()
    assert await shown(do) == {"user": None}


@pytest.mark.gen_test
async def test_failed_save_is_a_503_without_a_cookie(do: Do, redis_app: RedisServer) -> None:
    redis_app.kill()
    reply = await do(put(a=1))
    assert reply.code == 503
    assert "Set-Cookie" not in reply.headers


@pytest.mark.gen_test
async def test_corrupt_record_is_logged_and_the_request_anonymous(
    do: Do, client: Client, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    await do(put(a=1))
    ((_, kept),) = store._kept.items()
    kept.record.fields["a"] = "{"
    assert await shown(do) == {"user": None}
    assert "SessionCorrupt" in caplog.text
    assert len(store) == 1


async def held_by_others(handler: Act) -> None:
    await handler.settings["session_store"].lease(handler.session.key, 60)
    async with handler.session.exclusive(wait=0.01):
        pytest.fail("it is held")


async def too_slow(handler: Act) -> None:
    async with handler.session.exclusive(lease=0.01) as session:
        session["a"] = 2
        await asyncio.sleep(0.03)


async def login_inside(handler: Act) -> None:
    async with handler.session.exclusive() as session:
        session["a"] = 2
        session.login(8)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("action", "status", "retry_after"),
    [
        (held_by_others, 503, "1"),
        (too_slow, 409, None),
        (login_inside, 500, None),
        (put(b="x" * 65536), 413, None),
    ],
)
async def test_error_has_its_status_and_nothing_is_stored(
    do: Do, action: Action, status: int, retry_after: str | None
) -> None:
    await do(put(a=1))
    reply = await do(action)
    assert (reply.code, reply.headers.get("Retry-After")) == (status, retry_after)
    assert "Set-Cookie" not in reply.headers
    assert await shown(do) == {"user": None, "a": 1}


# Settings and misuse.


@pytest.mark.gen_test
async def test_prepare_without_super_is_an_error_that_says_so(
    app: Application, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    class Forgetful(SessionMixin, RequestHandler):
        async def prepare(self) -> None:
            pass

        def get(self) -> None:
            self.write(str(self.session))

    app.add_handlers(".*", [("/forgetful", Forgetful)])
    assert (await client.get("/forgetful")).code == 500
    assert "Forgetful.prepare() has not awaited super().prepare()" in caplog.text


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"session_store": None}, "'session_store' must be a store, not None"),
        ({"session_store": MemoryStore}, "'session_store' must be a store"),
        ({"session_cookie_name": "_xsrf"}, "'session_cookie_name' is the XSRF cookie's name"),
        ({"session_cookie_name": "__Host-s", "session_cookie_kwargs": {"path": "/a"}}, "a path"),
        ({"session_websocket_keepalive": 60}, "'session_websocket_keepalive' is True or False"),
        ({"session_idle_timeout": "14 days"}, "'session_idle_timeout' must be seconds"),
        ({"session_lifetime": 0}, "'session_lifetime' must be seconds, from above 0"),
        ({"session_lifetime": True}, "'session_lifetime' must be seconds"),
        ({"session_lifetime": float("inf")}, "to ten years, not inf"),
        ({"session_lifetime": 1e17}, "to ten years, not 1e+17"),
        ({"session_lifetme": 1}, "no setting 'session_lifetme': is it 'session_lifetime'?"),
    ],
)
def test_wrong_setting_is_named(settings: dict[str, Any], sentence: str) -> None:
    application = Application(**{"session_store": MemoryStore(), **settings})
    with pytest.raises(ConfigurationError) as caught:
        Act._ext_check(application)
    assert sentence in str(caught.value)


def test_order_of_the_mixins_does_not_matter() -> None:
    class Other(MiddlewareMixin, SessionMixin, RequestHandler):
        pass

    assert Other.finish is Act.finish
    assert Other.prepare is Act.prepare is LifecycleMixin.prepare
