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
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tornado.concurrent import Future
from tornado.iostream import IOStream
from tornado.log import app_log
from tornado.web import Finish, RequestHandler

from tornado_ext._chain import ALL, Chain, Hook, HooksByDepth, named

Send = Callable[[], "Future[None]"]

MOST_DISCARDED = 2  # then the error page is sent without hooks: one of them may be the reason
BODILESS = (204, 304)  # statuses without a body, RFC 9110 section 6.4.1

if TYPE_CHECKING:
    _Base = RequestHandler
else:
    _Base = object


@dataclass(slots=True, eq=False)
class State:
    """How far a request is.

    Apart from its handler and in slots, because CPython 3.11 is slow on objects of many attributes
    and on what it finds in their class.
    """

    begun: bool = False  # prepare was called, or an error came before it
    answered_early: bool = False  # that error, by an exception hook
    prepared: bool = False  # our prepare() was reached
    verb_begun: bool = False
    running: bool = False  # prepare or the verb runs, and will pass a failure on
    reached: float = ALL  # depth to which response hooks are due
    asked: float = ALL  # depth to which exception hooks are asked

    chain: Chain | None = None  # of `LifecycleMixin._ext_chain`, once it was looked up
    ours: bool = False  # a step of our own may have something to do
    steps: Iterator[tuple[float, Hook]] | None = None  # what is left before the first byte
    step: Hook | None = None  # the last one begun
    stepping: bool = False  # a step runs inside finish() or flush()
    discarded: int = 0  # replies that were thrown away after their hooks had run
    hooked: bool = False  # every response hook has run for the reply in the making
    finishing: bool = False  # finish() was called, and has not failed
    errors: int = 0  # send_error() calls on the stack
    failure: BaseException | None = None  # why the reply can only be an error page now
    task: "asyncio.Task[None] | None" = None  # awaits the steps, then sends what is queued
    sender: "asyncio.Task[Any] | None" = None  # called finish() or flush(), which made that task
    inline: bool = False  # the request goes on to await what it sends, and needs no task for it
    repeatable: bool = False  # if the last step can be done again, should it be cancelled
    delivery: Coroutine[Any, Any, None] | None = None  # what it has to await then
    bodiless: bool = False  # the steps of a WebSocket handshake run
    upgrading: bool = False  # they have run, before the verb
    queue: "deque[tuple[Send, Future[None]]]" = field(init=False)

    sending: bool = False  # Tornado's own finish() or flush() runs
    sent: bool = False  # the first byte has left
    saved_again: bool = False  # the session was stored after the first byte too
    ended: bool = False  # Tornado has finished the response
    closed: bool = False  # and so have we


class ReplyMixin(_Base):
    """Run the steps of a reply before its first byte, and send it when they are done."""

    _ext: State

    # What a subclass adds.

    @abstractmethod
    def _ext_steps(self) -> HooksByDepth:
        """Return what comes before the first byte: response hooks, then our own, at `ALL`."""

    @property
    @abstractmethod
    def _ext_chain(self) -> Chain:
        """The hooks around this request."""

    def _ext_save_session(self) -> Awaitable[None] | None: ...
    def _ext_end(self) -> None: ...

    # The steps.

    def _ext_advance(self) -> Awaitable[object] | None:
        """Run the steps that are left, up to the first that has to be awaited."""
        state = self._ext
        steps = state.steps
        if steps is None:
            steps = state.steps = iter(self._ext_steps())
        state.stepping = True
        try:
            for state.asked, step in steps:
                if (pending := step(self)) is not None:
                    state.step = step
                    return pending
            state.asked = ALL
            return None
        except Exception:
            state.step = step
            raise
        finally:
            state.hooked = state.asked == ALL
            state.stepping = False

    def _ext_discard_reply(self) -> None:
        """Run the hooks for the error page too, if what they did to a reply is thrown away."""
        state = self._ext
        if state.hooked and not state.sent and state.discarded < MOST_DISCARDED:
            state.hooked = False
            state.discarded += 1
            hooks = [(depth, hook) for depth, hook in self._ext_steps() if depth != ALL]
            left = [*(state.steps or ())] or [(ALL, ReplyMixin._ext_save_page)]
            state.steps = iter([*hooks, *left])

    def _ext_put_first(self, step: Hook) -> None:
        left = self._ext_steps() if self._ext.steps is None else self._ext.steps
        self._ext.steps = iter([(ALL, step), *left])

    async def _ext_save_page(self) -> None:
        """Store what the error page has changed, after the session of the reply was stored or not.

        The page is sent whatever becomes of it.
        """
        try:
            if (saving := self._ext_save_session()) is not None:
                await saving
        except Exception as exc:
            app_log.warning("What an error page changed in its session is not stored: %r", exc)

    def _ext_save_again(self) -> Awaitable[None] | None:
        """Store what changed while the body was streamed, before its last byte."""
        state = self._ext
        if state.saved_again or not (state.sent and state.finishing):
            return None
        state.saved_again = True
        return self._ext_save_session()

    # Sending.

    def _ext_send(self, send: Send) -> "Future[None]":
        """Call ``send`` once every step is done: at once, or in the task that awaits them."""
        state = self._ext
        if state.failure is not None:
            raise state.failure
        if state.task is None:
            try:
                pending = self._ext_advance()
            except Exception as exc:
                self._ext_fail(self._ext_named(exc))
                if state.failure is not None:
                    raise state.failure from None
                return _done()  # the error page has taken its place
            if pending is None:
                return send()
            state.queue = deque()
            state.sender = asyncio.current_task()
            delivery = self._ext_deliver(pending)
            if state.inline and state.repeatable:
                state.task, state.delivery = state.sender, delivery
            else:
                state.task = asyncio.ensure_future(delivery)
        if state.finishing and self.request.connection is not None:
            # As Tornado does at once: on_connection_close() may finish, and it is too late for it.
            self.request.connection.set_close_callback(None)  # type: ignore[attr-defined]
        queued: Future[None] = Future()
        state.queue.append((send, queued))
        return queued

    async def _ext_deliver(self, pending: Awaitable[object] | None) -> None:
        """Await the steps, then send what is queued. A failure goes to `_ext_fail`."""
        state = self._ext
        try:
            while pending is not None:
                await pending
                pending = self._ext_advance()
        except (Exception, asyncio.CancelledError) as exc:
            return self._ext_abandon(self._ext_named(exc))
        try:
            while state.queue:
                if (saving := self._ext_save_again()) is not None:
                    await saving
                send, queued = state.queue[0]
                sent = send()
                state.queue.popleft()
                _pass_on(sent, queued)
            state.task = state.delivery = None
        except (Exception, asyncio.CancelledError) as exc:
            self._ext_abandon(exc)

    def _ext_abandon(self, exc: BaseException) -> None:
        state = self._ext
        task, delivery, state.task, state.delivery = state.task, state.delivery, None, None
        if isinstance(exc, asyncio.CancelledError) and task is not None and task.cancelling():
            if delivery is not None:  # else the loop is closing
                state.task = asyncio.ensure_future(self._ext_deliver(self._ext_save_session()))
            raise exc
        abandoned, state.queue = state.queue, deque()
        for _, queued in abandoned:
            _end(queued, exc)
        self._ext_fail(exc)

    def _ext_named(self, exc: BaseException) -> BaseException:
        """Return why a step failed, with a note for the log of which response hook it was."""
        state = self._ext
        if isinstance(exc, Finish):
            exc = RuntimeError("a response hook must not raise Finish: the response is finishing")
        return exc if state.asked == ALL or state.step is None else named(exc, state.step)

    def _ext_fail(self, exc: BaseException) -> None:
        """Leave ``exc`` to the running verb or, where none runs, answer it with an error page."""
        state = self._ext
        state.finishing = state.ended
        if state.running and not state.errors:
            state.failure = exc
            return
        info = (type(exc), exc, exc.__traceback__)
        try:
            self.log_exception(*info)
        except Exception:
            app_log.exception("Error in exception logger")
        self.send_error(500, exc_info=info)

    def _ext_take_turns(self) -> None:
        """Send in a task: the verb goes on, and a ``@gen.coroutine`` may have finished already."""
        state = self._ext
        state.inline = False
        if state.delivery is not None:
            state.task, state.delivery = asyncio.ensure_future(state.delivery), None

    async def _ext_settle(self) -> None:
        """Return when all that was sent is on its way, or raise why it can't be."""
        state = self._ext
        if state.delivery is not None:
            await state.delivery
        while state.task is not None:
            # Cancelling the handler must not cut a save in half: the reply still goes out.
            await asyncio.shield(state.task)
        if state.failure is not None:
            raise state.failure

    # Tornado's own methods.

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> "Future[None]":
        """Finish the response, as Tornado does, once all that must come before it is done."""
        state = self._ext
        if state.finishing:
            if state.errors:  # send_error() finishing what write_error() finished
                return _done()
            raise RuntimeError("finish() called twice")
        if state.stepping or state.task is not None:
            self._ext_refuse_hooks()
        if chunk is not None:
            self.write(chunk)
        if state.sent:
            state.steps = iter([(ALL, ReplyMixin._ext_save_again)])
        elif state.upgrading and self.get_status() != 101:  # the verb has declined
            state.steps = iter([(ALL, type(self)._ext_save_session)])
        if state.failure is None:
            state.finishing = True
            nothing_due = state.steps is None and state.task is None and not state.ours
            if nothing_due and not (state.chain or self._ext_chain).response:
                return self._ext_finish_now()
        return self._ext_send(self._ext_finish_now)

    def _ext_finish_now(self) -> "Future[None]":
        state = self._ext
        state.sending = True
        try:
            sent = super().finish()
            state.ended = True
            return sent
        finally:
            state.sending = False
            state.finishing = state.ended
            if state.ended:
                self._ext_end()

    def flush(self, include_footers: bool = False) -> "Future[None]":
        """Send what was written, as Tornado does, once all that must come before it is done."""
        if self._ext.sending:
            return self._ext_flush_now(include_footers)
        self._ext_refuse_hooks()
        return self._ext_send(partial(self._ext_flush_now, include_footers))

    def _ext_flush_now(self, include_footers: bool) -> "Future[None]":
        sent = super().flush(include_footers)
        self._ext.sent = True
        return sent

    def _ext_refuse_hooks(self) -> None:
        state, current = self._ext, asyncio.current_task()
        in_hook = (state.task is not None and state.delivery is None) and (
            current is state.task or (current is None and state.sender is not None)
        )
        if state.stepping or in_hook:
            raise RuntimeError("a response hook may write(), but not flush() or finish()")

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        """Write to the response, as Tornado does. After ``finish()``, response hooks still may.

        What they write is dropped where the response has no body.
        """
        state = self._ext
        if state.bodiless:
            return
        if state.stepping or state.task is not None:
            current = asyncio.current_task()
            # A @gen.coroutine goes on outside of any task, and may be a hook's.
            if state.stepping or current is None or current is not state.sender:
                if self.get_status() in BODILESS:
                    return
                self.clear_header("Content-Length")  # of the body without it
            elif state.finishing:
                raise RuntimeError("Cannot write() after finish()")
        super().write(chunk)

    def detach(self) -> IOStream:
        """Take the stream out of HTTP, as Tornado does: nothing is left to finish."""
        self._ext.finishing = True
        return super().detach()


def _done() -> "Future[None]":
    done: Future[None] = Future()
    done.set_result(None)
    return done


def _pass_on(sent: "Future[None]", queued: "Future[None]") -> None:
    """Have ``queued`` end as ``sent`` does."""
    if sent.done():
        _end(queued, asyncio.CancelledError() if sent.cancelled() else sent.exception())
    else:
        sent.add_done_callback(lambda done: _pass_on(done, queued))


def _end(queued: "Future[None]", exc: BaseException | None) -> None:
    if queued.done():  # who awaited it may have been cancelled
        return
    if exc is None:
        queued.set_result(None)
    else:
        queued.set_exception(exc)
        queued.exception()  # nobody has to look at it
