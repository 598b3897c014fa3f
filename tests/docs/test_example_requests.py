"""The examples of what a request is and brings: each asked by a real client."""

import json
import re
import time
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse
from tornado.httputil import parse_cookie
from tornado.web import create_signed_value

from tests.docs.conftest import Browse


def told(response: HTTPResponse) -> Any:
    assert response.code == 200, response.body
    return json.loads(response.body)


@pytest.mark.gen_test
async def test_routes_go_from_names_to_urls_and_back(browse: Browse) -> None:
    client = browse("routes")
    tea, june = re.findall('href="(.*?)"', (await client.get("/")).body.decode())
    assert told(await client.get(tea)) == {"item": "green tea", "price": "3 euro"}
    assert told(await client.get(june)) == {"year": 2026, "month": 6}
    assert (await client.get("/archive/26/6")).code == 404


@pytest.mark.gen_test
async def test_a_host_has_routes_of_its_own(browse: Browse) -> None:
    client = browse("routes")
    page = await client.get("/", headers={"Host": "admin.localhost"})
    assert page.body == b"only on admin.localhost"
    assert b"Tea" in (await client.get("/", headers={"Host": "shop.localhost"})).body


@pytest.mark.gen_test
async def test_tornado_and_the_middleware_are_called_in_this_order(browse: Browse) -> None:
    client = browse("lifecycle")
    assert told(await client.get("/")) == {"the request before": []}
    assert told(await client.get("/"))["the request before"] == [
        "set_default_headers",
        "initialize",
        "process_request of a middleware",
        "prepare",
        "get",
        "process_response: the first byte waits for it",
        "on_finish",
        "process_finish: the reply has left",
    ]


@pytest.mark.gen_test
async def test_arguments_of_the_path_the_query_and_the_headers(browse: Browse) -> None:
    client = browse("arguments")
    response = await client.get(
        "/shops/tea?q=%20green%20&tag=a&tag=b", headers={"Accept-Language": "zh"}
    )
    assert told(response) == {
        "shop": "tea", "q": "green", "page": "1", "tags": ["a", "b"], "language": "zh"
    }  # fmt: skip
    assert (await client.get("/shops/tea")).code == 400


MULTIPART = (
    '--x\r\nContent-Disposition: form-data; name="item"\r\n\r\ntea\r\n'
    '--x\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n'
    "Content-Type: image/png\r\n\r\n12345\r\n--x--\r\n"
)


@pytest.mark.gen_test
async def test_arguments_of_a_form_and_its_files(browse: Browse) -> None:
    client = browse("arguments")
    form = {"item": "tea", "extra": ["milk", "sugar"], "note": " hot "}
    assert told(await client.post("/order?item=gin", form)) == {
        "item": "tea", "extras": ["milk", "sugar"], "note": " hot ", "pictures": []
    }  # fmt: skip
    sent = {"Content-Type": "multipart/form-data; boundary=x"}
    order = told(await client.fetch("/order", method="POST", body=MULTIPART, headers=sent))
    assert order["pictures"] == [["a.png", 5]]


@pytest.mark.gen_test
@pytest.mark.parametrize("body", ["{", "[1]", "{}", '{"items": 1}', "\xff"])
async def test_json_that_is_no_order_is_400(browse: Browse, body: str) -> None:
    client = browse("arguments")
    assert told(await client.post("/json", json={"items": [1, 2]})) == {"items": 2}
    assert (await client.fetch("/json", method="POST", body=body)).code == 400


@pytest.mark.gen_test
async def test_templates_escape_and_bring_the_style_of_modules_once(browse: Browse) -> None:
    page = (await browse("templates").get("/?name=<i>")).body.decode()
    assert "<title>2 items</title>" in page
    assert "<h1>For &lt;i&gt;</h1>" in page
    assert '<li class="item">tea: 3.00 €</li>' in page
    assert "&lt;b&gt;gin&lt;/b&gt;: 19.50 €" in page
    assert page.count(".item { color: green }") == 1


@pytest.mark.gen_test
async def test_static_url_changes_with_the_file_and_is_kept_for_long(browse: Browse) -> None:
    client = browse("static_files")
    (url,) = re.findall('href="(.*?)"', (await client.get("/")).body.decode())
    assert re.fullmatch("/static/style.css[?]v=[0-9a-f]{128}", url)
    style = await client.get(url)
    assert b"darkgreen" in style.body
    assert "max-age=315360000" in style.headers["Cache-Control"]
    assert style.headers["X-Content-Type-Options"] == "nosniff"  # of the middleware
    assert (await client.get("/static/none.css")).code == 404


@pytest.mark.gen_test
async def test_plain_cookies_are_what_the_client_says_and_signed_ones_are_not(
    browse: Browse,
) -> None:
    client = browse("cookies")
    assert told(await client.post("/colour", {"colour": "red"})) == {"user": None, "colour": "red"}
    client.set_cookie("user", "ann")
    assert told(await client.get("/"))["user"] is None
    assert told(await client.post("/login", {"user": "ann"}))["user"] == "ann"
    assert "Set-Cookie" not in (await client.get("/")).headers
    assert told(await client.post("/logout"))["user"] is None


@pytest.mark.gen_test
@pytest.mark.parametrize(("age", "user", "renewed"), [(2, "ann", True), (15, None, False)])
async def test_a_signed_cookie_is_renewed_while_its_user_is_active(
    browse: Browse, age: float, user: str | None, renewed: bool
) -> None:
    client = browse("cookies")
    then = time.time() - age * 86400
    secret = client.app.settings["cookie_secret"]
    old = create_signed_value(secret, "user", "ann", clock=lambda: then).decode()
    client.set_cookie("user", old)
    response = await client.get("/")
    assert told(response)["user"] == user
    new = parse_cookie(response.headers.get("Set-Cookie", "")).get("user")
    assert (new is not None and new != old) is renewed
