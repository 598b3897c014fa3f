"""The middleware chain: hooks around every request of a handler."""

from collections.abc import Awaitable, Sequence
from difflib import get_close_matches

from tornado.web import Application, RequestHandler

from tornado_ext._chain import HOOKS, HooksByDepth
from tornado_ext._lifecycle import LifecycleMixin
from tornado_ext.errors import ConfigurationError


class Middleware:
    """Base for middleware. Override the hooks that you need; each may be ``def`` or ``async def``.

    Deriving from it is a convenience: any object with some of these methods will do. One object
    serves every request, so what belongs to a request is kept on ``handler``.
    """

    def process_request(self, handler: RequestHandler) -> Awaitable[object] | None:
        """Override to act before the verb; outermost first.

        Finish the response, or raise `tornado.web.HTTPError` or `tornado.web.Finish`, to answer
        the request here.
        """

    def process_response(self, handler: RequestHandler) -> Awaitable[object] | None:
        """Override to act before the first byte leaves; innermost first, once per response.

        Status, headers and cookies can still be set. ``handler.write()`` appends to the body, if
        nothing of it has been flushed. Where ``prepare`` was never reached (a wrong XSRF token, an
        unknown method), ``process_request`` has not run.
        """

    def process_exception(
        self, handler: RequestHandler, exc: Exception
    ) -> Awaitable[object] | None:
        """Override to answer an error of ``prepare``, the verb or a hook further in.

        The innermost is asked first. Finish the response to have handled it; otherwise the next
        one out is asked, and last Tornado's ``write_error``.
        """

    def process_finish(self, handler: RequestHandler) -> Awaitable[object] | None:
        """Override to act when the response is on its way: its status is final."""


def _find(name: str, middleware: Sequence[object]) -> HooksByDepth:
    """Return the hooks called ``name``, without those that `Middleware` merely documents."""
    return [
        (depth, getattr(item, name))
        for depth, item in enumerate(middleware)
        if getattr(type(item), name, None) is not getattr(Middleware, name) and hasattr(item, name)
    ]


class MiddlewareMixin(LifecycleMixin):
    """Give a handler the chain: the ``middleware`` setting's hooks around those of its class."""

    middleware: Sequence[object] = ()

    @classmethod
    def _ext_check(cls, application: Application) -> None:
        super()._ext_check(application)
        cls._ext_chain_in(application)

    @classmethod
    def _ext_hooks(cls, application: Application) -> dict[str, HooksByDepth]:
        outer = _checked("the setting 'middleware'", application.settings.get("middleware", ()))
        inner = _checked(f"{cls.__name__}.middleware", cls.middleware)
        return {name: _find(name, [*outer, *inner]) for name in HOOKS}


def _checked(where: str, middleware: object) -> Sequence[object]:
    """Return ``middleware``, or raise `ConfigurationError` saying what is wrong ``where``."""
    if not isinstance(middleware, (list, tuple)):
        raise ConfigurationError(f"{where} must be a list of middleware, not {middleware!r}")
    for item in middleware:
        if isinstance(item, type):
            raise ConfigurationError(
                f"{where} has the class {item.__name__}: give an instance, {item.__name__}()"
            )
        for name in dir(item):
            likely = get_close_matches(name, HOOKS, 1, 0.8)
            if likely and name not in HOOKS:
                raise ConfigurationError(f"{where}: {item!r} has {name}: is it {likely[0]}?")
            if name in HOOKS and not callable(getattr(item, name)):
                raise ConfigurationError(f"{where}: {item!r} has {name}, which is no method")
        if not any(hasattr(item, name) for name in HOOKS):
            raise ConfigurationError(f"{where}: {item!r} has none of {', '.join(HOOKS)}")
    return middleware
