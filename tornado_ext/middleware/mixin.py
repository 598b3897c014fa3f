"""The middleware chain: hooks around every request of a handler."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import partial

from tornado.ioloop import IOLoop
from tornado.log import app_log
from tornado.web import Application, RequestHandler

from tornado_ext._lifecycle import LifecycleMixin
from tornado_ext._reply import Step
from tornado_ext.errors import ConfigurationError

Hook = Callable[..., Awaitable[object] | None]

HOOKS = ("process_request", "process_response", "process_exception", "process_finish")


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


class Chain:
    """The hooks of one handler class in one application, each with the depth of its middleware."""

    def __init__(self, middleware: Sequence[object]) -> None:
        self.depth = len(middleware)
        hooks = {name: _find(name, middleware) for name in HOOKS}
        self.request = hooks["process_request"]
        self.response = hooks["process_response"][::-1]
        self.exception = hooks["process_exception"][::-1]
        self.finish = [hook for _, hook in hooks["process_finish"][::-1]]


def _find(name: str, middleware: Sequence[object]) -> list[tuple[int, Hook]]:
    """Return the hooks called ``name``, without those that `Middleware` merely documents."""
    return [
        (depth, getattr(item, name))
        for depth, item in enumerate(middleware)
        if getattr(type(item), name, None) is not getattr(Middleware, name) and hasattr(item, name)
    ]


class MiddlewareMixin(LifecycleMixin):
    """Give a handler the chain: the ``middleware`` setting's hooks around those of its class."""

    middleware: Sequence[object] = ()

    _ext_own_chain: Chain | None = None
    _ext_reached: int | None = None  # depth to which response hooks are due; None: all
    _ext_asked: int | None = None  # depth to which exception hooks are asked; None: all

    @classmethod
    def _ext_check(cls, application: Application) -> None:
        super()._ext_check(application)
        cls._ext_chain(application)

    @property
    def _ext_hooks(self) -> Chain:
        if self._ext_own_chain is None:
            self._ext_own_chain = self._ext_chain(self.application)
        return self._ext_own_chain

    @classmethod
    def _ext_chain(cls, application: Application) -> Chain:
        # On the application itself: a middleware may know it, and so keep it alive.
        chains: dict[type, Chain] = vars(application).setdefault("_ext_chains", {})
        chain = chains.get(cls)
        if chain is None:
            outer = _checked("the setting 'middleware'", application.settings.get("middleware", ()))
            inner = _checked(f"{cls.__name__}.middleware", cls.middleware)
            chain = chains[cls] = Chain([*outer, *inner])
        return chain

    def _ext_request_hooks(self) -> Iterator[Step]:
        chain = self._ext_hooks
        for depth, hook in chain.request:
            self._ext_reached, self._ext_asked = depth + 1, depth
            yield partial(hook, self)
        self._ext_reached = self._ext_asked = chain.depth

    def _ext_prepare_skipped(self) -> None:
        super()._ext_prepare_skipped()
        if self._ext_hooks.request:
            raise RuntimeError(
                f"{type(self).__name__}.prepare() has not awaited super().prepare(), so that no "
                "middleware has run: let it start with `await super().prepare()`"
            )

    def _ext_response_hooks(self) -> Iterator[Step]:
        for depth, hook in self._ext_hooks.response:
            if self._ext_reached is None or depth < self._ext_reached:
                self._ext_asked = depth
                yield partial(hook, self)
        self._ext_asked = self._ext_reached

    def _ext_exception_hooks(self) -> Iterator[Hook]:
        for depth, hook in self._ext_hooks.exception:
            if self._ext_asked is None or depth < self._ext_asked:
                yield partial(hook, self)

    def _ext_finish_hooks(self) -> None:
        super()._ext_finish_hooks()
        for hook in self._ext_hooks.finish:
            try:
                result = hook(self)
            except Exception:
                app_log.exception("%s failed", hook)
            else:
                if result is not None:  # nobody waits for it; the loop logs its failure
                    IOLoop.current().spawn_callback(_identity, result)


def _identity(result: Awaitable[object]) -> Awaitable[object]:
    return result


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
