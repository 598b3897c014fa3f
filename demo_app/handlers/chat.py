"""The WebSocket of a room."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import chain

from tornado.escape import to_unicode
from tornado.ioloop import IOLoop
from tornado.log import app_log
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from demo_app.forms import MessageForm, ResumeForm
from demo_app.handlers.base import BaseHandler, Person
from demo_app.storage import Message, PerhapsStored
from tornado_ext.errors import Unavailable
from tornado_ext.rooms import BusUnavailable, RoomMixin
from tornado_ext.sessions import SessionGone

FRAME_LIMIT = 4096  # bytes
LOGGED_OUT = 4401  # close code, after HTTP's 401
NOT_STORED = "A server does not answer, and the message is not stored. Try again in a moment."
PERHAPS_STORED = (
    "A server does not answer. The message may not have been stored: reload the page to see."
)
NOT_CARRIED = "The message is stored, but some will see it only when they load the page again."


class BadFrame(Exception):
    """A browser sent what can't be said. The text tells its user why."""


class ChatSocket(RoomMixin, BaseHandler, WebSocketHandler):
    """Carry what is said in a room, and who is there.

    A browser sends ``{"text": "..."}``. It gets ``{"type": "message", "id": 7, "html": "..."}``,
    ``{"type": "people", "names": [...]}`` and ``{"type": "error", "text": "..."}``. The HTML comes
    from the template that made the page, and everything in it is escaped.
    """

    room: str
    person: Person

    async def prepare(self) -> None:
        """Refuse strangers, and rooms that nobody opened, before the upgrade."""
        await super().prepare()
        if self.current_user is None:
            raise HTTPError(401)
        if not await self.storage.has_room(self.path_args[0]):
            raise HTTPError(404)

    async def open(self, room: str) -> None:
        """Enter the room, and send what was said since the page was made."""
        self.room, self.person = room, self.current_user
        form = ResumeForm.from_handler(self)
        after = form.cleaned_data["after"] if await form.is_valid() else None
        with suppress(WebSocketClosedError):  # gone already
            await self.join(room, self.person.name)
            await self.catch_up(after)
            await self.tell_people()

    async def catch_up(self, last: int | None) -> None:
        """Send what follows the message with the id ``last``; without one, what is newest."""
        if last is None:
            await self.send_messages(await self.storage.messages(self.room))
            return
        batch = await self.storage.messages_after(self.room, last)
        while batch:
            await self.send_messages(batch)
            batch = await self.storage.messages_after(self.room, batch[-1].id)

    async def send_messages(self, messages: Iterable[Message]) -> None:
        """Send some messages to this browser alone."""
        for message in messages:
            await self.write_message(self.message_frame(message))

    async def on_message(self, frame: str | bytes) -> None:
        """Store what was said and show it to the room, or tell the sender why not."""
        with suppress(WebSocketClosedError):  # gone while we waited
            try:
                await self.say(await text_of(frame))
            except BadFrame as exc:
                await self.complain(str(exc))
            except SessionGone:
                self.close(LOGGED_OUT)
            except BusUnavailable as exc:
                app_log.warning("room %s: %s", self.room, exc)
                await self.complain(NOT_CARRIED)
            except PerhapsStored as exc:
                app_log.warning("room %s: %s", self.room, exc)
                await self.complain(PERHAPS_STORED)
            except Unavailable as exc:
                app_log.warning("room %s: %s", self.room, exc)
                await self.complain(NOT_STORED)

    async def say(self, text: str) -> None:
        """Store and broadcast what somebody said who is still logged in."""
        await self.session.reload()
        message = await self.storage.add_message(self.room, self.person.id, self.person.name, text)
        await self.broadcast(self.room, self.message_frame(message))

    async def complain(self, text: str) -> None:
        """Tell this browser alone."""
        await self.write_message({"type": "error", "text": text})

    async def show_people(self, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
        """Send the list of who is in the room; what fails is made good with the next pong."""
        with suppress(Unavailable, WebSocketClosedError):
            await send({"type": "people", "names": await self.members(self.room)})

    async def tell_people(self) -> None:
        """Show everybody who is there now."""
        await self.show_people(partial(self.broadcast, self.room))

    def on_pong(self, _: bytes) -> None:
        """Show this browser the list: a process that was killed could not say who left with it."""
        IOLoop.current().spawn_callback(self.show_people, self.write_message)

    def on_close(self) -> None:
        """Tell the others; the mixin has left the room."""
        if hasattr(self, "room"):
            IOLoop.current().spawn_callback(self.tell_people)

    def message_frame(self, message: Message) -> dict[str, object]:
        """Return the frame that shows a message."""
        html = to_unicode(self.render_string("message.html", message=message))
        return {"type": "message", "id": message.id, "html": html}


async def text_of(frame: str | bytes) -> str:
    """Return the text that a frame carries. Raise `BadFrame` if it carries none."""
    if isinstance(frame, bytes):
        raise BadFrame("Send text, not bytes.")
    body = frame.encode()
    if len(body) > FRAME_LIMIT:
        raise BadFrame(f"The message is longer than {FRAME_LIMIT} bytes.")
    form = MessageForm.from_json(body)
    if not await form.is_valid():
        raise BadFrame(" ".join(chain.from_iterable(form.errors.values())))
    text: str = form.cleaned_data["text"]
    return text
