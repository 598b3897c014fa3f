"""docs/examples/cors.py: who may read and who may not, asked by a client and by a browser."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.examples import example
from tests.middleware.conftest import Browse

Fetch = Callable[..., Awaitable[HTTPResponse]]

SHOP = "https://shop.example"


@pytest.fixture
def app() -> Application:
    return example("cors").make_app()


@pytest.fixture
def fetch(http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def fetch(path: str = "/prices/tea", **kwargs: Any) -> HTTPResponse:
        return await http_client.fetch(base_url + path, raise_error=False, **kwargs)

    return fetch


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "status"), [("/prices/tea", 200), ("/prices/gin", 500), ("/nowhere", 404)]
)
async def test_origin_that_is_allowed_may_read_responses_and_errors(
    fetch: Fetch, path: str, status: int
) -> None:
    response = await fetch(path, headers={"Origin": SHOP})
    assert response.code == status
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert response.headers["Vary"] == "Origin"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.evil.example",
        "https://evilshop.example",
        "https://SHOP.example",
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_other_origins_may_not(fetch: Fetch, method: str, origin: str | None) -> None:
    headers = {"Access-Control-Request-Method": "POST"} | ({"Origin": origin} if origin else {})
    response = await fetch(method=method, headers=headers)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Vary"] == "Origin"


@pytest.mark.gen_test
async def test_preflight_is_answered_without_the_verb(fetch: Fetch) -> None:
    headers = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    response = await fetch(method="OPTIONS", headers=headers)
    assert (response.code, response.body) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert response.headers["Access-Control-Allow-Methods"] == "GET, POST"


@pytest.mark.gen_test
async def test_options_that_are_no_preflight_reach_the_handler(fetch: Fetch) -> None:
    assert (await fetch(method="OPTIONS", headers={"Origin": SHOP})).code == 405


@pytest.mark.gen_test
@pytest.mark.parametrize(("origin", "status"), [(SHOP, 200), ("https://evil.example", 403)])
async def test_post_is_for_the_origins_that_are_allowed(
    fetch: Fetch, origin: str, status: int
) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    assert (await fetch(method="POST", body="", headers=headers)).code == status


class Page(RequestHandler):
    def get(self) -> None:
        self.write("a page of another origin")


@pytest.fixture
def pages(io_loop: IOLoop) -> Iterator[list[str]]:
    """Two other origins."""
    origins, servers = [], []
    for _ in range(2):
        socket, port = bind_unused_port()
        server = HTTPServer(Application([("/", Page)]))
        server.add_socket(socket)
        servers.append(server)
        origins.append(f"http://127.0.0.1:{port}")
    yield origins
    for server in servers:
        server.stop()


ASK = """
const [url, method, done] = arguments
fetch(url, {method, headers: {"Content-Type": "application/json"}})
  .then(reply => reply.text()).catch(error => error.name).then(done)
"""


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_browser_lets_one_origin_read_and_not_the_other(
    http_server: HTTPServer, base_url: str, pages: list[str], browse: Browse, method: str
) -> None:
    http_server.request_callback = example("cors").make_app(origins=pages[:1])

    def visit(chrome: Chrome) -> list[str]:
        replies = []
        for page in pages:
            chrome.get(page)
            replies.append(chrome.execute_async_script(ASK, f"{base_url}/prices/tea", method))  # type: ignore[no-untyped-call]
        return replies

    shown = '{"price": 3}' if method == "GET" else '{"ordered": "tea"}'
    assert await browse(visit) == [shown, "TypeError"]
