"""What a request goes through, and in which order: the one place that knows it.

``prepare`` and the verb do not return before their reply is on its way (see `_reply.py`), and pass
its failure on, so that Tornado's own error page answers it.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any

from tornado.concurrent import Future
from tornado.log import app_log, gen_log
from tornado.web import Application, Finish, RequestHandler
from tornado.websocket import WebSocketHandler

from tornado_ext._reply import ReplyMixin, Step, settled
from tornado_ext.errors import ConfigurationError, TornadoExtError

Method = Callable[..., Awaitable[None] | None]


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

    def _ext_load_session(self) -> Awaitable[None] | None: ...
    def _ext_request_hooks(self) -> Iterator[Step]:
        return iter(())

    def _ext_prepare_skipped(self) -> None: ...
    def _ext_exception_hooks(self) -> Iterator[Callable[[Exception], Awaitable[object] | None]]:
        return iter(())

    def _ext_end_transaction(self) -> Awaitable[None] | None: ...
    def _ext_finish_hooks(self) -> None: ...

    _ext_begun = False  # prepare was called, or an error came before it
    _ext_prepared = False  # our prepare() was reached
    _ext_verb_begun = False
    _ext_retry_after: int | None = None  # seconds

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if RequestHandler in cls.__mro__[: cls.__mro__.index(LifecycleMixin)]:
            raise ConfigurationError(
                f"{cls.__name__} has a handler before a mixin among its bases, and it would hide "
                f"the mixin: write the mixins first, class {cls.__name__}(SomeMixin, SomeHandler)"
            )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ext_wrapped: list[str] = []  # methods, each a reference cycle until it is dropped
        self._ext_wrap("prepare", self._ext_run_prepare)
        if type(self).data_received is not LifecycleMixin.data_received:
            self._ext_wrap("data_received", self._ext_run_data_received)
            self._ext_wrap("on_connection_close", self._ext_run_on_connection_close)
        if type(self).on_finish is not RequestHandler.on_finish:
            self._ext_wrap("on_finish", self._ext_run_on_finish)

    def _ext_wrap(self, name: str, runner: Callable[..., Awaitable[None] | None]) -> None:
        # On the instance, so that it is outside every override.
        setattr(self, name, partial(runner, getattr(self, name)))
        self._ext_wrapped.append(name)

    # Prepare and the verb.

    async def prepare(self) -> None:
        """Load the session and run the request hooks.

        An override starts with ``await super().prepare()``. Where a hook finishes the response,
        nothing after that line runs.
        """
        self._ext_prepared = True
        if (loading := self._ext_load_session()) is not None:
            await loading
        for hook in self._ext_request_hooks():
            if (result := hook()) is not None:
                await result
            if self._ext_finishing:
                raise Finish
        if (following := super().prepare()) is not None:
            await following

    async def _ext_run_prepare(self, prepare: Method) -> None:
        self._ext_begun = True
        await self._ext_run(prepare)
        if not self._ext_prepared:
            self._ext_prepare_skipped()
        if not self._ext_finishing:
            self._ext_wrap((self.request.method or "").lower(), self._ext_run_verb)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Override to take in a streamed body, as in Tornado."""
        return self._ext_run_data_received(super().data_received, chunk)

    def _ext_run_data_received(self, data_received: Method, chunk: bytes) -> Awaitable[None] | None:
        # As in stock Tornado, a handler that has answered gets no more of the body.
        return self._ext_task if self._ext_finishing else data_received(chunk)

    def _ext_run_on_connection_close(self, on_connection_close: Callable[[], None]) -> None:
        on_connection_close()
        if not self._ext_verb_begun and not self._ext_finishing:
            # The body will never be whole, and Tornado leaves the request where it is.
            self.set_status(499, "Client Closed Request")
            self._ext_end()

    async def _ext_run_verb(self, verb: Method, *args: str, **kwargs: str) -> None:
        await self._ext_run(partial(self._ext_verb, verb, *args, **kwargs))

    async def _ext_verb(self, verb: Method, *args: str, **kwargs: str) -> None:
        self._ext_verb_begun = True
        if isinstance(self, WebSocketHandler):
            # A 101 is never delayed: right after finish(), Tornado takes the stream away.
            while (pending := self._ext_advance()) is not None:
                await pending
        if (result := verb(*args, **kwargs)) is not None:
            await result
        if not self._ext_finishing:
            self.finish()

    async def _ext_run(self, method: Method) -> None:
        """Run prepare or the verb; return when all that it sent is on its way."""
        self._ext_running = True
        try:
            try:
                if (result := method()) is not None:
                    await result
            except Finish as exc:
                if not self._ext_finishing:
                    self.finish(*exc.args)
            if self._ext_task is not None or self._ext_failure is not None:
                await self._ext_settle()
        except Exception as exc:
            if self._ext_finishing:  # Tornado only logs it, once the response is on its way
                await self._ext_settle()
                raise
            await self._ext_ask_exception_hooks(exc)
        finally:
            self._ext_running = False

    async def _ext_ask_exception_hooks(self, exc: Exception) -> None:
        """Return if a hook finished the response, else raise ``exc`` again."""
        self._ext_failure = None
        self._ext_discard_reply()
        try:
            for hook in self._ext_exception_hooks():
                try:
                    await settled(hook(exc))
                except Exception as raised:
                    exc = raised  # for the hooks further out, and last for Tornado
                if self._ext_finishing:
                    return await self._ext_settle()
            raise exc
        finally:
            del exc  # a reference cycle

    def _ext_ask_early(self, exc: Exception) -> bool:
        """Ask about an error before ``prepare``, where nothing is awaited: ``def`` hooks alone."""
        for hook in self._ext_exception_hooks():
            if not inspect.iscoroutinefunction(getattr(hook, "func", hook)):
                try:
                    hook(exc)
                except Exception:
                    app_log.exception("%s failed", hook)
                if self._ext_finishing:
                    return True
        return False

    def _ext_before_first_byte(self) -> Iterator[Step]:
        yield from self._ext_response_hooks()
        self._ext_hooked = True
        yield self._ext_end_transaction
        yield self._ext_save_session

    # The end.

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> "Future[None]":
        """Finish the response, as Tornado does, once all that must come before it is done."""
        if self._ext_retry_after is not None:
            self.set_header("Retry-After", str(self._ext_retry_after))
        return super().finish(chunk)

    def _ext_run_on_finish(self, on_finish: Callable[[], None]) -> None:
        self._ext_ended = True  # even if this raises
        on_finish()

    def _ext_end(self) -> None:
        if self._ext_wrapped:  # only once
            while self._ext_wrapped:
                self.__dict__.pop(self._ext_wrapped.pop(), None)
            self._ext_finish_hooks()

    # Errors.

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Send the error page; an uncaught error of this package brings its own status."""
        if self._ext_finishing:
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # Tornado 6.6 sends a 500 when cancelled
                gen_log.error("Cannot send error response after finish()")
            return
        exc = kwargs.get("exc_info", (None, None, None))[1]
        if not self._ext_begun and not self._ext_errors and isinstance(exc, Exception):
            self._ext_begun = True
            if self._ext_ask_early(exc):
                return
        if isinstance(exc, TornadoExtError):
            status_code = exc.status_code
            self._ext_retry_after = getattr(exc, "retry_after", None)
        self._ext_failure = None
        self._ext_discard_reply()
        self._ext_errors += 1
        try:
            super().send_error(status_code, **kwargs)
        finally:
            self._ext_errors -= 1

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log an uncaught exception: in one line, where it is no fault of the program."""
        if isinstance(value, TornadoExtError) and value.status_code != 500:
            summary = f"{self.request.method} {self.request.uri} ({self.request.remote_ip})"
            gen_log.warning(
                "%d %s: %s: %s", value.status_code, summary, type(value).__name__, value
            )
        else:
            super().log_exception(typ, value, tb)
