"""The session of a WebSocket: loaded before open(), stored by hand, kept alive if so set."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from inspect import isawaitable

import pytest
from tornado.web import Application
from tornado.websocket import WebSocketClientConnection, WebSocketHandler

from tests.sessions.acting import Do, put, shown
from tornado_ext.sessions import (
    Change,
    CookieSent,
    MemoryStore,
    SessionCorrupt,
    SessionGone,
    SessionMixin,
    SessionTooLarge,
    StoreUnavailable,
    lifetimes,
)
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import Client

Action = Callable[["Socket"], object]


class Socket(SessionMixin, WebSocketHandler):
    """Does what the test wants when a message comes, and answers with its result."""

    async def open(self) -> None:
        await self.write_message(f"{self.session.user_id} {self.session.get('n')}")

    async def on_message(self, message: str | bytes) -> None:
        try:
            result = self.settings["actions"][message](self)
            if isawaitable(result):
                result = await result
        except Exception as exc:
            result = type(exc).__name__
        await self.write_message(str(result))


@pytest.fixture
def app(app: Application) -> Application:
    app.add_handlers(".*", [("/socket", Socket)])
    return app


async def ask(client: Client, socket: WebSocketClientConnection, action: Action) -> str:
    """Have the socket do something; return what it answers."""
    actions = client.app.settings["actions"]
    actions[str(len(actions))] = action
    await socket.write_message(str(len(actions) - 1))
    return str(await socket.read_message())


@asynccontextmanager
async def opened(client: Client) -> AsyncIterator[WebSocketClientConnection]:
    socket = await client.websocket("/socket")
    try:
        await socket.read_message()
        yield socket
    finally:
        socket.close()


async def wait_for(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not what():
            await asyncio.sleep(0.01)


async def set_and_save(socket: Socket) -> None:
    socket.session["n"] = 5
    await socket.session.save()


async def count(socket: Socket) -> None:
    async with socket.session.exclusive() as session:
        session["n"] += 1


@pytest.mark.gen_test
async def test_session_is_loaded_before_open(do: Do, client: Client) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(n=3))[1])
    socket = await client.websocket("/socket")
    assert await socket.read_message() == "7 3"
    socket.close()


@pytest.mark.gen_test
async def test_change_is_stored_by_save(do: Do, client: Client) -> None:
    await do(lambda h: h.session.login(7))
    async with opened(client) as socket:
        assert await ask(client, socket, set_and_save) == "None"
    assert await shown(do) == {"user": "7", "n": 5}


@pytest.mark.gen_test
async def test_sockets_count_exclusively(do: Do, client: Client) -> None:
    await do(put(n=0))
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(opened(client)) for _ in range(4)]
        await asyncio.gather(*(ask(client, socket, count) for socket in sockets))
    assert (await shown(do))["n"] == 4


@pytest.mark.gen_test
async def test_reload_takes_on_what_a_page_stored(do: Do, client: Client) -> None:
    await do(put(n=0))
    async with opened(client) as socket:
        await do(put(n=9))
        assert await ask(client, socket, lambda s: s.session.get("n")) == "0"
        assert await ask(client, socket, lambda s: s.session.reload()) == "None"
        assert await ask(client, socket, lambda s: s.session.get("n")) == "9"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "change", [lambda s: s.session.reload(), set_and_save, count, lambda s: s.session.keep_alive()]
)
async def test_socket_learns_of_a_logout_when_it_asks_the_store(
    do: Do, client: Client, change: Action
) -> None:
    await do(put(n=0))
    async with opened(client) as socket:
        await do(lambda h: h.session.logout())
        assert await ask(client, socket, change) == SessionGone.__name__


@pytest.mark.gen_test
@pytest.mark.parametrize("change", [lambda s: s.session.login(8), lambda s: s.session.regenerate()])
async def test_id_can_not_be_changed(do: Do, client: Client, change: Action) -> None:
    await do(lambda h: h.session.login(7))
    async with opened(client) as socket:
        assert await ask(client, socket, change) == CookieSent.__name__
    assert (await shown(do))["user"] == "7"


@pytest.mark.gen_test
async def test_visitor_gets_no_session_by_a_socket(client: Client, store: MemoryStore) -> None:
    async with opened(client) as socket:
        assert await ask(client, socket, set_and_save) == CookieSent.__name__
    assert len(store) == 0


@pytest.mark.gen_test
async def test_logout_in_a_socket_is_a_logout(do: Do, client: Client) -> None:
    async def log_out(socket: Socket) -> None:
        socket.session.logout()
        await socket.session.save()

    await do(lambda h: h.session.login(7))
    async with opened(client) as socket:
        assert await ask(client, socket, log_out) == "None"
        assert await ask(client, socket, set_and_save) == CookieSent.__name__
    assert await shown(do) == {"user": None}


@pytest.mark.gen_test
async def test_save_of_too_much_is_refused_and_the_socket_lives_on(do: Do, client: Client) -> None:
    async def save_much(socket: Socket) -> None:
        socket.session["n"] = "x" * 70_000
        await socket.session.save()

    await do(put(n=0))
    async with opened(client) as socket:
        assert await ask(client, socket, save_much) == SessionTooLarge.__name__
        assert await ask(client, socket, set_and_save) == "None"


@pytest.mark.gen_test
async def test_changes_that_a_socket_leaves_unsaved_are_logged(
    do: Do, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await do(put(n=0))
    for saved in (True, False):
        async with opened(client) as socket:
            await ask(client, socket, set_and_save if saved else lambda s: s.session.update(n=1))
        while await socket.read_message() is not None:
            pass
        await asyncio.sleep(0.05)
        assert ("GET /socket has ended, and what it changed" in caplog.text) is not saved


class Saving(Socket):
    """Leaves a save to a task when it closes."""

    def on_close(self) -> None:
        self.session["n"] = 6
        self.settings["saving"] = asyncio.ensure_future(self.session.save())


@pytest.mark.gen_test
async def test_save_that_on_close_leaves_to_a_task_is_not_complained_of(
    do: Do, app: Application, client: Client, caplog: pytest.LogCaptureFixture, redis_url: str
) -> None:
    store = app.settings["session_store"] = RedisStore(redis_url)
    app.add_handlers(".*", [("/saving", Saving)])
    await do(put(n=0))
    socket = await client.websocket("/saving")
    socket.close()
    await wait_for(lambda: "saving" in app.settings)
    await app.settings["saving"]
    assert (await shown(do))["n"] == 6
    assert "has ended" not in caplog.text
    await store.close()


# Kept alive.


class Counting(MemoryStore):
    """Counts saves, and fails while ``away``."""

    saves = 0
    away: Exception | None = None

    async def save(self, key: str, change: Change) -> Collection[str] | None:
        self.saves += 1
        if self.away:
            raise self.away
        return await super().save(key, change)


@pytest.fixture
def kept_alive(app: Application, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """Have open sockets renew their sessions five times in a second."""
    monkeypatch.setattr(lifetimes, "RENEWAL_INTERVAL", 0.1)
    store = Counting()
    app.settings.update(
        session_store=store, session_idle_timeout=2, session_websocket_keepalive=True
    )
    return store


@pytest.mark.gen_test
async def test_open_socket_keeps_its_session_alive(
    do: Do, client: Client, kept_alive: Counting
) -> None:
    await do(put(n=1))
    (kept,) = kept_alive._kept.values()
    expires_at = kept.expires_at
    async with opened(client):
        await wait_for(lambda: kept_alive.saves == 2)
    assert kept.expires_at > expires_at
    assert kept.record.fields == {"n": "1"}


@pytest.mark.gen_test
async def test_socket_keeps_nothing_alive_unless_so_set(
    do: Do, app: Application, client: Client, kept_alive: Counting
) -> None:
    app.settings["session_websocket_keepalive"] = False
    await do(put(n=1))
    async with opened(client):
        await asyncio.sleep(0.5)
    assert kept_alive.saves == 0


@pytest.mark.gen_test
async def test_socket_that_closed_keeps_nothing_alive(
    do: Do, client: Client, kept_alive: Counting
) -> None:
    await do(put(n=1))
    async with opened(client) as socket:
        await wait_for(lambda: kept_alive.saves > 0)
        socket.close()
        while await socket.read_message() is not None:
            pass
    saves = kept_alive.saves
    await asyncio.sleep(0.5)
    assert kept_alive.saves <= saves + 1  # one may have been under way


@pytest.mark.gen_test
@pytest.mark.parametrize("why", [StoreUnavailable("away"), SessionCorrupt("away")], ids=repr)
async def test_keepalive_goes_on_after_a_failure_and_ends_with_the_session(
    do: Do,
    client: Client,
    kept_alive: Counting,
    caplog: pytest.LogCaptureFixture,
    why: Exception,
) -> None:
    await do(put(n=1))
    ((key, kept),) = kept_alive._kept.items()
    seen_at = kept.record.seen_at
    async with opened(client):
        kept_alive.away = why
        await wait_for(lambda: kept_alive.saves > 0)
        kept_alive.away = None
        assert "GET /socket: its session is not kept alive: away" in caplog.text
        await wait_for(lambda: kept.record.seen_at > seen_at)
        await kept_alive.delete(key)
        saves = kept_alive.saves
        await asyncio.sleep(0.8)
        assert kept_alive.saves <= saves + 1
