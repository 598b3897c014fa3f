"""Tornado's handlers for what no route of the application answers, with the chain."""

from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from tornado_ext.middleware.mixin import MiddlewareMixin


class NotFoundHandler(MiddlewareMixin, RequestHandler):
    """Answer 404: ``Application(..., default_handler_class=NotFoundHandler)``."""

    async def prepare(self) -> None:
        """Run the request hooks, then answer 404 whatever the method."""
        await super().prepare()
        raise HTTPError(404)

    # A POST to an unknown address does nothing: it is a 404, not a 403.

    def check_xsrf_cookie(self) -> None:
        """Accept any token."""

    def check_trusted_origin(self, origin: str) -> bool:  # noqa: ARG002
        """Accept any origin."""
        return True


class StaticHandler(MiddlewareMixin, StaticFileHandler):
    """Serve static files: ``Application(..., static_handler_class=StaticHandler)``."""

    absolute_path: str | None = None

    def compute_etag(self) -> str | None:
        """Return the version of the file; none where a hook answered before it was looked up."""
        return None if self.absolute_path is None else super().compute_etag()
