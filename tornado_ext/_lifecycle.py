"""What a request goes through, and in which order: the one place that knows it.

``prepare`` and the verb do not return before their reply is on its way (see `_reply.py`), and pass
its failure on, so that Tornado's own error page answers it.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial, wraps
from types import TracebackType
from typing import Any

from tornado.gen import is_coroutine_function
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.log import app_log, gen_log
from tornado.web import Application, Finish, RequestHandler
from tornado.websocket import WebSocketHandler

from tornado_ext._chain import ALL, Chain, Hook, HooksByDepth, name_of, named
from tornado_ext._reply import ReplyMixin, State
from tornado_ext.errors import ConfigurationError, TornadoExtError

Stage = Callable[[], Awaitable[None] | None]


class LifecycleMixin(ReplyMixin):
    """Run what the other mixins add to a request in one order, whatever the order of the bases.

    Before ``prepare``: the session is loaded, then the request hooks run. Before the first byte:
    the response hooks, then the database transaction ends, then the session is saved. A step that
    fails is answered with an error page, before which the steps that are left still run.
    """

    # What a mixin of this package adds. A step returns None, or something to await.

    @classmethod
    def _ext_check(cls, application: Application) -> None:
        """Raise `ConfigurationError` for a setting of ``application`` that can't be right."""

    @classmethod
    def _ext_hooks(cls, application: Application) -> Mapping[str, HooksByDepth]:  # noqa: ARG003
        return {}

    def _ext_load_session(self) -> Awaitable[None] | None: ...
    def _ext_session_headers(self) -> None: ...
    def _ext_end_transaction(self) -> Awaitable[None] | None: ...
    def _ext_end_ours(self) -> None: ...
    def _ext_warn_of_changes(self) -> None: ...

    _ext_streams = False  # Tornado streams the body to it
    _ext_upgrades = False  # to a WebSocket
    _ext_has_prepare_after = False  # of a mixin that comes after this one
    _ext_surrounded_prepare: Callable[..., Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if RequestHandler in cls.__mro__[: cls.__mro__.index(LifecycleMixin)]:
            raise ConfigurationError(
                f"{cls.__name__} has a handler before a mixin among its bases, and it would hide "
                f"the mixin: write the mixins first, class {cls.__name__}(SomeMixin, SomeHandler)"
            )
        cls._ext_surround_overrides()

    @classmethod
    def _ext_surround_overrides(cls) -> None:
        prepare_after = getattr(super(), "prepare", RequestHandler.prepare)
        cls._ext_has_prepare_after = prepare_after is not RequestHandler.prepare
        stock = RequestHandler.data_received
        after_ours = getattr(super(), "data_received", stock)
        cls._ext_streams = (
            cls.data_received is not LifecycleMixin.data_received or after_ours is not stock
        )
        cls._ext_upgrades = issubclass(cls, WebSocketHandler)
        if cls.prepare is not LifecycleMixin.prepare:
            cls._ext_surround("prepare", LifecycleMixin._ext_run_prepare)
        if getattr(cls, "on_finish", None) is not RequestHandler.on_finish:
            cls._ext_surround("on_finish", LifecycleMixin._ext_run_on_finish)
        if cls._ext_streams:
            cls._ext_surround("data_received", LifecycleMixin._ext_run_data_received)
            cls._ext_surround("on_connection_close", LifecycleMixin._ext_run_on_connection_close)
        cls._ext_surrounded_prepare = cls.prepare

    @classmethod
    def _ext_surround(cls, name: str, runner: Callable[..., Any]) -> None:
        """Have ``runner`` call the method ``name``, outside every override of it.

        In the class, because CPython 3.11 slows down a handler that has methods of its own.
        """
        method, own = getattr(cls, name, None), vars(cls).get(name)
        if method is None or getattr(method, "_ext_surrounded", None) is method:
            return

        @wraps(method)
        def surrounded(self: LifecycleMixin, *args: Any) -> Any:
            inner = getattr(super(cls, self), name) if own is None else own.__get__(self)
            return runner(self, inner, *args)

        vars(surrounded)["_ext_surrounded"] = surrounded
        setattr(cls, name, surrounded)

    def __init__(self, application: Application, request: HTTPServerRequest, **kwargs: Any) -> None:
        self._ext = State()
        super().__init__(application, request, **kwargs)
        if getattr(self.prepare, "__func__", None) is not type(self)._ext_surrounded_prepare:
            self._ext_surround_late()

    def _ext_surround_late(self) -> None:
        """Surround a ``prepare`` that was set in the class, or in this handler, later."""
        self._ext_surround_overrides()
        if own := vars(self).get("prepare"):
            setattr(self, "prepare", partial(self._ext_run_prepare, own))  # noqa: B010

    @property
    def _ext_chain(self) -> Chain:
        chain = self._ext.chain
        if chain is None:
            chain = self._ext.chain = self._ext_chain_in(self.application)
        return chain

    @classmethod
    def _ext_chain_in(cls, application: Application) -> Chain:
        # On the application itself: a middleware may know it, and so keep it alive.
        chains: dict[type, Chain] = vars(application).setdefault("_ext_chains", {})
        if cls not in chains:
            steps = {
                cls._ext_end_transaction: LifecycleMixin._ext_end_transaction,
                cls._ext_save_session: ReplyMixin._ext_save_session,
            }
            ours = [step for step, nothing in steps.items() if step is not nothing]
            chains[cls] = Chain(cls._ext_hooks(application), ours)
        return chains[cls]

    # Prepare and the verb.

    def prepare(self) -> Awaitable[None]:
        """Load the session and run the request hooks.

        An override starts with ``await super().prepare()``. Where a hook finishes the response,
        nothing after that line runs.
        """
        return self._ext_prepare() if self._ext.begun else self._ext_run(self._ext_prepare)

    def _ext_run_prepare(self, prepare: Stage) -> Awaitable[None] | None:
        return prepare() if self._ext.begun else self._ext_run(prepare)

    async def _ext_run(self, prepare: Stage | None) -> None:  # noqa: C901  # each part costs all
        """Run ``prepare`` and the verb; return when all that they sent is on its way."""
        state = self._ext
        state.begun = state.running = late = True
        try:
            try:
                if prepare is not None and (pending := prepare()) is not None:
                    await pending
                if not state.prepared:
                    self._ext_prepare_skipped()
                if not state.finishing:
                    if self._ext_streams and prepare is not None:
                        self._ext_surround_verb()
                    else:
                        state.inline = True
                        if (pending := self._ext_verb()) is not None:
                            self._ext_take_turns()
                            await pending
                            state.inline = True
                        if not state.finishing:
                            late = False  # nothing comes after it
                            self.finish()
            except Finish as exc:
                if not state.finishing:
                    self.finish(*exc.args)
            state.inline = False
            if state.task is not None or state.failure is not None:
                await self._ext_settle()
        except Exception as exc:
            state.inline = False
            if state.finishing:  # Tornado only logs it, once the response is on its way
                await self._ext_settle()
                raise
            await self._ext_ask_exception_hooks(exc)
        finally:
            state.running = False
            if late and state.ours and state.ended and not state.upgrading:
                self._ext_warn_of_changes()

    async def _ext_prepare(self) -> None:
        state = self._ext
        if state.prepared:  # by another base's prepare()
            return
        state.prepared = True
        if (loading := self._ext_load_session()) is not None:
            await loading
        for depth, hook in self._ext_chain.request:
            state.reached = depth + 1
            try:
                if (pending := hook(self)) is not None:
                    await pending
            except Exception as exc:
                state.asked = depth
                named(exc, hook)
                raise
            if state.finishing:
                raise Finish
        state.reached = ALL
        if self._ext_has_prepare_after and (following := super().prepare()) is not None:
            await following

    def _ext_verb(self) -> Awaitable[None] | None:
        self._ext.verb_begun = True
        verb = getattr(self, (self.request.method or "").lower())
        if self._ext_upgrades and self.request.headers.get_list("Upgrade"):
            return self._ext_upgrade(verb)
        running: Awaitable[None] | None = verb(*self.path_args, **self.path_kwargs)
        return running

    async def _ext_upgrade(self, verb: Callable[..., Awaitable[None] | None]) -> None:
        # A 101 is never delayed: right after finish(), Tornado takes the stream away.
        self._ext.bodiless = True
        try:
            while (pending := self._ext_advance()) is not None:
                await pending
        except Exception as exc:
            raise self._ext_named(exc) from None
        finally:
            self._ext.bodiless = False
        self._ext.upgrading = True
        if (opening := verb(*self.path_args, **self.path_kwargs)) is not None:
            await opening

    def _ext_surround_verb(self) -> None:
        # Tornado reads the body, then calls the verb.
        name = (self.request.method or "").lower()
        setattr(self, name, partial(self._ext_run_verb, name, vars(self).get(name)))

    def _ext_run_verb(self, name: str, own: object, *_: str, **__: str) -> Awaitable[None]:
        delattr(self, name)
        if own is not None:
            setattr(self, name, own)
        return self._ext_run(None)

    def _ext_prepare_skipped(self) -> None:
        if self._ext_chain.request:
            raise RuntimeError(
                f"{type(self).__name__}.prepare() has not awaited super().prepare(), so that no "
                "middleware has run: let it start with `await super().prepare()`"
            )

    # A streamed body.

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Override to take in a streamed body, as in Tornado."""
        return self._ext_run_data_received(super().data_received, chunk)

    def _ext_run_data_received(
        self, data_received: Callable[[bytes], Awaitable[None] | None], chunk: bytes
    ) -> Awaitable[None] | None:
        # As in stock Tornado, a handler that has answered gets no more of the body.
        return self._ext.task if self._ext.finishing else data_received(chunk)

    def _ext_run_on_connection_close(self, on_connection_close: Callable[[], None]) -> None:
        on_connection_close()
        if not self._ext.verb_begun and not self._ext.finishing:
            # The body will never be whole, and Tornado leaves the request where it is.
            self.set_status(499, "Client Closed Request")
            self._ext_end()

    # Before the first byte, and the end.

    def _ext_steps(self) -> HooksByDepth:
        steps, reached = self._ext_chain.before_first_byte, self._ext.reached
        if reached == ALL:
            return steps
        return [(depth, step) for depth, step in steps if depth < reached or depth == ALL]

    def _ext_run_on_finish(self, on_finish: Callable[[], None]) -> None:
        self._ext.ended = True  # even if this raises
        on_finish()

    def _ext_end(self) -> None:
        state = self._ext
        if state.closed:
            return
        state.closed = True
        if state.ours:
            self._ext_end_ours()
        for hook in (state.chain or self._ext_chain).finish:
            try:
                if (pending := hook(self)) is not None:
                    IOLoop.current().spawn_callback(_logged, hook, pending)
            except Exception:
                app_log.exception("%s failed", name_of(hook))

    # Errors.

    def _ext_exception_hooks(self) -> list[Hook]:
        outside = min(self._ext.asked, self._ext.reached)
        return [hook for depth, hook in self._ext_chain.exception if depth < outside]

    async def _ext_ask_exception_hooks(self, exc: Exception) -> None:
        """Return if a hook finished the response, else raise ``exc`` again."""
        self._ext.failure = None
        self._ext_discard_reply()
        try:
            for hook in self._ext_exception_hooks():
                try:
                    if (pending := hook(self, exc)) is not None:
                        await pending
                except Finish as done:
                    if not self._ext.finishing:
                        self.finish(*done.args)
                except Exception as raised:
                    exc = named(raised, hook)  # for the hooks further out, and last for Tornado
                if self._ext.finishing:
                    return await self._ext_settle()
            raise exc
        finally:
            del exc  # a reference cycle

    def _ext_answered_early(self, exc: object) -> bool:
        """Ask about an error before ``prepare``, where nothing is awaited: ``def`` hooks alone."""
        if self._ext.begun or self._ext.errors or not isinstance(exc, Exception):
            return False
        self._ext.begun = True
        for hook in self._ext_exception_hooks():
            if not (inspect.iscoroutinefunction(hook) or is_coroutine_function(hook)):
                try:
                    hook(self, exc)
                except Finish as done:
                    if not self._ext.finishing:
                        self.finish(*done.args)
                except Exception:
                    app_log.exception("%s failed", name_of(hook))
                if self._ext.finishing:
                    self._ext.answered_early = True
                    return True
        return False

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Send the error page; an uncaught error of this package brings its own status."""
        state = self._ext
        exc = kwargs.get("exc_info", (None, None, None))[1]
        if state.answered_early or self._ext_answered_early(exc):
            return
        if state.finishing:
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # Tornado 6.6 sends a 500 when cancelled
                gen_log.error("Cannot send error response after finish()")
            return
        state.failure = None
        self._ext_discard_reply()
        # As steps, because the page begins by clearing the headers.
        if state.ours:
            self._ext_put_first(type(self)._ext_session_headers)
        if isinstance(exc, TornadoExtError):
            status_code = exc.status_code
            if (seconds := getattr(exc, "retry_after", None)) is not None:
                self._ext_put_first(partial(_set_retry_after, seconds))
        state.errors += 1
        try:
            super().send_error(status_code, **kwargs)
        except Exception:  # a hook, or write_error(), has made a page that Tornado refuses
            if state.sent:
                raise
            app_log.exception("Can't send the error page: an empty one is sent")
            self.clear()
            self.set_status(500)
            self.finish()
        finally:
            state.errors -= 1

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log an uncaught exception: in one line, where it is no fault of the program."""
        if self._ext_answered_early(value):
            return
        if isinstance(value, TornadoExtError) and value.status_code != 500:
            summary = f"{self.request.method} {self.request.uri} ({self.request.remote_ip})"
            gen_log.warning(
                "%d %s: %s: %s", value.status_code, summary, type(value).__name__, value
            )
        else:
            super().log_exception(typ, value, tb)


def _set_retry_after(seconds: int, handler: RequestHandler) -> None:
    handler.set_header("Retry-After", str(seconds))


async def _logged(hook: Hook, pending: Awaitable[object]) -> None:
    try:
        await pending
    except Exception:
        app_log.exception("%s failed", name_of(hook))
