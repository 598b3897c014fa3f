"""A reply that waits for what must come before its first byte, on Tornado's public API alone.

``finish()`` is synchronous, and everything ends there: ``redirect``, ``render``, ``send_error``,
the end of a verb, the WebSocket handshake. So our ``finish()`` and first ``flush()``, when there is
something to await, start a task that awaits it and then calls Tornado's own method; later calls
queue behind it. Tornado composes the reply once, late. With nothing to await, Tornado's own path
is taken at once.
"""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from tornado.concurrent import Future, chain_future
from tornado.iostream import IOStream
from tornado.log import app_log
from tornado.web import RequestHandler

Step = Callable[[], Awaitable[object] | None]
Send = Callable[[], "Future[None]"]

if TYPE_CHECKING:
    _Base = RequestHandler
else:
    _Base = object


class ReplyMixin(_Base):
    """Run the steps of a reply before its first byte, and send it when they are done."""

    # What a subclass adds. A step returns None, or something to await.

    @abstractmethod
    def _ext_before_first_byte(self) -> Iterator[Step]:
        """Yield the steps of a reply, and set `_ext_hooked` after the response hooks."""

    def _ext_response_hooks(self) -> Iterator[Step]:
        return iter(())

    def _ext_save_session(self) -> Awaitable[None] | None: ...
    def _ext_end(self) -> None: ...

    # The state of one response.

    _ext_running = False  # prepare or the verb runs, and will pass a failure on
    _ext_finishing = False  # finish() was called, and has not failed
    _ext_stepping = False  # a step runs inside finish() or flush()
    _ext_sending = False  # Tornado's own finish() or flush() runs
    _ext_errors = 0  # send_error() calls on the stack
    _ext_failure: BaseException | None = None  # why the reply can only be an error page now
    _ext_steps: Iterator[Step] | None = None  # what is left before the first byte
    _ext_hooked = False  # every response hook has run for the reply in the making
    _ext_sent = False  # the first byte has left
    _ext_ended = False  # Tornado has finished the response
    _ext_saved_again = False  # the session was stored after the first byte too
    _ext_task: "asyncio.Task[None] | None" = None  # awaits the steps, then sends what is queued
    _ext_queue: "deque[tuple[Send, Future[None]]]"

    # The steps.

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
        if self._ext_task is None:
            try:
                pending = self._ext_advance()
            except Exception as exc:
                self._ext_fail(exc)
                if self._ext_failure is not None:
                    raise
                return _done()  # the error page has taken its place
            if pending is None:
                return self._ext_send_now(send)
            self._ext_queue = deque()
            self._ext_task = asyncio.ensure_future(self._ext_deliver(pending))
        queued: Future[None] = Future()
        self._ext_queue.append((send, queued))
        return queued

    async def _ext_deliver(self, pending: Awaitable[object] | None) -> None:
        """Await the steps, then send what is queued. A failure goes to `_ext_fail`."""
        try:
            while pending is not None:
                await pending
                pending = self._ext_advance()
            while self._ext_queue:
                await settled(self._ext_save_again())
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

    async def _ext_settle(self) -> None:
        while self._ext_task is not None:
            # Cancelling the handler must not cut a save in half: the reply still goes out.
            await asyncio.shield(self._ext_task)
        if self._ext_failure is not None:
            raise self._ext_failure

    # Tornado's own methods.

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> "Future[None]":
        """Finish the response, as Tornado does, once all that must come before it is done."""
        if self._ext_finishing:
            if self._ext_errors:  # send_error() finishing what write_error() finished
                return _done()
            raise RuntimeError("finish() called twice")
        self._ext_refuse_hooks()
        if chunk is not None:
            self.write(chunk)
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


def _done() -> "Future[None]":
    done: Future[None] = Future()
    done.set_result(None)
    return done


def _retrieved(future: "Future[None]") -> None:
    # Nobody has to look at it: say so now, and not at its end, which a stopped loop never reaches.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    if future.done() and not future.cancelled():
        future.exception()


async def settled(result: Awaitable[object] | None) -> None:
    """Await ``result``, if there is one."""
    if result is not None:
        await result
