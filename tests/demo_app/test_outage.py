"""What people see while a server is away, and that all is well again when it is back."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from demo_app.config import Config
from tests.demo_app.conftest import Enter, Visit
from tornado_ext.testing import MariaDBServer, RedisServer
from tornado_ext.testing.servers import PrivateServer

AWAY = {"killed": PrivateServer.kill, "frozen": PrivateServer.freeze}


def bring_back(server: PrivateServer) -> None:
    if server.is_running:
        server.thaw()
    else:
        server.restart()


@pytest.fixture
def servers(
    redis_servers: Callable[..., list[RedisServer]], mariadb_server: MariaDBServer
) -> dict[str, PrivateServer]:
    sessions, rooms = redis_servers(2)
    return {"sessions": sessions, "rooms": rooms, "database": mariadb_server}


@pytest.fixture(params=["mysql", "mysql+tornado"])
def config(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    servers: dict[str, PrivateServer],
    mysql_url: str,
) -> Config:
    return Config(
        data=tmp_path,
        sessions=[servers["sessions"].url],
        rooms=servers["rooms"].url,
        database=request.param + mysql_url.removeprefix("mysql"),
    )


@pytest.mark.gen_test
@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("name", ["sessions", "database"])
async def test_page_is_a_503_until_the_server_is_back(
    servers: dict[str, PrivateServer],
    person: Visit,
    caplog: pytest.LogCaptureFixture,
    name: str,
    away: str,
) -> None:
    ann = await person("ann")
    AWAY[away](servers[name])
    response = await ann.get("/", follow_redirects=False)
    assert response.code == 503
    assert b"One moment, please" in response.body
    assert response.headers["Retry-After"]
    assert response.request_time < 2  # seconds; about 0.9 at most on a machine that is not busy
    assert any(record.levelno >= logging.WARNING for record in caplog.records)
    assert "Traceback" not in caplog.text
    bring_back(servers[name])
    assert (await ann.get("/", follow_redirects=False)).code == 200


@pytest.mark.gen_test(timeout=10)
@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("name", ["sessions", "database"])
async def test_message_is_refused_until_the_server_is_back(
    servers: dict[str, PrivateServer], person: Visit, enter: Enter, name: str, away: str
) -> None:
    ann = await enter(await person("ann"))
    await ann.sees()  # has entered
    AWAY[away](servers[name])
    for _ in range(2):
        await ann.say("lost")
        assert "not stored" in await ann.is_told()
    bring_back(servers[name])
    await ann.say("kept")
    assert await ann.hears() == "kept"


@pytest.mark.gen_test(timeout=10)
@pytest.mark.parametrize("away", AWAY)
async def test_people_on_one_process_chat_on_without_the_room_server(
    servers: dict[str, PrivateServer], person: Visit, enter: Enter, away: str
) -> None:
    ann, ben = await enter(await person("ann")), await enter(await person("ben"))
    await ben.sees()
    AWAY[away](servers["rooms"])
    await ann.say("hello")
    assert await ann.hears() == await ben.hears() == "hello"
    assert "is stored" in await ann.is_told()
    bring_back(servers["rooms"])
