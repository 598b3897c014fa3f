"""The WebSocket of a room."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from tornado.escape import json_decode, to_unicode
from tornado.ioloop import IOLoop
from tornado.log import app_log
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from demo_app.forms import ReadForm, SayForm, SyncForm
from demo_app.handlers.base import BaseHandler, Person
from demo_app.storage import Message
from tornado_ext.errors import Unavailable
from tornado_ext.forms import Form
from tornado_ext.rooms import BusUnavailable, RoomMixin
from tornado_ext.sessions import SessionGone

FRAME_LIMIT = 4096  # bytes
LOGGED_OUT = 4401  # close code, after HTTP's 401
TRY_LATER = 1013  # close code, of IANA's registry
NOT_STORED = "A server does not answer. The message is sent again in a moment."


class BadFrame(Exception):
    """A browser sent what can't be. The text tells its user why."""


class ChatSocket(RoomMixin, BaseHandler, WebSocketHandler):
    """Carry what is said in a room, and who is there.

    A browser sends ``{"type": "say", "key": "...", "text": "..."}``, again under the same key until
    it gets the message; ``{"type": "sync", "after": 7}`` for what follows a message, which is
    answered with those and ``{"type": "ready"}``; ``read`` with the ``id`` of a message; and
    ``typing``. It gets, of all the rooms that its user is in, ``{"type": "message", "room": "...",
    "id": 8, "author": 1, "key": "...", "html": "..."}``, whose HTML comes from the template that
    made the page; of its own room ``people`` and ``typing``; and when a frame is no good,
    ``refused`` or, if it may be sent again, ``later``.
    """

    room: str
    person: Person

    async def prepare(self) -> None:
        """Refuse strangers, and rooms that nobody made, before the upgrade."""
        await super().prepare()
        if self.current_user is None:
            raise HTTPError(401)
        if not await self.storage.has_room(self.path_args[0]):
            raise HTTPError(404)

    async def open(self, room: str) -> None:
        """Enter the room, and send what was said since the page was made."""
        self.person = self.current_user
        form = SyncForm.from_handler(self)
        after = form.cleaned_data["after"] if await form.is_valid() else None
        await self.carefully(self.come_in, room, after)

    async def come_in(self, room: str, after: int | None) -> None:
        """Join, in the database and on the bus; then send what is missing, so that none is."""
        try:
            await self.session.reload()  # it may have ended before this socket could be told
            await self.storage.join_room(room, self.person.id)
            for each in await self.storage.rooms(self.person.id):
                if each.joined and each.name != room:
                    await self.join(each.name)
            self.room = room
            await self.join(room, self.person.name)
            await self.sync(after=after)
        except Unavailable:
            self.close(TRY_LATER)
            raise
        await self.tell_people()

    async def on_message(self, frame: str | bytes) -> None:
        """Do what a frame asks for, or tell its sender why not."""
        await self.carefully(self.take, frame)

    async def carefully(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Do ``work``; a session that ended ends the socket, a server that is away does not."""
        try:
            await work(*args)
        except WebSocketClosedError:
            pass  # gone while we waited
        except SessionGone:
            self.close(LOGGED_OUT)
        except Unavailable as exc:
            app_log.warning("%s: %s", self.request.path, exc)

    async def take(self, frame: str | bytes) -> None:
        """Check a frame, and do what it asks for."""
        kinds: dict[str, tuple[type[Form], Callable[..., Awaitable[None]]]] = {
            "say": (SayForm, self.say),
            "sync": (SyncForm, self.sync),
            "read": (ReadForm, self.read),
            "typing": (Form, self.typing),
        }
        key = None
        try:
            data = content(frame)
            key = data.get("key")
            form, action = kinds.get(str(data.get("type")), (None, None))
            if form is None or action is None:
                raise BadFrame("A frame of this type is not known.")
            await action(**await checked(form.from_json(frame, locale=self.locale)))
        except BadFrame as exc:
            await self.reply("refused", key=key, text=self.locale.translate(str(exc)))
        except SessionGone:
            raise
        except Unavailable:
            await self.reply("later", key=key, text=self.locale.translate(NOT_STORED))
            raise

    async def say(self, text: str, key: str) -> None:
        """Store and broadcast what somebody said who is still logged in."""
        await self.session.reload()
        person = self.person
        message = await self.storage.add_message(self.room, person.id, person.name, text, key)
        with suppress(BusUnavailable):  # who did not get it sees the gap before the next one
            await self.broadcast(self.room, self.message_frame(message))

    async def sync(self, after: int | None) -> None:
        """Send what follows the message with the id ``after``; without one, what is newest."""
        batch = await (
            self.storage.messages(self.room)
            if after is None
            else self.storage.messages_after(self.room, after)
        )
        while batch:
            for message in batch:
                await self.write_message(self.message_frame(message))
            batch = await self.storage.messages_after(self.room, batch[-1].id)
        await self.reply("ready")

    async def read(self, id: int) -> None:  # noqa: A002  # the frame's word
        """Count no more what was read."""
        await self.storage.mark_read(self.room, self.person.id, id)

    async def typing(self) -> None:
        """Tell the others."""
        frame = {"type": "typing", "room": self.room, "name": self.person.name}
        with suppress(BusUnavailable):
            await self.broadcast(self.room, frame, except_=self)

    async def reply(self, kind: str, **content: object) -> None:
        """Tell this browser alone."""
        await self.write_message({"type": kind, **content})

    async def show_people(self, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
        """Send the list of who is in the room; what fails is made good with the next pong."""
        with suppress(Unavailable, WebSocketClosedError):
            names = await self.members(self.room)
            await send({"type": "people", "room": self.room, "names": names})

    async def tell_people(self) -> None:
        """Show everybody who is there now."""
        await self.show_people(partial(self.broadcast, self.room))

    async def look_after(self) -> None:
        """See that the session goes on, and that the list is right.

        The bus was perhaps away when the session ended; and a process that was killed could not
        say who left with it.
        """
        await self.session.reload()
        await self.show_people(self.write_message)

    def on_pong(self, _: bytes) -> None:
        """Take the time to look whether all is well."""
        if hasattr(self, "room"):
            IOLoop.current().spawn_callback(self.carefully, self.look_after)

    def on_close(self) -> None:
        """Tell the others; the mixin has left the room."""
        if hasattr(self, "room"):
            IOLoop.current().spawn_callback(self.tell_people)

    def message_frame(self, message: Message) -> dict[str, object]:
        """Return the frame that shows a message."""
        html = to_unicode(self.render_string("message.html", message=message))
        return {
            "type": "message",
            "room": self.room,
            "id": message.id,
            "author": message.author_id,
            "key": message.key,
            "html": html,
        }


def content(frame: str | bytes) -> dict[str, Any]:
    """Return the JSON object that a frame carries. Raise `BadFrame` if it carries none."""
    if isinstance(frame, bytes):
        raise BadFrame("Send text, not bytes.")
    if len(frame.encode(errors="surrogatepass")) > FRAME_LIMIT:
        raise BadFrame("The message is too long.")
    try:
        data = json_decode(frame)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise BadFrame("The request is not a JSON object.")
    return data


async def checked(form: Form) -> Mapping[str, Any]:
    """Return what a frame says. Raise `BadFrame` if it can't be."""
    if not await form.is_valid():
        raise BadFrame(" ".join(chain.from_iterable(form.errors.values())))
    return form.cleaned_data
