"""The examples of waiting, and of not letting others wait: each asked by real clients."""

import asyncio
import json
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse
from tornado.testing import bind_unused_port

from tests.docs.conftest import Browse


def told(response: HTTPResponse) -> Any:
    assert response.code == 200, response.body
    return json.loads(response.body)


@pytest.mark.gen_test
async def test_a_poll_is_answered_when_there_is_news(browse: Browse) -> None:
    client = browse("long_polling")
    poll = asyncio.ensure_future(client.get("/messages"))
    await client.post("/messages", {"text": "one"})
    assert told(await poll) == {"messages": ["one"], "after": 1}
    await client.post("/messages", {"text": "two"})  # while nobody waits
    assert told(await client.get("/messages?after=1")) == {"messages": ["two"], "after": 2}
    assert (await client.get("/messages?after=-1")).code == 400


@pytest.mark.gen_test
async def test_who_leaves_is_waited_for_no_more(browse: Browse) -> None:
    client = browse("long_polling")
    before = len(asyncio.all_tasks())
    address = client.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(*address)
    writer.write(b"GET /messages HTTP/1.1\r\nHost: x\r\n\r\n")
    while len(asyncio.all_tasks()) < before + 2:
        await asyncio.sleep(0.001)
    writer.close()
    while len(asyncio.all_tasks()) > before:
        await asyncio.sleep(0.001)


@pytest.mark.gen_test
async def test_a_future_is_completed_by_the_request_of_somebody_else(browse: Browse) -> None:
    client = browse("futures")
    assert (await client.post("/tickets/7", {"dish": "soup"})).code == 404
    customer = asyncio.ensure_future(client.get("/tickets/7"))
    while (await client.post("/tickets/7", {"dish": "soup"})).code == 404:
        pass  # he has not come in yet
    assert told(await customer) == {"ready": "soup"}
    assert client.app.settings["waiting"] == {}


@pytest.mark.gen_test
async def test_another_service_is_asked_and_may_fail(browse: Browse) -> None:
    total = told(await browse("fetch").get("/total?item=tea&item=gin&item=milk"))
    assert total == {"prices": {"tea": 3, "gin": None, "milk": 4}}


@pytest.mark.gen_test
async def test_another_service_may_be_away(browse: Browse) -> None:
    socket, port = bind_unused_port()
    socket.close()
    client = browse("fetch", f"http://127.0.0.1:{port}")
    assert told(await client.get("/total?item=tea")) == {"prices": {"tea": None}}


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("path", ["/awaiting", "/thread", "/process", "/blocking"])
async def test_only_the_blocking_page_lets_others_wait(browse: Browse, path: str) -> None:
    client = browse("blocking")
    slow = asyncio.ensure_future(client.get(path))
    await asyncio.sleep(0.1)  # it is being served: asked for first, or, blocking, answered
    assert (await client.get("/fast")).body == b"fast"
    assert slow.done() is (path == "/blocking")
    assert (await slow).code == 200


@pytest.mark.gen_test(timeout=20)
async def test_what_blocks_is_measured(browse: Browse) -> None:
    lines = (await browse("blocking").get("/measure")).body.decode().splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "/awaiting", "/thread", "/process", "/blocking"
    ]  # fmt: skip
    assert all(line.split()[-1] == "ms" for line in lines)
