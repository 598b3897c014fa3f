"""The session settings of an application."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tornado.web import Application

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions.cookie import SessionCookie
from tornado_ext.sessions.lifetimes import Lifetimes
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
    "session_websocket_keepalive",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """The session settings of an application, checked."""

    store: SessionStore
    cookie: SessionCookie
    lifetimes: Lifetimes
    keepalive: bool  # an open WebSocket keeps its session from getting idle

    @classmethod
    def of(cls, application: Application) -> "Policy":
        """Return the policy of ``application``, made at the first call.

        :raises ConfigurationError: naming the setting that can't be right.
        """
        kept = vars(application)
        policy: Policy | None = kept.get("_ext_session_policy")
        if policy is None:
            policy = kept["_ext_session_policy"] = cls._from_settings(application.settings)
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
        keepalive = settings.get("session_websocket_keepalive", False)
        if not isinstance(keepalive, bool):
            raise ConfigurationError(
                f"the setting 'session_websocket_keepalive' is True or False, not {keepalive!r}"
            )
        name = settings.get("session_cookie_name", "session")
        cookie = SessionCookie(name, settings.get("session_cookie_kwargs", {}))
        if name == settings.get("xsrf_cookie_name", "_xsrf"):
            raise ConfigurationError("the setting 'session_cookie_name' is the XSRF cookie's name")
        idle = _seconds(settings, "session_idle_timeout", IDLE_TIMEOUT)
        lifetime = _seconds(settings, "session_lifetime", LIFETIME)
        return cls(store, cookie, Lifetimes(idle, lifetime), keepalive)


def _seconds(settings: Mapping[str, Any], name: str, default: float) -> float:
    value = settings.get(name, default)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value <= LONGEST:
        raise ConfigurationError(
            f"the setting {name!r} must be seconds, from above 0 to ten years, not {value!r}"
        )
    return float(value)
