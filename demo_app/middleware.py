"""One middleware of the app's own: headers that keep a page to itself."""

from tornado.web import RequestHandler

from tornado_ext.middleware import Middleware

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",  # and WebSockets of this host and port, by CSP level 3
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)


class SecurityHeaders(Middleware):
    """Let a page load from this site alone, and run nothing that a person has typed."""

    def process_response(self, handler: RequestHandler) -> None:
        """Set the headers on pages, errors and static files alike."""
        handler.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        handler.set_header("X-Content-Type-Options", "nosniff")
        handler.set_header("Referrer-Policy", "same-origin")
