"""The session of a request: when it is loaded and stored, and what the client is told."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from tornado.iostream import IOStream
from tornado.log import app_log
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_ext._lifecycle import LifecycleMixin
from tornado_ext.sessions.errors import (
    SessionCorrupt,
    SessionError,
    SessionGone,
    SessionNotLoaded,
    SessionValueError,
    StoreUnavailable,
)
from tornado_ext.sessions.policy import Policy
from tornado_ext.sessions.session import Session

MOST_IDS = 4  # that one request may ask the store for
KEEPALIVE_CHECK = 60.0  # seconds


class SessionMixin(LifecycleMixin):
    """Give a handler ``self.session``, loaded before its ``prepare``, stored before its first byte.

    ``self.current_user`` is the user whom the session is tied to, so `tornado.web.authenticated`
    works on it.
    """

    _ext_session: Session | None = None
    _ext_session_ready = False  # loaded, or known to be empty
    _ext_session_touched = False  # the handler has looked at it
    _ext_session_varied = False  # and the response says so
    _ext_session_error: StoreUnavailable | None = None
    _ext_session_cookie: tuple[str | None, float] | None = None  # id and seconds that were sent

    @classmethod
    def _ext_check(cls, application: Application) -> None:
        super()._ext_check(application)
        Policy.of(application)

    @property
    def session(self) -> Session:
        """The session of this request.

        :raises StoreUnavailable: if the store did not answer when it was to be loaded.
        :raises SessionNotLoaded: where ``prepare`` has not loaded it.
        """
        self._ext_session_touched = self._ext.ours = True
        if self._ext_session is None:
            self._ext_require_session()
            self._ext_session = self._ext_empty_session()
        self._ext_session.sealed = self._ext.sent
        return self._ext_session

    def _ext_require_session(self) -> None:
        """Raise why there can't be a session; return if there is none yet."""
        if self._ext_session_ready:
            return
        if self._ext_session_error is not None:
            raise self._ext_session_error
        if self._ext.errors:
            raise SessionNotLoaded("this request was refused before its session was loaded")
        raise SessionNotLoaded(
            f"{type(self).__name__}.prepare() has not awaited super().prepare(), which loads the "
            "session: let it start with `await super().prepare()`"
        )

    def get_current_user(self) -> Any:
        """Return the user's id; None for a visitor, and on an error page without a session."""
        if self._ext.errors and not self._ext_session_ready:
            return None
        return self.session.user_id

    def _ext_empty_session(self) -> Session:
        policy = Policy.of(self.application)
        return Session(policy.store, policy.lifetimes)

    def _ext_load_session(self) -> Awaitable[None] | None:
        if cookies := self.request.headers.get_list("Cookie"):
            ids = Policy.of(self.application).cookie.ids(cookies)
            if ids:
                return self._ext_fill_session(ids[:MOST_IDS])
        self._ext_session_ready = True
        return None

    async def _ext_fill_session(self, ids: list[str]) -> None:
        self._ext.ours = True
        found, live = None, 0
        for session_id in ids:
            session = self._ext_empty_session()
            try:
                await session.load(session_id)
            except StoreUnavailable as exc:
                # Raised where the handler needs it, if it does. Its traceback has this frame.
                self._ext_session_error = exc.with_traceback(None)
                return
            except SessionCorrupt:
                app_log.exception("%s is served without a session", self._ext_summary())
            if found is None or not session.is_new:
                found = session
            live += not session.is_new
        if live > 1:
            app_log.warning(
                "%s brings the ids of %d sessions, and is served without one: a site on a "
                "sub-domain may have planted one. A cookie named __Host-session can't be planted",
                self._ext_summary(),
                live,
            )
            found = self._ext_empty_session()
        self._ext_session = found
        self._ext_session_ready = True

    # Before the first byte.

    def _ext_save_session(self) -> Awaitable[None] | None:
        if self._ext_session_touched and not self._ext_session_varied and not self._ext.sent:
            self._ext_session_varied = True
            self.add_header("Vary", "Cookie")
        session = self._ext_session
        if session is None:
            return None
        session.sealed = self._ext.sent
        self._ext.repeatable = session.keeps_id
        try:
            return self._ext_store_session(session) if session.save_due() else None
        except SessionValueError:
            session.drop_changes()  # what the error page does to it is stored without them
            raise

    async def _ext_store_session(self, session: Session) -> None:
        try:
            await session.save()
        except Exception:
            session.drop_changes()
            raise
        finally:
            # Also when it failed half-way: the client must not be left with an id that has ended.
            told = self._ext_session_cookie
            if session.cookie_due and (told is None or told[0] != session.id):
                self._ext_session_cookie = session.id, session.expires_in()
                self._ext_send_session_cookie()

    def _ext_send_session_cookie(self) -> None:
        if self._ext_session_cookie is not None:
            Policy.of(self.application).cookie.send(self, *self._ext_session_cookie)
            # Beside what the handler has told caches: of directives that conflict they honour the
            # most restrictive (RFC 9111 section 4.2.1).
            self.add_header("Cache-Control", "private")

    def _ext_session_headers(self) -> None:
        """Set again what an error page has cleared."""
        if self._ext_session_varied:
            self.add_header("Vary", "Cookie")
        self._ext_send_session_cookie()

    # An open WebSocket.

    def detach(self) -> IOStream:
        """Take the stream out of HTTP, as Tornado does."""
        stream = super().detach()
        session = self._ext_session
        if session is not None and Policy.of(self.application).keepalive:
            self._ext_keepalive = asyncio.ensure_future(self._ext_keep_alive(session, stream))
        return stream

    async def _ext_keep_alive(self, session: Session, stream: IOStream) -> None:
        interval = Policy.of(self.application).lifetimes.renewal_interval
        while True:
            await asyncio.sleep(min(interval, KEEPALIVE_CHECK))
            if stream.closed():
                return
            try:
                if session.renewal_due:
                    await session.keep_alive()
            except SessionGone:
                return
            except SessionError as exc:
                app_log.warning("%s: its session is not kept alive: %s", self._ext_summary(), exc)

    def on_connection_close(self) -> None:
        """Call ``on_close`` of a WebSocket, as Tornado does."""
        super().on_connection_close()
        if self._ext_session is not None and isinstance(self, WebSocketHandler):
            # A save that on_close() has left to a task begins before this.
            asyncio.get_running_loop().call_soon(self._ext_warn_of_changes)

    def _ext_warn_of_changes(self) -> None:
        session = self._ext_session
        if session is not None and session.modified and not session.saving:
            app_log.warning(
                "%s has ended, and what it changed in its session is lost: "
                "`await self.session.save()` stores it",
                self._ext_summary(),
            )

    def _ext_summary(self) -> str:
        return f"{self.request.method} {self.request.path}"
