"""The session's cookie: its checked settings, and how it is read and sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any

from tornado.web import RequestHandler

from tornado_ext.errors import ConfigurationError

KWARGS = {
    "domain": str,
    "path": str,
    "samesite": str,
    "secure": bool,
    "httponly": bool,
    "partitioned": bool,
}
WHERE = "the setting 'session_cookie_kwargs'"

_VALUE = re.compile(r"[!-:<-~]*")  # an attribute's, RFC 6265 section 4.1.1
_ID = "[A-Za-z0-9_-]{43}"  # what secrets.token_urlsafe makes of 32 bytes


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """A cookie that holds the id of a session."""

    name: str
    kwargs: Mapping[str, Any]
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        """Check it.

        :raises ConfigurationError: naming the setting that can't be right, or contradicts another.
        """
        if not isinstance(self.name, str) or not _is_name(self.name):
            raise ConfigurationError(f"the setting 'session_cookie_name' is no name: {self.name!r}")
        if not isinstance(self.kwargs, Mapping):
            raise ConfigurationError(f"{WHERE} must be a dict, not {self.kwargs!r}")
        for name, value in self.kwargs.items():
            if name not in KWARGS:
                raise ConfigurationError(f"{WHERE} has {name!r}, not one of {', '.join(KWARGS)}")
            right = isinstance(value, KWARGS[name])
            if not right or (isinstance(value, str) and not _VALUE.fullmatch(value)):
                raise ConfigurationError(f"{WHERE}: {name} can't be {value!r}")
        self._check_together()
        pattern = re.compile(rf"(?:^|;)\s*{re.escape(self.name)}=({_ID})(?![^;])")
        object.__setattr__(self, "pattern", pattern)

    def _check_together(self) -> None:
        kwargs, prefix = self.kwargs, self.prefix
        samesite, path = kwargs.get("samesite", "Lax"), kwargs.get("path", "/")
        if samesite not in ("Lax", "Strict", "None"):
            raise ConfigurationError(f"{WHERE}: samesite is Lax, Strict or None, not {samesite!r}")
        if not path.startswith("/"):
            raise ConfigurationError(f"{WHERE}: browsers ignore a path without a slash, {path!r}")
        secure = kwargs.get("secure", bool(prefix))
        for wanting, what in (
            (samesite == "None", "samesite=None"),
            (kwargs.get("partitioned"), "partitioned=True"),
            (prefix, f"a cookie named {self.name}"),
        ):
            if wanting and not secure:
                raise ConfigurationError(f"{WHERE}: browsers refuse {what} without secure=True")
        if prefix == "__host-" and (kwargs.get("domain") or path != "/"):
            raise ConfigurationError(
                f"{WHERE}: browsers refuse a cookie named {self.name} with a domain or a path"
            )

    @property
    def prefix(self) -> str:
        """``__host-`` or ``__secure-``, with which browsers refuse what is not secure; or none."""
        found = re.match("__host-|__secure-", self.name.lower())  # in any case, RFC 6265bis
        return found[0] if found else ""

    def ids(self, cookies: list[str]) -> list[str]:
        """Return the ids in a request's headers, each once: what can't be an id is not there."""
        found: list[str] = self.pattern.findall(";".join(cookies))
        return found if len(found) < 2 else list(dict.fromkeys(found))

    def send(self, handler: RequestHandler, session_id: str | None, max_age: float) -> None:
        """Have the client keep ``session_id`` for ``max_age`` seconds, or forget its cookie."""
        secure = bool(self.prefix) or handler.request.protocol == "https"
        kwargs = {"httponly": True, "samesite": "Lax", "secure": secure, **self.kwargs}
        if kwargs.pop("partitioned", False):
            # Neither Tornado 6.6 nor http.cookies before Python 3.14 can say it.
            cookie = SimpleCookie({self.name: session_id or ""})
            seconds = max(1, round(max_age)) if session_id else 0
            cookie[self.name].update({"path": "/", "max-age": str(seconds), **kwargs})
            handler.add_header("Set-Cookie", f"{cookie[self.name].OutputString()}; Partitioned")
        elif session_id is None:
            handler.clear_cookie(self.name, **kwargs)
        else:
            handler.set_cookie(self.name, session_id, max_age=max(1, round(max_age)), **kwargs)


def _is_name(name: str) -> bool:
    try:
        SimpleCookie()[name] = ""
    except CookieError:
        return False
    return True
