"""The security headers: which are sent when, and what a browser then refuses to do."""

import re
from collections.abc import Awaitable, Callable
from html import escape
from typing import Any
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.template import DictLoader
from tornado.testing import bind_unused_port
from tornado.web import Application, Finish, HTTPError, RequestHandler

from tests.examples import example
from tests.middleware.conftest import Browse
from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware import (
    Middleware,
    MiddlewareMixin,
    NotFoundHandler,
    SecurityHeaders,
    csp_nonce,
)

Fetch = Callable[..., Awaitable[HTTPResponse]]

EXPECTED = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-DNS-Prefetch-Control": "off",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Handler(MiddlewareMixin, RequestHandler):
    def get(self) -> None:
        self.write("hello")

    def post(self) -> None:
        self.write(self.request.headers.get("Origin", "none"))


class Own(Handler):
    def get(self) -> None:
        self.set_header("X-Frame-Options", "SAMEORIGIN")
        self.clear_header("Referrer-Policy")

    def put(self) -> None:
        self.get()
        raise HTTPError(418)


class Redirecting(Handler):
    def get(self) -> None:
        self.redirect("/")


class Ending(Handler):
    async def get(self) -> None:
        raise Finish("over")


class Streaming(Handler):
    async def get(self) -> None:
        self.write("hello")
        await self.flush()


class Early(Handler):
    async def prepare(self) -> None:
        self.finish("answered before any request hook")


class Failing(Middleware):
    async def process_response(self, handler: RequestHandler) -> None:
        if handler.get_status() == 200:
            raise ZeroDivisionError


class FailingLate(Handler):
    middleware = [Failing()]


class Page(Handler):
    def get(self) -> None:
        self.render("page.html")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.render("page.html")


TEMPLATES = {"page.html": '<p nonce="{{ csp_nonce() }}">{% include part.html %}', "part.html": ""}
TEMPLATES["part.html"] = '<b nonce="{{ csp_nonce() }}"></b>'

ROUTES = [
    ("/", Handler),
    ("/own", Own),
    ("/redirecting", Redirecting),
    ("/ending", Ending),
    ("/streaming", Streaming),
    ("/early", Early),
    ("/failing-late", FailingLate),
    ("/page", Page),
]


def make_app(**options: Any) -> Application:
    return Application(
        ROUTES,
        middleware=[SecurityHeaders(**options)],
        xsrf_cookies=True,
        default_handler_class=NotFoundHandler,
        ui_methods={"csp_nonce": csp_nonce},
        template_loader=DictLoader(TEMPLATES),
    )


@pytest.fixture
def app() -> Application:
    return make_app()


@pytest.fixture
def fetch(http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def fetch(path: str = "/", **kwargs: Any) -> HTTPResponse:
        return await http_client.fetch(
            base_url + path, raise_error=False, follow_redirects=False, **kwargs
        )

    return fetch


def policy_of(response: HTTPResponse) -> str:
    policy: str = response.headers["Content-Security-Policy"]
    return policy


def nonce_of(response: HTTPResponse) -> str:
    (nonce,) = set(re.findall(r"'nonce-([^']*)'", policy_of(response)))
    return nonce


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 200),
        ("/", "HEAD", 405),
        ("/", "POST", 403),
        ("/own", "GET", 200),
        ("/own", "PUT", 403),
        ("/redirecting", "GET", 302),
        ("/ending", "GET", 200),
        ("/streaming", "GET", 200),
        ("/early", "GET", 200),
        ("/failing-late", "GET", 500),
        ("/nowhere", "GET", 404),
    ],
)
async def test_every_response_has_them(fetch: Fetch, path: str, method: str, status: int) -> None:
    response = await fetch(path, method=method, body="" if method in ("POST", "PUT") else None)
    assert response.code == status
    own = {"X-Frame-Options", "Referrer-Policy"} if (path, method) == ("/own", "GET") else set()
    sent = {name: response.headers.get_list(name) for name in EXPECTED if name not in own}
    assert sent == {name: [value] for name, value in EXPECTED.items() if name not in own}
    assert "camera=()" in response.headers["Permissions-Policy"]
    assert "frame-ancestors 'none'" in policy_of(response)
    assert "Server" not in response.headers


@pytest.mark.gen_test
async def test_page_not_modified_has_them(fetch: Fetch) -> None:
    etag = (await fetch()).headers["Etag"]
    response = await fetch(headers={"If-None-Match": etag})
    assert response.code == 304
    assert nonce_of(response)


@pytest.mark.gen_test
async def test_handler_keeps_what_it_sets_and_what_it_clears(fetch: Fetch) -> None:
    response = await fetch("/own")
    assert response.headers.get_list("X-Frame-Options") == ["SAMEORIGIN"]
    assert "Referrer-Policy" not in response.headers


@pytest.mark.gen_test
async def test_error_page_has_the_common_ones_again(app: Application, fetch: Fetch) -> None:
    app.settings["xsrf_cookies"] = False
    response = await fetch("/own", method="PUT", body="")
    assert response.code == 418
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.gen_test
async def test_nonce_of_each_response_is_new_and_random(fetch: Fetch) -> None:
    nonces = {nonce_of(await fetch()) for _ in range(20)}
    assert len(nonces) == 20
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", nonce) for nonce in nonces)


@pytest.mark.gen_test
@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 403)])
async def test_nonce_of_a_template_is_that_of_the_policy(
    fetch: Fetch, method: str, status: int
) -> None:
    response = await fetch("/page", method=method, body="" if method == "POST" else None)
    assert response.code == status
    assert re.findall(r'nonce="([^"]*)"', response.body.decode()) == [nonce_of(response)] * 2


@pytest.mark.gen_test
@pytest.mark.parametrize("protocol", ["http", "https"])
async def test_hsts_is_for_https_alone(
    app: Application, http_client: AsyncHTTPClient, protocol: str
) -> None:
    socket, port = bind_unused_port()
    server = HTTPServer(app, xheaders=True)  # behind a proxy that has the certificate
    server.add_sockets([socket])
    response = await http_client.fetch(
        f"http://127.0.0.1:{port}/", headers={"X-Forwarded-Proto": protocol}
    )
    server.stop()
    expected = "max-age=63072000; includeSubDomains" if protocol == "https" else None
    assert response.headers.get("Strict-Transport-Security") == expected


@pytest.mark.gen_test
async def test_header_whose_option_is_none_is_not_sent(
    http_server: HTTPServer, fetch: Fetch
) -> None:
    http_server.request_callback = make_app(
        content_security_policy=None,
        content_security_policy_report_only="script-src {nonce}; report-uri /csp",
        x_frame_options=None,
    )
    headers = (await fetch()).headers
    assert "X-Frame-Options" not in headers
    assert "Content-Security-Policy" not in headers
    assert re.fullmatch(
        r"script-src 'nonce-[A-Za-z0-9_-]{22}'; report-uri /csp",
        headers["Content-Security-Policy-Report-Only"],
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("content_security_policy", ""),
        ("content_security_policy", "default-src 'self'\r\nSet-Cookie: session=forged"),
        ("content_security_policy", "default-src 'self'\n"),
        ("content_security_policy", "script-src {once}"),
        ("content_security_policy", "script-src {}"),
        ("content_security_policy_report_only", "é"),
        ("permissions_policy", "camera=()\0"),
        ("strict_transport_security", "max-age=1y"),
        ("strict_transport_security", 31536000),
        ("referrer_policy", "never"),
        ("x_frame_options", "ALLOW-FROM https://x.example"),
        ("x_frame_options", True),
        ("x_content_type_options", "sniff"),
        ("x_dns_prefetch_control", "of"),
        ("x_permitted_cross_domain_policies", "no"),
        ("cross_origin_embedder_policy", "same-origin"),
        ("cross_origin_opener_policy", "require-corp"),
        ("cross_origin_resource_policy", "none"),
    ],
)
def test_value_that_can_not_be_right_is_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"SecurityHeaders({option}) ")):
        SecurityHeaders(**{option: value})


# In a browser, on the example.


def start(app: Application) -> tuple[HTTPServer, str]:
    """Serve another site, and return its origin."""
    socket, port = bind_unused_port()
    server = HTTPServer(app)
    server.add_sockets([socket])
    return server, f"http://127.0.0.1:{port}"


@pytest.fixture
def site(http_server: HTTPServer, base_url: str) -> str:
    http_server.request_callback = example("security_headers").make_app()
    return base_url


INJECTED = [
    "<script>document.title = 'stolen'</script>",
    "<script nonce=''>document.title = 'stolen'</script>",
    "<img src=x onerror=\"document.title = 'stolen'\">",
    "<iframe srcdoc=\"<script>parent.document.title = 'stolen'</script>\"></iframe>",
    "<script src='data:text/javascript,document.title=%22stolen%22'></script>",
]


@pytest.mark.gen_test(timeout=30)
async def test_own_script_runs_and_injected_ones_do_not(site: str, browse: Browse) -> None:
    def visit(chrome: Chrome) -> None:
        for name in INJECTED:
            chrome.get(f"{site}/?name={quote(name)}")
            assert ":" in chrome.find_element(By.ID, "time").text
            assert chrome.title == "Hello"
            assert "Content Security Policy" in str(chrome.get_log("browser"))  # type: ignore[no-untyped-call]

    await browse(visit)


@pytest.mark.gen_test(timeout=30)
async def test_browser_complains_of_no_header(site: str, browse: Browse) -> None:
    def visit(chrome: Chrome) -> str:
        chrome.get(site)
        logged = chrome.get_log("browser")  # type: ignore[no-untyped-call]
        return str([entry for entry in logged if "favicon" not in entry["message"]])

    assert await browse(visit) == "[]"


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("kept", ["X-Frame-Options", "Content-Security-Policy", "neither"])
async def test_page_is_not_framed_by_another_site(
    http_server: HTTPServer, base_url: str, browse: Browse, kept: str
) -> None:
    """Clickjacking; each of the two headers stops it, and without them the page would show."""
    options = {
        "X-Frame-Options": "x_frame_options",
        "Content-Security-Policy": "content_security_policy",
    }
    off: dict[str, Any] = {name: None for header, name in options.items() if header != kept}
    http_server.request_callback = make_app(**off, cross_origin_resource_policy="cross-origin")

    class Attack(RequestHandler):
        def get(self) -> None:
            self.write(f'<iframe src="{escape(base_url)}/"></iframe>')

    server, attacker = start(Application([("/", Attack)]))

    def visit(chrome: Chrome) -> str:
        chrome.get(attacker)
        chrome.switch_to.frame(0)
        return chrome.find_element(By.TAG_NAME, "body").text

    shown = await browse(visit)
    server.stop()
    assert ("hello" in shown) == (kept == "neither")


@pytest.mark.gen_test(timeout=30)
async def test_uploaded_page_runs_no_script(site: str, browse: Browse) -> None:
    def visit(chrome: Chrome) -> tuple[str, str]:
        chrome.get(f"{site}/upload")
        return chrome.title, chrome.find_element(By.TAG_NAME, "body").text

    assert await browse(visit) == ("", "an upload")


@pytest.mark.gen_test(timeout=30)
async def test_form_is_sent_with_its_origin(
    http_server: HTTPServer, base_url: str, browse: Browse
) -> None:
    """Over http, Tornado's cross-origin protection goes by it."""
    http_server.request_callback = make_app(content_security_policy=None)
    http_server.request_callback.settings["xsrf_cookies"] = False

    def visit(chrome: Chrome) -> str:
        chrome.get(base_url)
        chrome.execute_script(  # type: ignore[no-untyped-call]
            "document.body.innerHTML = '<form method=post action=/></form>';"
            "document.forms[0].submit()"
        )
        return WebDriverWait(chrome, 10).until(
            lambda _: chrome.find_element(By.TAG_NAME, "body").text
        )

    assert await browse(visit) == base_url
