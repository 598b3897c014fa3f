"""What every page of the app has in common."""

import re
from dataclasses import dataclass
from http.client import responses
from typing import Any

from tornado import locale
from tornado.log import app_log
from tornado.web import RequestHandler

from demo_app.passwords import Passwords
from demo_app.storage import Storage, User
from tornado_ext.middleware import MiddlewareMixin, NotFoundHandler
from tornado_ext.rooms import BusUnavailable, LocalBus
from tornado_ext.sessions import SessionMixin, SessionStore
from tornado_ext.sessions.sharded import ShardedRedisStore

ADVICE = {
    403: ("This page is out of date", "Go back, load the page again and send the form once more."),
    404: ("There is nothing here", "The address is wrong, or the room was never opened."),
    429: ("Too many attempts", "Wait a minute, then try again."),
    503: ("One moment, please", "A server of ours does not answer. Nothing is lost: try again."),
}
OTHERWISE = ("Something went wrong", "It has been written down. Try again, or start over.")

LANGUAGES = ("en_US", "zh_CN")
BROWSER_LENGTH = 200  # characters of a browser's name that a session keeps

# One slash, then visible ASCII without a backslash: browsers read "//host", "/\host" and
# "/<tab>/host" as addresses of other sites (WHATWG URL, section 4.4).
LOCAL_PATH = re.compile(r"(?!.*//)/[!-\[\]-~]*")


@dataclass(frozen=True, slots=True)
class Person:
    """Who is logged in, as the session knows him."""

    id: int
    name: str


class ErrorPages(RequestHandler):
    """Show errors in the app's own clothes, also where there is no session."""

    def get_user_locale(self) -> locale.Locale | None:
        """Return the language that was chosen on a page; else the browser's is taken."""
        chosen = self.get_cookie("lang", "")
        return locale.get(chosen) if chosen in LANGUAGES else None

    def write_error(self, status_code: int, **_: Any) -> None:
        """Render the page for ``status_code``."""
        title, advice = ADVICE.get(status_code, OTHERWISE)
        reason = responses.get(status_code, "Unknown")
        self.render("error.html", status=status_code, reason=reason, title=title, advice=advice)


class BaseHandler(SessionMixin, MiddlewareMixin, ErrorPages):
    """Base of all handlers: session, middleware, and what the application holds."""

    def initialize(self) -> None:
        """Name what the application holds."""
        self.storage: Storage = self.settings["storage"]
        self.passwords: Passwords = self.settings["passwords"]
        self.session_store: SessionStore = self.settings["session_store"]
        self.bus: LocalBus = self.settings["room_bus"]

    @property
    def sharded(self) -> bool:
        """Whether sessions are on shards, which can be killed."""
        return isinstance(self.session_store, ShardedRedisStore)

    def set_default_headers(self) -> None:
        """Keep what a person sees out of caches, so that "back" shows nothing after a log-out."""
        self.set_header("Cache-Control", "no-store")

    def get_current_user(self) -> Person | None:
        """Return the person whom the session belongs to."""
        user_id = super().get_current_user()
        return None if user_id is None else Person(int(user_id), self.session["name"])

    def begin(self, user: User) -> None:
        """Log ``user`` in."""
        browser = self.request.headers.get("User-Agent", "")[:BROWSER_LENGTH]
        self.session.login(user.id, note={"browser": browser, "address": self.request.remote_ip})
        self.session["name"] = user.name

    async def disconnect(self, user_id: str | int, session: str | None = None) -> None:
        """Close the sockets of who was logged out; those that can't be told find out by pings."""
        try:
            await self.bus.disconnect_user(user_id, session=session)
        except BusUnavailable as exc:
            app_log.warning("sockets of user %s: %s", user_id, exc)

    def next_url(self) -> str:
        """Return the ``next`` argument if it is a path of this site, else the list of rooms."""
        return local_path(self.get_query_argument("next", ""), self.reverse_url("rooms"))


class LanguageHandler(MiddlewareMixin, ErrorPages):
    """Choose a language."""

    def get(self, code: str) -> None:
        """Remember it for a year, and go back to the page."""
        if code in LANGUAGES:
            self.set_cookie("lang", code, expires_days=365, httponly=True, samesite="Lax")
        self.redirect(local_path(self.get_query_argument("next", ""), self.reverse_url("rooms")))


class NotFound(ErrorPages, NotFoundHandler):
    """Answer what no route answers."""


def local_path(target: str, otherwise: str) -> str:
    """Return ``target`` if a browser that follows it stays on this site."""
    return target if LOCAL_PATH.fullmatch(target) else otherwise


def hue(_: RequestHandler, name: str) -> str:
    """Return the CSS class that colours a person's avatar; a method for templates."""
    return f"hue-{sum(name.encode()) % 6}"
