"""The session of a request: its cookie, its lifetime, and when it is loaded and stored."""

import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from http.cookies import CookieError, SimpleCookie
from typing import Any

from tornado.log import app_log
from tornado.web import Application

from tornado_ext._lifecycle import LifecycleMixin
from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions.errors import (
    SessionCorrupt,
    SessionNotLoaded,
    StoreUnavailable,
)
from tornado_ext.sessions.lifetimes import Lifetimes
from tornado_ext.sessions.session import Session
from tornado_ext.sessions.store import SessionStore

IDLE_TIMEOUT = 14 * 86400  # seconds
LIFETIME = 90 * 86400  # seconds
LONGEST = 3660 * 86400  # seconds

SETTINGS = (
    "session_store",
    "session_cookie_name",
    "session_idle_timeout",
    "session_lifetime",
    "session_cookie_kwargs",
)
COOKIE_KWARGS = {"domain": str, "path": str, "samesite": str, "secure": bool, "httponly": bool}

_ID = re.compile(r"[A-Za-z0-9_-]{43}")  # what secrets.token_urlsafe makes of 32 bytes
_COOKIE_VALUE = re.compile(r"[!-:<-~]*")  # an attribute's, RFC 6265 section 4.1.1


@dataclass(frozen=True, slots=True)
class Policy:
    """The session settings of an application, checked."""

    store: SessionStore
    cookie_name: str
    lifetimes: Lifetimes
    cookie_kwargs: Mapping[str, Any]

    @classmethod
    def of(cls, application: Application) -> "Policy":
        """Return the policy of ``application``, made at the first call.

        :raises ConfigurationError: naming the setting that can't be right.
        """
        kept = vars(application)
        if "_ext_session_policy" not in kept:
            kept["_ext_session_policy"] = cls._from_settings(application.settings)
        policy: Policy = kept["_ext_session_policy"]
        return policy

    @classmethod
    def _from_settings(cls, settings: Mapping[str, Any]) -> "Policy":
        for name in settings:
            if name.startswith("session_") and name not in SETTINGS:
                (likely,) = get_close_matches(name, SETTINGS, 1, 0)
                raise ConfigurationError(f"there is no setting {name!r}: is it {likely!r}?")
        store = settings.get("session_store")
        if not isinstance(store, SessionStore):
            raise ConfigurationError(f"the setting 'session_store' must be a store, not {store!r}")
        name = settings.get("session_cookie_name", "session")
        if not isinstance(name, str) or not _is_cookie_name(name):
            raise ConfigurationError(f"the setting 'session_cookie_name' is no name: {name!r}")
        if name == settings.get("xsrf_cookie_name", "_xsrf"):
            raise ConfigurationError("the setting 'session_cookie_name' is the XSRF cookie's name")
        idle = _seconds(settings, "session_idle_timeout", IDLE_TIMEOUT)
        lifetime = _seconds(settings, "session_lifetime", LIFETIME)
        return cls(store, name, Lifetimes(idle, lifetime), _cookie_kwargs(settings))


class SessionMixin(LifecycleMixin):
    """Give a handler ``self.session``, loaded before its ``prepare``, stored before its first byte.

    ``self.current_user`` is the user whom the session is tied to, so `tornado.web.authenticated`
    works on it.
    """

    _ext_session: Session | None = None
    _ext_session_ready = False  # loaded, or known to be empty
    _ext_session_error: StoreUnavailable | None = None

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
        if self._ext_session is None:
            self._ext_require_session()
            self._ext_session = self._ext_empty_session()
        self._ext_session.touched = True
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
        if self.request.headers.get_list("Cookie"):
            cookie = self.get_cookie(Policy.of(self.application).cookie_name)
            if cookie is not None and _ID.fullmatch(cookie):
                return self._ext_fill_session(cookie)
        self._ext_session_ready = True
        return None

    async def _ext_fill_session(self, session_id: str) -> None:
        session = self._ext_empty_session()
        try:
            await session.load(session_id)
        except StoreUnavailable as exc:
            self._ext_session_error = exc  # raised where the handler needs the session, if it does
            return
        except SessionCorrupt:
            summary = f"{self.request.method} {self.request.path}"
            app_log.exception("%s is served without a session", summary)
        self._ext_session = session
        self._ext_session_ready = True

    def _ext_save_session(self) -> Awaitable[None] | None:
        session = self._ext_session
        if session is None:
            return None
        if session.touched and not self._ext.sent:
            self.add_header("Vary", "Cookie")
        session.sealed = self._ext.sent
        return self._ext_store_session(session) if session.save_due() else None

    async def _ext_store_session(self, session: Session) -> None:
        try:
            await session.save()
        finally:
            # Also when it failed half-way: the client must not be left with an id that has ended.
            if session.cookie_due and not session.sealed:
                self._ext_set_cookie(session)
            session.cookie_due = False

    def _ext_set_cookie(self, session: Session) -> None:
        policy = Policy.of(self.application)
        secure = self.request.protocol == "https"
        kwargs: dict[str, Any] = {"httponly": True, "samesite": "Lax", "secure": secure}
        kwargs |= policy.cookie_kwargs
        if session.id is None:
            self.clear_cookie(policy.cookie_name, **kwargs)
        else:
            max_age = max(1, round(session.expires_in()))
            self.set_cookie(policy.cookie_name, session.id, max_age=max_age, **kwargs)
        self.add_header("Cache-Control", "private")


def _is_cookie_name(name: str) -> bool:
    try:
        SimpleCookie()[name] = ""
    except CookieError:
        return False
    return True


def _seconds(settings: Mapping[str, Any], name: str, default: float) -> float:
    value = settings.get(name, default)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value <= LONGEST:
        raise ConfigurationError(
            f"the setting {name!r} must be seconds, from above 0 to ten years, not {value!r}"
        )
    return float(value)


def _cookie_kwargs(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    where = "the setting 'session_cookie_kwargs'"
    kwargs = settings.get("session_cookie_kwargs", {})
    if not isinstance(kwargs, Mapping):
        raise ConfigurationError(f"{where} must be a dict, not {kwargs!r}")
    for name, value in kwargs.items():
        if name not in COOKIE_KWARGS:
            raise ConfigurationError(f"{where} has {name!r}, not one of {', '.join(COOKIE_KWARGS)}")
        right = isinstance(value, COOKIE_KWARGS[name])
        if not right or (isinstance(value, str) and not _COOKIE_VALUE.fullmatch(value)):
            raise ConfigurationError(f"{where}: {name} can't be {value!r}")
    samesite = kwargs.get("samesite", "Lax")
    if samesite not in ("Lax", "Strict", "None"):
        raise ConfigurationError(f"{where}: samesite is Lax, Strict or None, not {samesite!r}")
    if samesite == "None" and not kwargs.get("secure"):
        raise ConfigurationError(f"{where}: browsers refuse samesite=None without secure=True")
    return kwargs
