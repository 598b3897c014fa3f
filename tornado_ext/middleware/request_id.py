"""A name for each request, in its response and in its log records."""

import logging
import re
import uuid
from contextvars import ContextVar

from tornado.web import RequestHandler

from tornado_ext.middleware.mixin import Middleware

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that the running code serves; ``-`` outside of one."""

_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestId(Middleware):
    """Accept the request's ``X-Request-ID``, or make one, and send it back in the response.

    An id from outside is accepted only as 1 to 64 letters, digits, dots, dashes and underscores:
    it goes into logs.
    """

    def __init__(self, header: str = "X-Request-ID") -> None:
        self.header = header

    def process_request(self, handler: RequestHandler) -> None:
        """Set `request_id` for all that runs in this request."""
        given = handler.request.headers.get(self.header, "")
        request_id.set(given if _ACCEPTED.fullmatch(given) else uuid.uuid4().hex)

    def process_response(self, handler: RequestHandler) -> None:
        """Send the id; a request refused before ``prepare`` gets its own here."""
        if request_id.get() == "-":
            self.process_request(handler)
        handler.set_header(self.header, request_id.get())


class RequestIdFilter(logging.Filter):
    """Give each log record of a handler a ``request_id`` for the format: ``%(request_id)s``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attribute; keep every record."""
        record.request_id = request_id.get()
        return True
