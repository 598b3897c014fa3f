"""The example of the documentation, run as its first line says, behind a client of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import html5lib
import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.ioloop import IOLoop

EXAMPLE = Path(__file__).parents[2] / "docs/examples/form.py"

GOOD = {
    "username": "zoe", "email": "zoe@example.com", "password": "correct horse",
    "repeat": "correct horse", "age": "42", "plan": "paid", "terms": "on",
}  # fmt: skip


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with subprocess.Popen([sys.executable, EXAMPLE, "0"], stdout=subprocess.PIPE) as process:
        yield process.stdout.readline().decode().strip()
        process.terminate()


class Visitor:
    """Opens the page, and sends its form with the token and the cookie that came with it."""

    def __init__(self, url: str) -> None:
        self.url, self.client = url, AsyncHTTPClient()

    async def open(self) -> None:
        page = await self.client.fetch(self.url)
        self.cookie = page.headers["Set-Cookie"].partition(";")[0]
        self.inputs = inputs(page)

    async def send(self, values: dict[str, str]) -> HTTPResponse:
        body = urlencode({"_xsrf": self.inputs["_xsrf"].get("value"), **values})
        return await self.post(body, {})

    async def send_json(self, values: dict[str, object]) -> HTTPResponse:
        token = self.inputs["_xsrf"].get("value")
        headers = {"Content-Type": "application/json", "X-Xsrftoken": token}
        return await self.post(json.dumps(values), headers)

    async def post(self, body: str, headers: dict[str, str]) -> HTTPResponse:
        headers = {"Cookie": self.cookie, **headers}
        return await self.client.fetch(
            self.url, method="POST", body=body, headers=headers, raise_error=False
        )


def inputs(page: HTTPResponse) -> dict:
    document = html5lib.parse(page.body, namespaceHTMLElements=False)
    return {element.get("name"): element for element in document.iterfind(".//*[@name]")}


def messages(page: HTTPResponse) -> list[str]:
    document = html5lib.parse(page.body, namespaceHTMLElements=False)
    return [element.text for element in document.iterfind(".//ul[@class='field-errors']/li")]


@pytest.fixture
def visitor(io_loop: IOLoop, url: str) -> Iterator[Visitor]:
    visitor = Visitor(url)
    io_loop.run_sync(visitor.open)
    yield visitor
    visitor.client.close()


@pytest.mark.gen_test
async def test_a_good_form_is_welcome(visitor: Visitor) -> None:
    page = await visitor.send(GOOD)
    assert (page.code, page.body) == (200, b"Welcome, zoe!")


@pytest.mark.gen_test
async def test_a_bad_form_comes_back_with_its_values_but_the_passwords(visitor: Visitor) -> None:
    bad = {**GOOD, "username": '"><script>', "password": "short", "age": "17"}
    page = await visitor.send(bad)
    assert page.code == 422
    assert messages(page) == [
        "Use small letters, digits and underscores.",
        "Use 10 or more characters.",
        "Enter 18 or more.",
    ]
    found = inputs(page)
    assert found["username"].get("value") == '"><script>'
    assert found["email"].get("value") == "zoe@example.com"
    assert "value" not in found["password"].attrib
    assert "checked" in found["terms"].attrib
    assert found["plan"].find("option[@selected]").get("value") == "paid"


@pytest.mark.gen_test
async def test_a_name_that_is_taken_is_asked_for_again(visitor: Visitor) -> None:
    assert messages(await visitor.send({**GOOD, "username": "ann"})) == ["That name is taken."]


@pytest.mark.gen_test
async def test_passwords_must_agree(visitor: Visitor) -> None:
    assert messages(await visitor.send({**GOOD, "repeat": "x"})) == ["The passwords differ."]


@pytest.mark.gen_test
async def test_a_form_without_the_token_is_refused(visitor: Visitor) -> None:
    assert (await visitor.send({**GOOD, "_xsrf": ""})).code == 403


@pytest.mark.gen_test
async def test_json_gets_json(visitor: Visitor) -> None:
    page = await visitor.send_json({**GOOD, "age": "42", "terms": True})
    assert page.code == 422
    assert json.loads(page.body) == {
        "errors": {"age": [{"message": "Enter a whole number.", "code": "integer"}]}
    }
    assert (await visitor.send_json({**GOOD, "age": 42, "terms": True})).code == 200
