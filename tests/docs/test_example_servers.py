"""The examples that need servers, or are several processes: run as their first lines say."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient

from tests.docs.conftest import Browse
from tests.examples import started
from tornado_ext.testing import RedisServer


async def ask(url: str) -> Any:
    return json.loads((await AsyncHTTPClient().fetch(url)).body)


@pytest.mark.gen_test(timeout=20)
async def test_sessions_are_kept_on_three_shards(
    browse: Browse, redis_servers: Callable[..., list[RedisServer]]
) -> None:
    urls = {name: server.url for name, server in zip("abc", redis_servers(3), strict=True)}
    clients = [browse("sharded", urls) for _ in range(10)]
    for visits in (1, 2):
        for client in clients:
            assert json.loads((await client.get("/")).body) == {"visits": visits}
    for client in clients:
        await client.app.settings["session_store"].close()


@pytest.mark.gen_test
async def test_one_more_shard_loses_nobody_on_the_ring_and_most_of_a_list(
    browse: Browse,
) -> None:
    urls = {"a": "redis://a.example"}  # which is not asked
    told = json.loads((await browse("sharded", urls).get("/compare")).body)
    by_modulo, on_one, on_two = told["logged out by one more shard, in percent"].values()
    assert 67 < by_modulo < 73  # 4 of 5, but for the shard that is in the list twice
    assert 16 < on_one < 24  # 1 of 5
    assert on_two == 0  # the owners before and after always share a shard
    shares = told["on each shard of the ring, in percent"]
    assert shares == pytest.approx({"a": 50, "b": 25, "c": 25}, abs=5)


@pytest.mark.gen_test(timeout=30)
async def test_a_pool_lends_for_a_statement_and_one_connection_keeps_its_table(
    mysql_url: str,
) -> None:
    with started("mysql_connection", "0", mysql_url) as lines:
        assert await ask(f"{lines[-1]}/?name=o%27b") == {"greeting": "hello o'b", "connections": 1}
        for _ in range(2):  # the table was gone with its connection
            assert await ask(f"{lines[-1]}/ranking") == {"bob": 5, "cyd": 4}


@pytest.mark.gen_test(timeout=20)
async def test_several_processes_have_a_memory_each() -> None:
    with started("processes", "0") as lines:
        told: dict[int, int] = {}
        while len(told) < 2:  # the kernel chooses who accepts
            for reply in [await ask(lines[-1]) for _ in range(5)]:
                assert reply["count"] == told.get(reply["pid"], 0) + 1
                told[reply["pid"]] = reply["count"]
        for path in ("healthz", "readyz"):
            assert (await AsyncHTTPClient().fetch(f"{lines[-1]}/{path}")).code == 200
