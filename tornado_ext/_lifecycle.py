"""Async work before a response's first byte: the one place that knows how Tornado ends a response.

``finish()`` is synchronous, and everything ends there: ``redirect``, ``render``, ``send_error``,
the end of a verb, the WebSocket handshake. So our ``finish()`` and first ``flush()``, when there is
something to await, start a task that awaits it and then calls Tornado's own method; later calls
queue behind it. Tornado composes the reply once, late. ``prepare`` and the verb do not return
before that task is done, and pass its failure on, so that Tornado's own error page answers it.
With nothing to await, Tornado's own path is taken at once.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tornado.concurrent import Future, chain_future
from tornado.iostream import IOStream
from tornado.log import app_log, gen_log
from tornado.web import Application, Finish, RequestHandler
from tornado.websocket import WebSocketHandler

from tornado_ext.errors import ConfigurationError, TornadoExtError

Step = Callable[[], Awaitable[object] | None]
Method = Callable[..., Awaitable[None] | None]
Send = Callable[[], "Future[None]"]

if TYPE_CHECKING:
    _Base = RequestHandler
else:
    _Base = object


class LifecycleMixin(_Base):
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

    def _ext_response_hooks(self) -> Iterator[Step]:
        return iter(())

    def _ext_end_transaction(self) -> Awaitable[None] | None: ...
    def _ext_save_session(self) -> Awaitable[None] | None: ...
    def _ext_finish_hooks(self) -> None: ...

    # The state of one response.

    _ext_begun = False  # prepare was called, or an error came before it
    _ext_prepared = False  # our prepare() was reached
    _ext_verb_begun = False
    _ext_running = False  # prepare or the verb runs, and will pass a failure on
    _ext_finishing = False  # finish() was called, and has not failed
    _ext_stepping = False  # a step runs inside finish() or flush()
    _ext_sending = False  # Tornado's own finish() or flush() runs
    _ext_errors = 0  # send_error() calls on the stack
    _ext_failure: BaseException | None = None  # why the reply can only be an error page now
    _ext_retry_after: int | None = None  # seconds
    _ext_steps: Iterator[Step] | None = None  # what is left before the first byte
    _ext_hooked = False  # every response hook has run for the reply in the making
    _ext_sent = False  # the first byte has left
    _ext_ended = False  # Tornado has finished the response
    _ext_saved_again = False  # the session was stored after the first byte too
    _ext_task: "asyncio.Task[None] | None" = None  # awaits the steps, then sends what is queued
    _ext_queue: "deque[tuple[Send, Future[None]]]"

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
        await _settled(self._ext_load_session())
        for hook in self._ext_request_hooks():
            await _settled(hook())
            if self._ext_finishing:
                raise Finish
        await _settled(super().prepare())

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
        await _settled(verb(*args, **kwargs))
        if not self._ext_finishing:
            self.finish()

    async def _ext_run(self, method: Method) -> None:
        """Run prepare or the verb; return when all that it sent is on its way."""
        self._ext_running = True
        try:
            try:
                await _settled(method())
            except Finish as exc:
                if not self._ext_finishing:
                    self.finish(*exc.args)
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
                    await _settled(hook(exc))
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

    async def _ext_settle(self) -> None:
        while self._ext_task is not None:
            # Cancelling the handler must not cut a save in half: the reply still goes out.
            await asyncio.shield(self._ext_task)
        if self._ext_failure is not None:
            raise self._ext_failure

    # The first byte.

    def _ext_before_first_byte(self) -> Iterator[Step]:
        yield from self._ext_response_hooks()
        self._ext_hooked = True
        yield self._ext_end_transaction
        yield self._ext_save_session

    def _ext_save_again(self) -> Awaitable[None] | None:
        """Store what changed while the body was streamed, before its last byte."""
        if self._ext_saved_again or not (self._ext_sent and self._ext_finishing):
            return None
        self._ext_saved_again = True
        return self._ext_save_session()

    def _ext_discard_reply(self) -> None:
        """Let the hooks run for the error page too, if what they did to a reply is thrown away."""
        if self._ext_hooked and not self._ext_sent:
            self._ext_hooked = False
            self._ext_steps = chain(self._ext_response_hooks(), self._ext_steps or ())

    def _ext_advance(self) -> Awaitable[object] | None:
        """Run the steps that are left, up to the first that has to be awaited."""
        if self._ext_steps is None:
            self._ext_steps = self._ext_before_first_byte()
        self._ext_stepping = True
        try:
            for step in self._ext_steps:
                result = step()
                if result is not None:
                    return result
        finally:
            self._ext_stepping = False
        return None

    def _ext_send(self, send: Send) -> "Future[None]":
        """Call ``send`` once every step is done: at once, or in the task that awaits them."""
        if self._ext_failure is not None:
            raise self._ext_failure
        queued: Future[None] = Future()
        if self._ext_task is not None:
            self._ext_queue.append((send, queued))
            return queued
        try:
            pending = self._ext_advance()
        except Exception as exc:
            self._ext_fail(exc)
            if self._ext_failure is not None:
                raise
            queued.set_result(None)  # the error page has taken its place
            return queued
        if pending is None:
            return self._ext_send_now(send)
        self._ext_queue = deque([(send, queued)])
        self._ext_task = asyncio.ensure_future(self._ext_deliver(pending))
        return queued

    async def _ext_deliver(self, pending: Awaitable[object] | None) -> None:
        """Await the steps, then send what is queued. A failure goes to `_ext_fail`."""
        try:
            while pending is not None:
                await pending
                pending = self._ext_advance()
            while self._ext_queue:
                await _settled(self._ext_save_again())
                send, queued = self._ext_queue[0]
                sent = self._ext_send_now(send)
                self._ext_queue.popleft()
                _retrieved(sent)
                chain_future(sent, queued)
                _retrieved(queued)
            self._ext_task = None
        except (Exception, asyncio.CancelledError) as exc:
            task, self._ext_task = self._ext_task, None
            if isinstance(exc, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # the loop is closing
            abandoned, self._ext_queue = self._ext_queue, deque()
            for _, queued in abandoned:
                queued.set_exception(exc)
                _retrieved(queued)
            self._ext_fail(exc)

    def _ext_send_now(self, send: Send) -> "Future[None]":
        self._ext_sending = True
        try:
            return send()
        except Exception:
            self._ext_finishing = self._ext_ended
            raise
        finally:
            self._ext_sending = False

    def _ext_fail(self, exc: BaseException) -> None:
        """Leave ``exc`` to the running verb or, where none runs, answer it with an error page."""
        self._ext_finishing = self._ext_ended
        if self._ext_running and not self._ext_errors:
            self._ext_failure = exc
            return
        info = (type(exc), exc, exc.__traceback__)
        try:
            self.log_exception(*info)
        except Exception:
            app_log.exception("Error in exception logger")
        self.send_error(500, exc_info=info)

    # Tornado's own methods.

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> "Future[None]":
        """Finish the response, as Tornado does, once all that must come before it is done."""
        if self._ext_finishing:
            if self._ext_errors:  # send_error() finishing what write_error() finished
                return Future()
            raise RuntimeError("finish() called twice")
        self._ext_refuse_hooks()
        if chunk is not None:
            self.write(chunk)
        if self._ext_retry_after is not None:
            self.set_header("Retry-After", str(self._ext_retry_after))
        if self._ext_sent:
            self._ext_steps = iter((self._ext_save_again,))
        if self._ext_failure is None:
            self._ext_finishing = True
        return self._ext_send(self._ext_finish_now)

    def _ext_finish_now(self) -> "Future[None]":
        try:
            sent = super().finish()
            self._ext_ended = True
            return sent
        finally:
            if self._ext_ended:
                self._ext_end()

    def _ext_run_on_finish(self, on_finish: Callable[[], None]) -> None:
        self._ext_ended = True  # even if this raises
        on_finish()

    def _ext_end(self) -> None:
        if self._ext_wrapped:  # only once
            while self._ext_wrapped:
                self.__dict__.pop(self._ext_wrapped.pop(), None)
            self._ext_finish_hooks()

    def flush(self, include_footers: bool = False) -> "Future[None]":
        """Send what was written, as Tornado does, once all that must come before it is done."""
        if not self._ext_sending:
            self._ext_refuse_hooks()
            return self._ext_send(partial(self.flush, include_footers))
        sent = super().flush(include_footers)
        self._ext_sent = True
        return sent

    def _ext_refuse_hooks(self) -> None:
        if self._ext_stepping or self._ext_is_own_task():
            raise RuntimeError("a response hook may write(), but not flush() or finish()")

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        """Write to the response. After ``finish()``, response hooks alone may."""
        if self._ext_finishing and not self._ext_stepping and not self._ext_is_own_task():
            raise RuntimeError("Cannot write() after finish()")
        super().write(chunk)

    def _ext_is_own_task(self) -> bool:
        return self._ext_task is not None and asyncio.current_task() is self._ext_task

    def detach(self) -> IOStream:
        """Take the stream out of HTTP, as Tornado does: nothing is left to finish."""
        self._ext_finishing = True
        return super().detach()

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


def _retrieved(future: "Future[None]") -> None:
    # Nobody has to look at it: say so now, and not at its end, which a stopped loop never reaches.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    if future.done() and not future.cancelled():
        future.exception()


async def _settled(result: Awaitable[object] | None) -> None:
    if result is not None:
        await result
