"""A request's id: in the response, in the handler's code, in log records."""

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.web import Application, RequestHandler

from tornado_ext.middleware import MiddlewareMixin, RequestId, RequestIdFilter, request_id

Fetch = Callable[..., Any]


class Handler(MiddlewareMixin, RequestHandler):
    async def get(self) -> None:
        self.write(request_id.get())

    def post(self) -> None:
        raise AssertionError("the XSRF check lets nothing through")


@pytest.fixture
def app() -> Application:
    return Application([("/", Handler)], middleware=[RequestId()], xsrf_cookies=True)


@pytest.fixture
def fetch(http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def fetch(request_id: str | None = None, **kwargs: Any) -> HTTPResponse:
        headers = {} if request_id is None else {"X-Request-ID": request_id}
        return await http_client.fetch(base_url + "/", headers=headers, raise_error=False, **kwargs)

    return fetch


@pytest.mark.gen_test
async def test_each_request_gets_an_id_of_its_own(fetch: Fetch) -> None:
    first, second = await fetch(), await fetch()
    assert re.fullmatch(r"[0-9a-f]{32}", first.headers["X-Request-ID"])
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    assert first.body.decode() == first.headers["X-Request-ID"]


@pytest.mark.gen_test
async def test_given_id_is_accepted(fetch: Fetch) -> None:
    response = await fetch("edge-1.42_a")
    assert (response.headers["X-Request-ID"], response.body) == ("edge-1.42_a", b"edge-1.42_a")


@pytest.mark.gen_test
@pytest.mark.parametrize("given", ["", "a" * 65, "a b", "a\tb", "é", 'a"b', "<script>"])
async def test_id_that_could_forge_a_log_line_is_replaced(fetch: Fetch, given: str) -> None:
    response = await fetch(given)
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])


@pytest.mark.gen_test
async def test_request_refused_before_prepare_has_an_id(fetch: Fetch) -> None:
    response = await fetch(method="POST", body="")
    assert response.code == 403
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])


@pytest.mark.gen_test
async def test_access_log_has_the_id(fetch: Fetch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tornado.access")
    caplog.handler.addFilter(RequestIdFilter())
    await fetch("edge-1")
    assert [record.request_id for record in caplog.records] == ["edge-1"]  # type: ignore[attr-defined]
