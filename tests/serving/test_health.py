"""What a load balancer is told."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import pytest
from tornado.escape import json_decode
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application

from tornado_ext.mysql import Database
from tornado_ext.rooms import RedisBus
from tornado_ext.serving import HealthHandler, ReadyHandler
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import MariaDBServer, RedisServer

AWAY: dict[str, Callable[[Any], None]] = {
    "killed": lambda server: server.kill(),
    "frozen": lambda server: server.freeze(),
}


class Frozen:
    asked = 0  # how many wait for it

    async def health(self) -> dict[str, object]:
        self.asked += 1
        try:
            await asyncio.sleep(1000)
        finally:
            self.asked -= 1
        return {}


class Broken:
    async def health(self) -> dict[str, object]:
        raise OSError("a secret address")


class Stubborn:
    async def health(self) -> dict[str, object]:
        for _ in range(2):  # the first one cancels it
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1000)
        return {}


class Away:
    async def health(self) -> Mapping[str, object]:
        return MappingProxyType({"ok": False})


class Silent:
    async def health(self) -> None: ...


class Demanding:
    async def health(self, name: str) -> dict[str, object]:
        return {"ok": True, "name": name}


class Fine:
    async def health(self) -> dict[str, object]:
        return {"ok": True}


@pytest.fixture
def app(
    io_loop: IOLoop, redis_url: str, redis_servers: Callable[..., list[RedisServer]], mysql_url: str
) -> Iterator[Application]:
    (rooms,) = redis_servers(1)
    app = Application(
        [("/healthz", HealthHandler), ("/readyz", ReadyHandler)],
        session_store=RedisStore(redis_url),
        room_bus=RedisBus(rooms.url),
        database=Database(mysql_url),
        rooms=rooms,
        kind=Frozen,
    )
    yield app
    for name in ("session_store", "room_bus", "database"):
        io_loop.run_sync(app.settings[name].close)


async def ask(url: str) -> tuple[int, Any]:
    response = await AsyncHTTPClient().fetch(url, raise_error=False)
    assert response.headers["Cache-Control"] == "no-store"
    return response.code, json_decode(response.body)


@pytest.mark.gen_test
async def test_a_process_that_can_serve_is_ready(http_server: HTTPServer, base_url: str) -> None:
    answers = {"session_store": "ok", "room_bus": "ok", "database": "ok"}
    assert await ask(base_url + "/readyz") == (200, {"ready": True, "settings": answers})


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.gen_test
async def test_a_process_without_its_session_store_is_not(
    http_server: HTTPServer, base_url: str, redis_server: RedisServer, away: str
) -> None:
    AWAY[away](redis_server)
    code, answer = await ask(base_url + "/readyz")
    assert (code, answer["ready"]) == (503, False)
    assert answer["settings"]["session_store"] in ("StoreUnavailable", "StoreTimeout")
    assert answer["settings"]["database"] == "ok"
    assert (await ask(base_url + "/healthz")) == (200, {"alive": True})


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.gen_test
async def test_a_process_without_its_database_is_not(
    http_server: HTTPServer, base_url: str, mariadb_server: MariaDBServer, away: str
) -> None:
    await ask(base_url + "/readyz")
    AWAY[away](mariadb_server)
    code, answer = await ask(base_url + "/readyz")
    assert code == 503
    assert answer["settings"]["database"] != "ok"
    assert answer["settings"]["session_store"] == "ok"


@pytest.mark.gen_test
async def test_rooms_that_reach_no_other_process_are_told_and_no_reason_to_leave(
    app: Application, http_server: HTTPServer, base_url: str
) -> None:
    app.settings["rooms"].kill()
    code, answer = await ask(base_url + "/readyz")
    assert (code, answer["ready"]) == (200, True)
    assert answer["settings"]["room_bus"] == "away"


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        (Frozen(), "TimeoutError"),
        (Stubborn(), "TimeoutError"),
        (Broken(), "OSError"),
        (Demanding(), "TypeError"),
        (Away(), "away"),
        (Silent(), "away"),
        (Fine(), "ok"),
    ],
)
@pytest.mark.gen_test
async def test_a_setting_of_ones_own_is_asked_for_its_health(
    app: Application, http_server: HTTPServer, base_url: str, setting: object, answer: str
) -> None:
    app.settings["search"] = setting
    code, said = await ask(base_url + "/readyz")
    assert (code, said["settings"]["search"]) == (200 if answer == "ok" else 503, answer)


@pytest.mark.gen_test
async def test_nobody_waits_any_longer_for_a_setting_that_did_not_answer(
    app: Application, http_server: HTTPServer, base_url: str
) -> None:
    app.settings["search"] = frozen = Frozen()
    await ask(base_url + "/readyz")
    assert frozen.asked == 0
