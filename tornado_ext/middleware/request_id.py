"""A name for each request: in its response, and in its log records."""

import logging
import re
import secrets
from contextvars import ContextVar

from tornado.httputil import HTTPHeaders
from tornado.web import RequestHandler

from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware.mixin import Middleware

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that the running code serves; ``-`` outside of one."""

_HEADER = re.compile(r"[A-Za-z0-9-]+")
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")

# W3C Trace Context section 3.2.2: version ff is forbidden and so are ids of zeros; versions after
# 00 may add fields at the end.
_TRACEPARENT = re.compile(
    r"(?!ff)(?!00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[^,]*)?"
)


class RequestId(Middleware):
    """Accept the id that a request brings, or make one, and send it back in the response.

    An id is taken from ``header``, then from the trace-id of ``traceparent`` (W3C Trace Context).
    In ``header`` it may have 1 to 64 letters, digits, dots, dashes and underscores, because it goes
    into logs. A handler has it as ``self.request_id``.
    """

    def __init__(self, *, header: str = "X-Request-ID") -> None:
        """Read and send the id in ``header``.

        :raises ConfigurationError: if that can't be the name of a header.
        """
        if not isinstance(header, str) or not _HEADER.fullmatch(header):
            raise ConfigurationError(f"RequestId(header) must be a header's name, not {header!r}")
        self.header = header

    def process_request(self, handler: RequestHandler) -> None:
        """Set `request_id` for all that runs in this request."""
        self._identify(handler)

    def process_exception(self, handler: RequestHandler, exc: Exception) -> None:  # noqa: ARG002
        """Set it for the log of a request that is refused before ``prepare``."""
        self._identify(handler)

    def process_response(self, handler: RequestHandler) -> None:
        """Send the id."""
        handler.set_header(self.header, self._identify(handler))

    def _identify(self, handler: RequestHandler) -> str:
        # Kept on the handler too: hooks may run in tasks that have another context.
        name: str = getattr(handler, "request_id", "") or self._given(handler.request.headers)
        handler.request_id = name  # type: ignore[attr-defined]  # this request's own
        request_id.set(name)
        return name

    def _given(self, headers: HTTPHeaders) -> str:
        given = headers.get(self.header, "")
        if _ACCEPTED.fullmatch(given):
            return given
        trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
        return trace[1] if trace else secrets.token_hex(16)


class RequestIdFilter(logging.Filter):
    """Give each log record of a handler a ``request_id`` for the format: ``%(request_id)s``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attribute; keep every record."""
        record.request_id = request_id.get()
        return True
