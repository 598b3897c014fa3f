"""The steps of the tutorial: what each can do, and the programs themselves."""

import ast
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

import pytest
from tornado.httpclient import HTTPClientError
from tornado.web import Application

from tests.docs.conftest import Browse
from tests.examples import DOCS, started
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import Client, RedisServer

STEPS = [f"tutorial/step{number}" for number in range(1, 6)]
PASSWORD = "correct horse"


async def enter(client: Client, name: str = "ann", password: str = PASSWORD) -> bytes:
    return (await client.post("/login", {"name": name, "password": password})).body


@pytest.mark.gen_test
async def test_step_1_is_a_page(browse: Browse) -> None:
    page = await browse("tutorial/step1").get("/?name=<i>")
    assert b"Hello, &lt;i&gt;" in page.body
    assert "Content-Security-Policy" in page.headers


@pytest.mark.gen_test
@pytest.mark.parametrize("step", STEPS[1:4])
async def test_from_step_2_on_who_logs_in_is_greeted_until_he_logs_out(
    browse: Browse, step: str
) -> None:
    client = browse(step)
    assert b"Log in" in (await client.get("/")).body
    assert b"Hello, ann" in await enter(client)
    assert b"Log in" in (await client.post("/logout")).body
    assert b"Log in" in (await client.get("/")).body


@pytest.mark.gen_test
@pytest.mark.parametrize("step", STEPS[2:4])
async def test_from_step_3_on_a_name_has_one_password(browse: Browse, step: str) -> None:
    client = browse(step)
    assert b"10 or more characters" in await enter(client, password="short")
    assert b"Hello, ann" in await enter(client)
    stranger = Client(client.app, client.base_url)
    assert b"not the password of that name" in await enter(stranger, password="wrong horse!")
    assert b"Hello, ann" in await enter(stranger)


async def assert_that_they_chat(app: Application, base_url: str) -> None:
    people = {name: Client(app, base_url) for name in ("ann", "bob")}
    for name, client in people.items():
        await enter(client, name)
    sockets = {name: await client.websocket("/socket") for name, client in people.items()}
    for name, socket in sockets.items():
        await socket.write_message(f"I am <b>{name}</b>")
        for each in sockets.values():
            heard = json.loads(str(await each.read_message()))
            assert heard == {"name": name, "text": f"I am <b>{name}</b>"}
    for socket in sockets.values():
        socket.close()


@pytest.mark.gen_test
async def test_step_4_has_a_room_for_those_who_are_logged_in(browse: Browse) -> None:
    client = browse(STEPS[3])
    with pytest.raises(HTTPClientError, match="403"):
        await client.websocket("/socket")
    await assert_that_they_chat(client.app, client.base_url)


@pytest.mark.gen_test(timeout=20)
async def test_step_5_keeps_everybody_logged_in_when_a_shard_is_killed(
    browse: Browse, redis_servers: Callable[..., list[RedisServer]]
) -> None:
    servers = dict(zip("abc", redis_servers(3), strict=True))
    store = ShardedRedisStore({name: server.url for name, server in servers.items()})
    app = browse(STEPS[4], store)
    await assert_that_they_chat(app.app, app.base_url)
    people = [Client(app.app, app.base_url) for _ in range(8)]
    for number, client in enumerate(people):
        await enter(client, f"user{number}")
    servers["b"].kill()
    for number, client in enumerate(people):
        assert f"Hello, user{number}".encode() in (await client.get("/")).body
    await store.close()


Program = dict[str, str]


def definitions(code: str) -> Program:
    """Return what a program imports, and what it makes by its name."""
    found: Program = {}
    for node in ast.parse(code).body:
        text = ast.unparse(node)
        if isinstance(node, ast.ImportFrom):
            found |= {f"from {node.module} import {each.name}": "" for each in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = text
        elif isinstance(node, ast.If | ast.Assign):
            found[text.partition("=")[0]] = text
        elif isinstance(node, ast.Import):
            found[text] = ""
    return found


def test_who_types_in_what_the_tutorial_says_has_the_program_of_each_step() -> None:
    _, *sections = re.split(r"^## \d", (DOCS / "tutorial.md").read_text(), flags=re.MULTILINE)
    typed: Program = {}
    for step, section in zip(STEPS, sections, strict=True):
        for block in re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
            typed |= definitions(block)
        for name in re.findall(r"The import of `(\w+)` goes", section):
            typed = {each: text for each, text in typed.items() if not each.endswith(f" {name}")}
        assert typed == definitions((DOCS / f"{step}.py").read_text())


def test_the_last_step_is_as_long_as_the_tutorial_says() -> None:
    promised = re.search(r"in (\d+) lines", (DOCS / "tutorial.md").read_text())
    assert promised is not None
    assert len((DOCS / f"{STEPS[-1]}.py").read_text().splitlines()) == int(promised[1]) == 120


def first_page(step: str) -> bytes:
    with started(step, "0") as lines, urlopen(lines[-1], timeout=10) as response:
        return bytes(response.read())


def test_each_step_starts_by_the_command_on_its_first_line() -> None:
    with ThreadPoolExecutor(2) as pool:
        for step, page in zip(STEPS, pool.map(first_page, STEPS), strict=True):
            first = (DOCS / f"{step}.py").read_text().partition("\n")[0]
            assert first.startswith(f"# Run it: python {step.removeprefix('tutorial/')}.py ")
            assert page.startswith(b"<!doctype html>")
