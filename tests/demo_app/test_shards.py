"""What the app is known for: any shard of the sessions may die."""

import re
from collections.abc import Callable
from hashlib import md5
from pathlib import Path

import pytest

from demo_app.config import Config
from demo_app.ring import KEYS, PLACES, place_of
from tests.demo_app.conftest import Enter, Visit
from tornado_ext.testing import RedisServer

NAMES = ["ann", "ben", "cid", "dee"]


@pytest.fixture
def shards(redis_servers: Callable[..., list[RedisServer]]) -> dict[str, RedisServer]:
    return dict(zip("abc", redis_servers(3), strict=True))


@pytest.fixture
def config(tmp_path: Path, shards: dict[str, RedisServer]) -> Config:
    return Config(data=tmp_path, sessions=[f"{name}={s.url}" for name, s in shards.items()])


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("victim", ["a", "b", "c"])
async def test_any_shard_may_die_and_nobody_is_logged_out(
    shards: dict[str, RedisServer], person: Visit, enter: Enter, victim: str
) -> None:
    people = [await person(name) for name in NAMES]
    talkers = [await enter(each) for each in people]
    for talker in talkers:
        await talker.next("ready")
    shards[victim].kill()
    for each in people:
        assert (await each.get("/", follow_redirects=False)).code == 200
    for name, talker in zip(NAMES, talkers, strict=True):
        await talker.say(f"{name} is still here")
    heard = [{await talker.hears() for _ in NAMES} for talker in talkers]
    assert heard == [{f"{name} is still here" for name in NAMES}] * len(NAMES)


@pytest.mark.gen_test(timeout=20)
async def test_internals_show_where_the_session_is_and_which_shard_is_away(
    shards: dict[str, RedisServer], person: Visit
) -> None:
    ann = await person("ann")
    before = ""
    while states(before) != dict.fromkeys(shards, "ok"):  # one that was slow is caught up first
        before = (await ann.get("/internals")).body.decode()
    assert sorted(parts(before).values()) == ["", "owner", "replica"]
    (owner,) = [name for name, part in parts(before).items() if part == "owner"]
    shards[owner].kill()
    assert "Kill any Redis shard" in before
    after = (await ann.get("/internals")).body.decode()
    assert states(after) == dict.fromkeys(shards, "ok") | {owner: "away"}
    assert parts(after) == parts(before)


@pytest.mark.gen_test
async def test_ring_has_the_colours_of_all_shards_and_ones_own_place(person: Visit) -> None:
    page = (await (await person("ann")).get("/internals")).body.decode()
    assert len(re.findall(r'<path class="own" d="M[\d. ]+L[\d. ]+"/>', page)) == 1
    shards = re.findall(r'class="node-(\d) ok" d="([^"]+)"', page)
    assert [number for number, _ in shards] == ["0", "1", "2"]
    drawn = [place for _, path in shards for place in re.findall(r"M([\d. ]+A\d+)", path)]
    assert len(set(drawn)) == len(drawn) == 2 * PLACES  # as owner, and as replica


@pytest.mark.parametrize("key", ["", "0", "key", "茶"])
def test_key_is_drawn_where_it_falls_on_the_ring(key: str) -> None:
    turn = int(md5(key.encode()).hexdigest(), 16) / 16**32
    assert place_of(key) == int(turn * PLACES)
    assert sorted(KEYS) == list(range(PLACES))


def states(page: str) -> dict[str, str]:
    return dict(re.findall(r'data-shard="(\w)".*?data-state="([\w ]+)"', page))


def parts(page: str) -> dict[str, str]:
    return dict(re.findall(r'data-shard="(\w)".*?class="part">(\w*)<', page))
