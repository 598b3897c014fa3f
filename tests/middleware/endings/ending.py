"""One way in which a response ends, and what is true of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import Any

from tornado.web import RequestHandler

from tests.middleware.endings import handlers
from tests.middleware.endings.chain import names


@dataclass(frozen=True)
class Ending:
    """How to have a response end in one way, and what its hooks and its client see of it.

    Middleware is given by its letters, in the order in which its hooks run.
    """

    name: str  # in Markdown
    handler: type[RequestHandler] = handlers.Returns

    # What is true of it.
    status: int | None = 200  # that the client gets; None: it has left
    body: str = "hello{}"  # {} is where what response hooks write goes; without, it is dropped
    request: str = "ABC"
    exception: str = ""
    response: str = "CBA"
    headers: str | None = None  # whose headers arrive; None: of all that had a response hook
    cookies: str | None = None  # likewise
    finish: str = "CBA"
    finish_status: int | None = None  # None: the status that the client gets
    before_prepare: bool = False  # so that exception hooks are asked only if they are def
    exception_after: int = 0  # how many of the response hooks and the first byte come before it
    did: tuple[str, ...] = ()  # what the handler notes between the request hooks and the others
    logged: str = ""  # in a record of level ERROR; empty: there is none

    # The request, and the application that answers it.
    method: str = "GET"
    path: str = "/"
    sent_headers: Mapping[str, str] = field(default_factory=dict)
    sent_body: str = ""
    leaves_at: str = ""  # what the client waits for before it leaves
    handler_setting: str = ""  # that the handler is given as, not as a route
    settings: Mapping[str, Any] = field(default_factory=dict)
    b_does: Mapping[str, Callable[..., object]] = field(default_factory=dict)  # in which hook

    @property
    def headers_arrived(self) -> str:
        if self.status is None:
            return ""
        return self.response if self.headers is None else self.headers

    @property
    def cookies_arrived(self) -> str:
        if self.status is None:
            return ""
        return self.response if self.cookies is None else self.cookies

    def trace(self, kind: str) -> list[str]:
        """Return what hooks of this ``kind`` note, and when the first byte leaves."""
        asked = "" if self.before_prepare and kind != "def" else self.exception
        reply = [*names(self.response, "response"), *(["first byte"] if self.response else [])]
        return [
            *names(self.request, "request"),
            *self.did,
            *reply[: self.exception_after],
            *names(asked, "exception"),
            *reply[self.exception_after :],
            *names(self.finish, f"finish {self.finish_status or self.status}"),
        ]


def error_page(status: int) -> str:
    title = f"{status}: {responses[status]}"
    return f"<html><title>{title}</title><body>{title}</body></html>{{}}"


def failing(name: str, status: int, handler: Any = handlers.Returns, **kwargs: Any) -> Ending:
    """Return an ending by an error that nobody handles."""
    return Ending(
        name, handler, status, **({"body": error_page(status), "exception": "CBA"} | kwargs)
    )


def refused(name: str, status: int, **kwargs: Any) -> Ending:
    """Return an ending before ``prepare``."""
    return failing(name, status, request="", before_prepare=True, **kwargs)
