"""One line of JSON for each request."""

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tornado.web import RequestHandler

from tornado_ext.middleware.mixin import Middleware

if TYPE_CHECKING:
    from tornado_ext.sessions import Session

LONGEST = 512  # characters of what a client sent

log = logging.getLogger("tornado_ext.access")


class AccessLog(Middleware):
    """Log each request to ``tornado_ext.access``, at level INFO, when its response is on its way.

    Whatever a client sends, a line stays one line, and JSON: all but printable ASCII is escaped.
    """

    def process_finish(self, handler: RequestHandler) -> None:
        """Log the request."""
        if log.isEnabledFor(logging.INFO):
            log.info(json.dumps(self.entry(handler)))

    def entry(self, handler: RequestHandler) -> dict[str, object]:
        """Return what a line says: no query, for it may hold secrets. Override it to add more."""
        request, kind = handler.request, type(handler)
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request_id": getattr(handler, "request_id", None),
            "method": request.method,
            "path": request.path[:LONGEST],
            "status": handler.get_status(),
            "ms": round(request.request_time() * 1000, 2),
            "ip": request.remote_ip,
            "user": _user(handler),
            "handler": f"{kind.__module__}.{kind.__qualname__}",
            "user_agent": request.headers.get("User-Agent", "")[:LONGEST],
        }


def _user(handler: RequestHandler) -> str | None:
    """Return the user's id, if the request used its session: looking must not load one."""
    session: Session | None = getattr(handler, "_ext_session", None)
    touched = getattr(handler, "_ext_session_touched", False)
    return session.user_id if session is not None and touched else None
