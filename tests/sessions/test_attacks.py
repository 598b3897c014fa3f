"""What somebody tries who wants another one's session, or a server's trouble."""

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from itertools import combinations

import pytest
from tornado.web import Application

from tests.sessions.acting import Act, Action, Do, Parked, put, show, shown, twin_of
from tornado_ext.sessions import MemoryStore, Record
from tornado_ext.sessions.codec import key_of
from tornado_ext.testing import Client

MADE_UP = ["", "x", "a" * 42, "a" * 43, "a" * 44, "é" * 43, "a" * 5000, "../../etc", '"', "a,b"]


class Counting(MemoryStore):
    """Counts how often it is asked."""

    asked = 0

    async def load(self, key: str) -> Record | None:
        self.asked += 1
        return await super().load(key)


def cookie_of(client: Client) -> str:
    return f"session={client.cookie('session')}"


def stranger_to(client: Client) -> Client:
    return Client(client.app, client.base_url)


# Made-up ids.


@pytest.mark.gen_test
@pytest.mark.parametrize("cookie", MADE_UP)
async def test_id_that_the_client_made_up_is_not_adopted(
    do: Do, client: Client, store: MemoryStore, cookie: str
) -> None:
    headers = {"Cookie": f"session={cookie}"}
    reply = await do(show, headers=headers)
    assert json.loads(reply.body) == {"user": None}
    assert "Set-Cookie" not in reply.headers
    await do(put(a=1), headers=headers)
    assert client.cookie("session") not in (None, cookie)
    assert await store.load(key_of(cookie)) is None


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "action",
    [
        lambda h: h.session.logout(),
        lambda h: h.session.regenerate(),
        lambda h: h.session.pop_flashes(),
        lambda h: h.session.save(),
        lambda h: h.session.reload(),
    ],
)
@pytest.mark.parametrize("cookie", MADE_UP)
async def test_made_up_id_leaves_nothing_in_the_store(
    do: Do, store: MemoryStore, cookie: str, action: Action
) -> None:
    reply = await do(action, headers={"Cookie": f"session={cookie}"})
    assert reply.code == 200
    assert "Set-Cookie" not in reply.headers
    assert len(store) == 0


@pytest.mark.gen_test
async def test_many_cookies_make_few_questions(do: Do, app: Application) -> None:
    store = app.settings["session_store"] = Counting()
    cookies = "; ".join(f"session={number:043}" for number in range(1000))
    assert (await do(show, headers={"Cookie": cookies})).code == 200
    assert store.asked <= 4


@pytest.mark.gen_test
async def test_requests_without_anything_to_keep_fill_no_store(do: Do, store: MemoryStore) -> None:
    for _ in range(20):
        await do(show)
    assert len(store) == 0


@pytest.mark.gen_test
async def test_key_in_the_store_opens_no_session(
    do: Do, client: Client, store: MemoryStore
) -> None:
    await do(lambda h: h.session.login(7))
    (key,) = store._kept
    for stolen in (key, key[:43]):
        reply = await do(show, by=stranger_to(client), headers={"Cookie": f"session={stolen}"})
        assert json.loads(reply.body) == {"user": None}


@pytest.mark.gen_test
async def test_ids_are_256_random_bits(do: Do, client: Client) -> None:
    ids = set()
    for _ in range(20):
        await do(lambda h: h.session.login(7))
        ids.add(client.cookie("session") or "")
    assert len(ids) == 20
    assert {len(urlsafe_b64decode(session_id + "=")) for session_id in ids} == {32}
    assert all(session_id[:4] != other[:4] for session_id, other in combinations(ids, 2))


# Fixation.


@pytest.mark.gen_test
async def test_repeated_login_changes_the_id(do: Do, client: Client) -> None:
    await do(lambda h: h.session.login(7))
    before = twin_of(client)
    await do(lambda h: h.session.login(7))
    assert cookie_of(client) != cookie_of(before)
    assert await shown(do, by=before) == {"user": None}
    assert (await shown(do))["user"] == "7"


@pytest.mark.gen_test
@pytest.mark.parametrize("enter", [lambda h: h.session.login(7)])
async def test_session_that_was_planted_before_the_login_is_not_the_one_after(
    do: Do, client: Client, enter: Action
) -> None:
    attacker = stranger_to(client)
    await do(put(bait=1), by=attacker)
    planted = cookie_of(attacker)
    await do(enter, headers={"Cookie": planted})
    assert cookie_of(client) != planted
    assert (await shown(do))["user"] == "7"
    assert await shown(do, by=attacker) == {"user": None}
    assert (await do(put(a=1), by=attacker)).code == 409


@pytest.mark.gen_test
@pytest.mark.parametrize("planted_first", [True, False])
async def test_planted_id_that_is_unknown_does_not_hide_the_real_one(
    do: Do, client: Client, planted_first: bool
) -> None:
    await do(lambda h: h.session.login(7))
    cookies = [cookie_of(client), f"session={'A' * 43}"][:: -1 if planted_first else 1]
    reply = await do(show, headers={"Cookie": "; ".join(cookies)})
    assert json.loads(reply.body) == {"user": "7"}


@pytest.mark.gen_test
@pytest.mark.parametrize("planted_first", [True, False])
async def test_two_sessions_in_one_request_are_neither(
    do: Do, client: Client, planted_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    attacker = stranger_to(client)
    await do(lambda h: h.session.login(666), by=attacker)
    await do(lambda h: h.session.login(7))
    cookies = [cookie_of(client), cookie_of(attacker)][:: -1 if planted_first else 1]
    reply = await do(show, headers={"Cookie": "; ".join(cookies)})
    assert json.loads(reply.body) == {"user": None}
    assert "brings the ids of 2 sessions" in caplog.text
    assert (await shown(do))["user"] == "7"


# Logouts.


@pytest.mark.gen_test
async def test_logout_is_not_undone_by_a_slow_request(
    do: Do, client: Client, store: MemoryStore
) -> None:
    await do(lambda h: h.session.login(7))
    slow = Parked(put(late=1))
    response = asyncio.ensure_future(do(slow, by=twin_of(client)))
    await slow.loaded.wait()
    await do(lambda h: h.session.logout())
    slow.go_on.set()
    assert (await response).code == 409
    assert "Set-Cookie" not in (await response).headers
    assert len(store) == 0


@pytest.mark.gen_test
async def test_stolen_id_is_worth_nothing_after_the_logout(do: Do, client: Client) -> None:
    await do(lambda h: h.session.login(7))
    stolen = twin_of(client)
    assert (await shown(do, by=stolen))["user"] == "7"
    await do(lambda h: h.session.logout())
    assert await shown(do, by=stolen) == {"user": None}


@pytest.mark.gen_test
async def test_revoked_user_is_out_at_once_and_everywhere(
    do: Do, client: Client, store: MemoryStore
) -> None:
    browsers = [client, stranger_to(client), stranger_to(client)]
    for browser in browsers:
        await do(lambda h: h.session.login(7), by=browser)
    slow = Parked(put(late=1))
    response = asyncio.ensure_future(do(slow))
    await slow.loaded.wait()
    assert await store.revoke_user("7") == 3
    slow.go_on.set()
    assert (await response).code == 409
    for browser in browsers:
        assert await shown(do, by=browser) == {"user": None}
    await do(lambda h: h.session.login(7))
    assert (await shown(do))["user"] == "7"


@pytest.mark.gen_test
async def test_password_change_ends_all_other_sessions(
    do: Do, client: Client, store: MemoryStore
) -> None:
    async def change_password(handler: Act) -> None:
        await store.revoke_user("7")
        handler.session.logout()  # this one has ended too
        handler.session.login(7)

    thief = stranger_to(client)
    for browser in (client, thief):
        await do(lambda h: h.session.login(7), by=browser)
    assert (await do(change_password)).code == 200
    assert (await shown(do))["user"] == "7"
    assert await shown(do, by=thief) == {"user": None}


# Too much.


@pytest.mark.gen_test
async def test_session_can_not_be_filled_without_end(do: Do) -> None:
    await do(put(a=1))
    assert (await do(put(b="x" * 65536))).code == 413
    assert (await do(lambda h: h.session.update({f"{n}": n for n in range(128)}))).code == 413
    assert await shown(do) == {"user": None, "a": 1}


# A clock that jumps.


@pytest.mark.gen_test
async def test_clock_that_jumps_ahead_and_back_ends_no_session(
    do: Do, clock: Callable[[float], None]
) -> None:
    await do(put(a=1))
    clock(15 * 86400)
    assert await shown(do) == {"user": None}
    clock(-15 * 86400)
    assert (await shown(do))["a"] == 1


@pytest.mark.gen_test
async def test_clock_that_jumped_ahead_makes_no_session_eternal(
    do: Do, app: Application, store: MemoryStore, clock: Callable[[float], None]
) -> None:
    app.settings.update(session_idle_timeout=1000, session_lifetime=2500)
    await do(put(a=1))
    clock(600)
    await do(put(a=2))
    clock(-600)
    (kept,) = store._kept.values()
    assert kept.expires_at - time.monotonic() <= 1000
    for _ in range(4):
        clock(700)
        await do(show)
    assert await shown(do) == {"user": None}
