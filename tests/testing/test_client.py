"""The test client: cookies, redirects, XSRF, WebSockets, and logging in without a login page."""

import asyncio
import json
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.httputil import url_concat
from tornado.web import Application, RedirectHandler, RequestHandler
from tornado.websocket import WebSocketHandler

from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.sessions import MemoryStore, SessionMixin
from tornado_ext.testing import Client, TooManyRedirects

gen_test = pytest.mark.gen_test


class Echo(RequestHandler):
    """Answer with what arrived; set the cookies of ``?set=`` as they stand."""

    def prepare(self) -> None:
        for line in self.get_query_arguments("set"):
            self.add_header("Set-Cookie", line)

    def get(self) -> None:
        self.write(
            {
                "method": self.request.method,
                "cookies": {name: self.get_cookie(name) for name in self.request.cookies},
                "type": self.request.headers.get("Content-Type"),
                "body": self.request.body.decode(),
                "fields": {name: self.get_body_arguments(name) for name in self.request.arguments},
            }
        )

    post = put = delete = get


class Redirect(RequestHandler):
    """Redirect to ``?to=`` with ``?status=``, with a cookie on the way."""

    def get(self) -> None:
        self.set_cookie("met", "on-the-way")
        self.redirect(self.get_query_argument("to"), status=int(self.get_query_argument("status")))

    post = get


class Visit(SessionMixin, MiddlewareMixin, RequestHandler):
    def get(self) -> None:
        self.write({"user": self.current_user, "data": dict(self.session)})

    def post(self) -> None:
        self.session.logout()


class Socket(WebSocketHandler):
    def open(self) -> None:
        seen = {"cookie": self.get_cookie("met"), "origin": self.request.headers["Origin"]}
        self.write_message(json.dumps(seen))


class Closed(WebSocketHandler):
    def prepare(self) -> None:
        self.redirect("/login")


@pytest.fixture
def app() -> Application:
    return Application(
        [
            ("/redirect", Redirect),
            ("/visit", Visit),
            ("/socket", Socket),
            ("/closed", Closed),
            ("/circle", RedirectHandler, {"url": "/circle"}),
            ("/.*", Echo),
        ],
        xsrf_cookies=True,
        session_store=MemoryStore(),
    )


@pytest.fixture
def client(app: Application, http_server: HTTPServer, base_url: str) -> Client:
    return Client(app, base_url)


async def give(client: Client, *cookies: str) -> None:
    """Have the app set cookies, each as it stands in ``Set-Cookie``."""
    await client.get(url_concat("/", [("set", cookie) for cookie in cookies]))


async def cookies_at(client: Client, path: str = "/") -> dict[str, str]:
    return json.loads((await client.get(path)).body)["cookies"]


@gen_test
async def test_cookies_come_back(client: Client) -> None:
    await give(client, "a=1", "b=2; HttpOnly; SameSite=Lax")
    assert await cookies_at(client) == {"a": "1", "b": "2"}
    assert client.cookie("a") == "1"


@gen_test
async def test_a_cookie_is_replaced(client: Client) -> None:
    await give(client, "a=1")
    await give(client, "a=2")
    assert await cookies_at(client) == {"a": "2"}


@gen_test
async def test_two_clients_share_no_cookies(client: Client) -> None:
    await give(client, "a=1")
    assert await cookies_at(Client(client.app, client.base_url)) == {}


@pytest.mark.parametrize("end", ["Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
@gen_test
async def test_an_expired_cookie_is_dropped(client: Client, end: str) -> None:
    await give(client, "a=1", "b=2")
    await give(client, f"a=; {end}")
    assert await cookies_at(client) == {"b": "2"}


@gen_test
async def test_a_cookie_expires_by_itself(client: Client) -> None:
    await give(client, "a=1; Max-Age=1")
    while client.cookie("a"):  # ends with the test's timeout
        await asyncio.sleep(0.1)
    assert await cookies_at(client) == {}


@gen_test
async def test_a_cookie_stays_within_its_path(client: Client) -> None:
    await give(client, "a=1; Path=/shop")
    assert await cookies_at(client, "/shop/cart") == {"a": "1"}
    assert await cookies_at(client, "/shopping") == {}


@gen_test
async def test_a_cookie_stays_on_its_host(client: Client) -> None:
    await give(client, "a=1")
    other = client.base_url.replace("localhost", "127.0.0.1")
    assert await cookies_at(client, f"{other}/") == {}


@gen_test
async def test_a_secure_cookie_is_not_sent_over_http(client: Client) -> None:
    await give(client, "a=1; Secure")
    assert await cookies_at(client) == {}


@gen_test
async def test_cookies_set_on_the_way_of_a_redirect_are_kept(client: Client) -> None:
    response = await client.get("/redirect?status=302&to=/there")
    assert response.effective_url == f"{client.base_url}/there"
    assert json.loads(response.body)["cookies"] == {"met": "on-the-way"}


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(302, "GET", ""), (303, "GET", ""), (307, "POST", "a=1"), (308, "POST", "a=1")],
)
@gen_test
async def test_a_redirected_post_is_what_a_browser_makes_of_it(
    client: Client, status: int, method: str, body: str
) -> None:
    response = await client.post(f"/redirect?to=/there&status={status}", {"a": "1"})
    seen = json.loads(response.body)
    assert (seen["method"], seen["body"]) == (method, body)


@gen_test
async def test_a_redirect_is_not_followed_when_told_so(client: Client) -> None:
    response = await client.get("/redirect?status=302&to=/there", follow_redirects=False)
    assert (response.code, response.headers["Location"]) == (302, "/there")


@gen_test
async def test_a_circle_of_redirects_raises(client: Client) -> None:
    with pytest.raises(TooManyRedirects, match="/circle"):
        await client.get("/circle")


@gen_test
async def test_errors_are_responses(client: Client) -> None:
    assert (await client.get("/redirect")).code == 400


@gen_test
async def test_a_form_is_encoded(client: Client) -> None:
    response = await client.post("/", {"name": "Ann & Bö", "tag": ["a", "b"]})
    assert json.loads(response.body)["fields"] == {"name": ["Ann & Bö"], "tag": ["a", "b"]}


@gen_test
async def test_a_json_body_is_encoded(client: Client) -> None:
    seen = json.loads((await client.post("/", json={"n": [1, None]})).body)
    assert (json.loads(seen["body"]), seen["type"]) == ({"n": [1, None]}, "application/json")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@gen_test
async def test_the_xsrf_check_is_passed_without_a_page(client: Client, method: str) -> None:
    assert (await client.fetch("/", method=method)).code == 200


@gen_test
async def test_the_app_s_own_xsrf_cookie_is_used(client: Client) -> None:
    await give(client, "_xsrf=cafe")
    assert (await client.post("/")).code == 200
    assert client.xsrf_token() == "cafe"


@pytest.mark.parametrize("wrong", [{"form": {"_xsrf": "cafe"}}, {"headers": {"X-Xsrftoken": "1"}}])
@gen_test
async def test_a_wrong_xsrf_token_can_be_sent(client: Client, wrong: dict[str, Any]) -> None:
    assert (await client.post("/", **wrong)).code == 403


@gen_test
async def test_an_app_without_xsrf_cookies_gets_no_token(client: Client) -> None:
    del client.app.settings["xsrf_cookies"]
    await client.post("/")
    assert client.cookie("_xsrf") is None


@gen_test
async def test_a_websocket_carries_the_cookies_and_the_origin(client: Client) -> None:
    client.set_cookie("met", "before")
    socket = await client.websocket("/socket")
    message = await socket.read_message()
    assert json.loads(message or "") == {"cookie": "before", "origin": client.base_url}
    socket.close()


@gen_test
async def test_a_websocket_of_another_origin_is_refused(client: Client) -> None:
    with pytest.raises(HTTPClientError, match="403"):
        await client.websocket("/socket", headers={"Origin": "http://evil.example"})


@gen_test
async def test_a_websocket_that_is_redirected_raises(client: Client) -> None:
    with pytest.raises(HTTPClientError, match="302"):
        await client.websocket("/closed")


@gen_test
async def test_login_makes_a_session_of_the_user(client: Client) -> None:
    await client.login(7, cart=[1, 2])
    seen = json.loads((await client.get("/visit")).body)
    assert seen == {"user": "7", "data": {"cart": [1, 2]}}


@gen_test
async def test_a_client_that_logged_in_can_log_out(client: Client) -> None:
    await client.login(7)
    await client.post("/visit")
    assert client.cookie("session") is None
    assert json.loads((await client.get("/visit")).body)["user"] is None


@gen_test
async def test_login_follows_the_app_s_cookie_settings(client: Client) -> None:
    client.app.settings["session_cookie_name"] = "sid"
    client.app.settings["session_cookie_kwargs"] = {"path": "/visit"}
    await client.login("ann")
    assert json.loads((await client.get("/visit")).body)["user"] == "ann"
    await client.post("/visit")
    assert client.cookie("sid") is None


@gen_test
async def test_login_without_a_session_store_says_so(client: Client) -> None:
    with pytest.raises(ConfigurationError, match="session_store"):
        await Client(Application(), client.base_url).login(7)
