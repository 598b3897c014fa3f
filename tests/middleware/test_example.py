"""docs/examples/middleware.py, asked by a real client."""

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application

from tests.examples import DOCS, example, quoted_classes


@pytest.fixture
def app() -> Application:
    return example("middleware").make_app()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/items/tea", 200, b'{"item": "tea"}'),
        ("/items/gin", 404, b'{"error": "there is no gin"}'),
        ("/nowhere", 404, b"404: Not Found"),
    ],
)
async def test_every_reply_has_its_time_and_id(
    http_client: AsyncHTTPClient, base_url: str, path: str, status: int, body: bytes
) -> None:
    response = await http_client.fetch(base_url + path, raise_error=False)
    assert response.code == status
    assert body in response.body
    assert response.headers["Server-Timing"].startswith("app;dur=")
    assert response.headers["X-Request-ID"]


@pytest.mark.gen_test
async def test_what_is_refused_before_the_request_hooks_stays_refused(
    http_client: AsyncHTTPClient, base_url: str
) -> None:
    response = await http_client.fetch(
        base_url + "/items/tea", method="BREW", allow_nonstandard_methods=True, raise_error=False
    )
    assert (response.code, "Server-Timing" in response.headers) == (405, False)


def test_page_quotes_the_example() -> None:
    text = (DOCS / "examples" / "middleware.py").read_text()
    quoted = quoted_classes("middleware.md")
    assert len(quoted) == 2
    assert all(block.strip() in text for block in quoted)
