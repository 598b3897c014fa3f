"""A client for tests of an app: it keeps cookies as one browser does."""

import secrets
from collections.abc import Mapping, Sequence
from email.message import Message
from http.client import HTTPResponse as Response
from http.cookiejar import CookieJar
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode, urljoin
from urllib.request import Request

from tornado.escape import json_encode
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.web import Application
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tornado_ext.errors import TornadoExtError
from tornado_ext.sessions.policy import Policy
from tornado_ext.sessions.session import Session

MAX_REDIRECTS = 10
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class TooManyRedirects(TornadoExtError):
    """A page sent the client on more than 10 times."""


class Client:
    """Ask an app for pages as one browser would: with its cookies, following its redirects.

    Two clients are two browsers. A path may be relative to ``base_url``. Responses are returned
    whatever their status; what prevents a response raises as in `tornado.httpclient`.
    """

    def __init__(self, app: Application, base_url: str) -> None:
        self.app = app
        self.base_url = base_url
        self.cookies = CookieJar()

    async def get(
        self, path: str, *, headers: Mapping[str, str] | None = None, follow_redirects: bool = True
    ) -> HTTPResponse:
        """Get a page."""
        return await self.fetch(path, headers=headers, follow_redirects=follow_redirects)

    async def post(
        self,
        path: str,
        form: Mapping[str, str | Sequence[str]] | None = None,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        follow_redirects: bool = True,
    ) -> HTTPResponse:
        """Send a form, or a JSON value; a field's value may be a list of several."""
        if json is None:
            kind, body = "application/x-www-form-urlencoded", urlencode(form or {}, doseq=True)
        else:
            kind, body = "application/json", json_encode(json)
        headers = {"Content-Type": kind, **(headers or {})}
        return await self.fetch(
            path, method="POST", body=body, headers=headers, follow_redirects=follow_redirects
        )

    async def fetch(
        self,
        path: str,
        *,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        follow_redirects: bool = True,
    ) -> HTTPResponse:
        """Send any request; raises `TooManyRedirects` after 10.

        As in a browser, a redirected POST becomes a GET unless the status is 307 or 308.
        """
        url = urljoin(self.base_url, path)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._send(method, url, body, headers)
            target = response.headers.get("Location")
            redirected = response.code in (301, 302, 303, 307, 308) and target is not None
            if not follow_redirects or not redirected:
                return response
            url = urljoin(url, target)
            if response.code < 307 and method not in SAFE_METHODS:
                method, body, headers = "GET", None, None
        raise TooManyRedirects(
            f"{path} redirects more than {MAX_REDIRECTS} times, at last to {url}"
        )

    async def login(self, user_id: str | int, **data: Any) -> None:
        """Log in without the login page: store a session of ``user_id`` that holds ``data``.

        Raises `ConfigurationError` if the app has no ``session_store``, and what its store raises.
        """
        policy = Policy.of(self.app)
        session = Session(policy.store, policy.lifetimes)
        session.update(data)
        session.login(user_id)
        await session.save()
        path = policy.cookie.kwargs.get("path", "/")
        self.set_cookie(policy.cookie.name, cast(str, session.id), path=path)

    async def websocket(
        self, path: str, *, headers: Mapping[str, str] | None = None
    ) -> WebSocketClientConnection:
        """Open a WebSocket with the client's cookies and its own ``Origin``.

        Raises `tornado.httpclient.HTTPClientError` when the app refuses the handshake.
        """
        url = urljoin(self.base_url, path)
        sent = self._headers(url, {"Origin": self.base_url.rstrip("/"), **(headers or {})})
        return await websocket_connect(HTTPRequest("ws" + url.removeprefix("http"), headers=sent))

    def cookie(self, name: str) -> str | None:
        """Return the value of a cookie that the client holds; None if it does not."""
        self.cookies.clear_expired_cookies()
        return next((cookie.value for cookie in self.cookies if cookie.name == name), None)

    def set_cookie(self, name: str, value: str, *, path: str = "/") -> None:
        """Hold a cookie as if a page had set it."""
        self._keep(self.base_url, HTTPHeaders({"Set-Cookie": f"{name}={value}; Path={path}"}))

    def xsrf_token(self) -> str:
        """Return the token that Tornado's XSRF check wants; a cookie goes with it.

        `fetch` and `post` send it by themselves when the app has ``xsrf_cookies``.
        """
        name = self.app.settings.get("xsrf_cookie_name", "_xsrf")
        if not self.cookie(name):
            self.set_cookie(name, secrets.token_hex(16))
        return cast(str, self.cookie(name))

    async def _send(
        self, method: str, url: str, body: str | bytes | None, headers: Mapping[str, str] | None
    ) -> HTTPResponse:
        sent = dict(headers or {})
        if method not in SAFE_METHODS and self.app.settings.get("xsrf_cookies"):
            sent = {"X-Xsrftoken": self.xsrf_token(), **sent}
        request = HTTPRequest(
            url,
            method,
            headers=self._headers(url, sent),
            body=body,
            follow_redirects=False,
            allow_nonstandard_methods=True,  # a POST without a body is one
        )
        response = await AsyncHTTPClient().fetch(request, raise_error=False)
        self._keep(url, response.headers)
        return response

    def _headers(self, url: str, headers: Mapping[str, str]) -> HTTPHeaders:
        request = Request(url)
        self.cookies.add_cookie_header(request)
        return HTTPHeaders({**request.unredirected_hdrs, **headers})

    def _keep(self, url: str, headers: HTTPHeaders) -> None:
        """Take the cookies of a response into the jar, by the rules of `http.cookiejar`."""
        message = Message()
        for value in headers.get_list("Set-Cookie"):
            message.add_header("Set-Cookie", value)
        response = cast(Response, SimpleNamespace(info=lambda: message))
        self.cookies.extract_cookies(response, Request(url))
