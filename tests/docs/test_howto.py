"""The programs of the how-to pages: what each promises, by real clients and servers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import Browse
from tests.examples import program
from tests.redis_sets import sentinel_set
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import Client

BROWSERS = ("phone", "tablet", "laptop")


async def logged_in(client: Client, browser: str) -> Client:
    another = Client(client.app, client.base_url)
    await another.post("/login", {"name": "ann"}, headers={"User-Agent": browser})
    return another


async def is_in(client: Client) -> bool:
    return (await client.get("/sessions")).body != b"POST your name here"


@pytest.mark.gen_test
async def test_one_session_is_ended_or_all_of_them(browse: Browse) -> None:
    client = browse("howto/log_out_everywhere")
    phone, tablet, laptop = [await logged_in(client, browser) for browser in BROWSERS]
    listed = json.loads((await laptop.get("/sessions")).body)
    assert [each["browser"] for each in listed.values()] == ["laptop", "tablet", "phone"]
    assert [each["this one"] for each in listed.values()] == [True, False, False]
    (key,) = (key for key, each in listed.items() if each["browser"] == "tablet")
    await laptop.post("/sessions/end", {"key": key})
    assert [await is_in(each) for each in (phone, tablet, laptop)] == [True, False, True]
    await phone.post("/sessions/end-all")
    assert [await is_in(each) for each in (phone, tablet, laptop)] == [False, False, False]


@pytest.mark.gen_test
async def test_nobody_ends_sessions_of_others(browse: Browse) -> None:
    client = browse("howto/log_out_everywhere")
    ann = await logged_in(client, "phone")
    await client.login("bob")
    (key,) = json.loads((await ann.get("/sessions")).body)
    assert (await client.post("/sessions/end", {"key": key})).code == 404
    assert await is_in(ann)


@pytest.mark.gen_test
async def test_a_new_password_ends_all_other_sessions(browse: Browse) -> None:
    client = browse("howto/log_out_everywhere")
    phone, laptop = [await logged_in(client, browser) for browser in ("phone", "laptop")]
    await laptop.post("/password")
    assert [await is_in(each) for each in (phone, laptop)] == [False, True]


def multipart(*files: tuple[str, str, int]) -> str:
    parts = (
        f'--x\r\nContent-Disposition: form-data; name="pictures"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n{'.' * size}\r\n"
        for name, kind, size in files
    )
    return "".join(parts) + "--x--\r\n"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("files", "error"),
    [
        ([("a.png", "image/png", 10), ("../b.jpg", "image/jpeg", 10)], None),
        ([("a.png", "image/png", 2**20 + 1)], "a.png is larger than 1 MB"),
        ([("a.png", "image/png", 10)] * 4, "3 or fewer files"),
        ([("a.png", "image/png", 2**20)] * 3, "larger than 2 MB together"),
        ([("a.exe", "image/png", 10)], "a.exe is not one of these"),
        ([("a.png", "text/html", 10)], "a.png is not one of these"),
    ],
    ids=["good", "large", "many", "large together", "extension", "type"],
)
async def test_uploads_are_limited(
    browse: Browse, tmp_path: Path, files: list[tuple[str, str, int]], error: str | None
) -> None:
    client = browse("howto/upload", tmp_path)
    sent = {"Content-Type": "multipart/form-data; boundary=x"}
    response = await client.fetch("/", method="POST", body=multipart(*files), headers=sent)
    stored = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    if error is None:
        names = json.loads(response.body)
        assert sorted(names.values()) == ["a.png", "b.jpg"]
        assert stored == dict.fromkeys(names, 10)
    else:
        assert (response.code, stored) == (422, {})
        assert error in response.body.decode()


@pytest.mark.gen_test
async def test_failures_are_explained(browse: Browse) -> None:
    client = browse("howto/errors")
    assert (await client.post("/", {"note": "short"})).code == 200
    long = await client.post("/", {"note": "." * 2000})
    assert (long.code, json.loads(long.body)["error"]) == (413, "SessionTooLarge")
    for _ in range(20):
        often = await client.get("/")
    assert (often.code, json.loads(often.body)["error"]) == (429, "RateLimited")
    assert int(often.headers["Retry-After"]) > 0


@pytest.mark.gen_test
async def test_a_store_that_is_away_is_explained(browse: Browse) -> None:
    store = RedisStore("redis://127.0.0.1:1")
    client = browse("howto/errors", store)
    away = await client.post("/", {"note": "short"})
    assert (away.code, away.headers["Retry-After"]) == (503, "1")
    assert b"Nothing is lost" in away.body
    await store.close()


@pytest.mark.gen_test(timeout=30)
async def test_sessions_are_kept_where_the_sentinels_say(browse: Browse) -> None:
    with sentinel_set(1) as running:
        addresses = [f"{each.host}:{each.port}" for each in running.sentinels]
        client = browse("howto/sentinel", *addresses)
        for visits in (1, 2):
            assert json.loads((await client.get("/")).body) == {"visits": visits}
        redis = client.app.settings["redis_client"]
        for sentinel in redis.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose()
        await redis.aclose()


def test_a_driver_of_ones_own_is_one_class(mysql_url: str) -> None:
    url = mysql_url.replace("mysql://", "mysql+traced://")
    command = [sys.executable, str(program("howto/traced_driver")), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.startswith("42\n1 statement, ")
