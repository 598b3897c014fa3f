"""What people see while a server is away, and that all is well again when it is back."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from demo_app.config import Config
from tests.demo_app.conftest import Enter, Visit
from tornado_ext.testing import MariaDBServer, PrivateServer, RedisServer

AWAY = {"killed": PrivateServer.kill, "frozen": PrivateServer.freeze}


def bring_back(server: PrivateServer) -> None:
    if server.is_running:
        server.thaw()
    else:
        server.restart()


@pytest.fixture
def redis_pair(redis_servers: Callable[..., list[RedisServer]]) -> list[RedisServer]:
    """The servers of sessions and of rooms."""
    return redis_servers(2)


@pytest.fixture(params=["sessions", "mysql", "mysql+tornado"])
def goes(request: pytest.FixtureRequest) -> str:
    """What goes away: the sessions, the rooms, or the database through a driver."""
    name: str = request.param
    return name


@pytest.fixture
def server(
    goes: str, redis_pair: list[RedisServer], mariadb_server: MariaDBServer
) -> PrivateServer:
    """The server that goes away."""
    sessions, rooms = redis_pair
    return {"sessions": sessions, "rooms": rooms}.get(goes, mariadb_server)


@pytest.fixture
def config(goes: str, tmp_path: Path, redis_pair: list[RedisServer], mysql_url: str) -> Config:
    sessions, rooms = redis_pair
    driver = goes if goes.startswith("mysql") else "mysql"
    database = driver + mysql_url.removeprefix("mysql")
    return Config(data=tmp_path, sessions=[sessions.url], rooms=rooms.url, database=database)


@pytest.mark.gen_test
@pytest.mark.parametrize("away", AWAY)
async def test_page_is_a_503_until_the_server_is_back(
    server: PrivateServer, person: Visit, caplog: pytest.LogCaptureFixture, away: str
) -> None:
    ann = await person("ann")
    AWAY[away](server)
    response = await ann.get("/", follow_redirects=False)
    assert response.code == 503
    assert b"One moment, please" in response.body
    assert response.headers["Retry-After"]
    assert any(record.levelno >= logging.WARNING for record in caplog.records)
    assert "Traceback" not in caplog.text
    bring_back(server)
    assert (await ann.get("/", follow_redirects=False)).code == 200


@pytest.mark.gen_test(timeout=10)
@pytest.mark.parametrize("away", AWAY)
async def test_message_waits_until_the_server_is_back(
    server: PrivateServer, person: Visit, enter: Enter, away: str
) -> None:
    ann = await enter(await person("ann"))
    await ann.sees()  # has entered
    AWAY[away](server)
    for _ in range(2):
        await ann.say("kept", "key")
        await ann.is_asked_to_wait()
    bring_back(server)
    await ann.say("kept", "key")
    assert (await ann.next("message"))["id"] == 1


@pytest.mark.gen_test(timeout=10)
@pytest.mark.parametrize("goes", ["rooms"], indirect=True)
@pytest.mark.parametrize("away", AWAY)
async def test_people_on_one_process_chat_on_without_the_room_server(
    server: PrivateServer, person: Visit, enter: Enter, away: str
) -> None:
    ann, ben = await enter(await person("ann")), await enter(await person("ben"))
    await ben.sees()
    AWAY[away](server)
    await ann.say("hello")
    assert await ann.hears() == await ben.hears() == "hello"
    bring_back(server)
