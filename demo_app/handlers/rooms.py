"""The list of rooms, and a room."""

from tornado.web import HTTPError, authenticated

from demo_app.forms import PageForm, RoomForm
from demo_app.handlers.base import BaseHandler


class RoomsHandler(BaseHandler):
    """List the rooms, and make new ones."""

    @authenticated
    async def get(self) -> None:
        """Show the list."""
        await self.show(RoomForm(handler=self))

    @authenticated
    async def post(self) -> None:
        """Make a room and join it; or join the one that has this name."""
        form = RoomForm.from_handler(self)
        if not await form.is_valid():
            self.set_status(422)
            await self.show(form)
            return
        room = form.cleaned_data["room"]
        await self.storage.add_room(room)
        await self.storage.join_room(room, self.current_user.id)
        self.redirect(self.reverse_url("room", room))

    async def show(self, form: RoomForm) -> None:
        """Render the list with ``form`` below it."""
        rooms = await self.storage.rooms(self.current_user.id)
        flashes = await self.session.pop_flashes()
        self.render("rooms.html", rooms=rooms, flashes=flashes, form=form)


class RoomHandler(BaseHandler):
    """Show a room with what was said last; `demo_app.handlers.chat` keeps it up to date."""

    @authenticated
    async def get(self, room: str) -> None:
        """Render the newest messages, or those before one, which the page scrolls back to."""
        form = PageForm.from_handler(self)
        before = form.cleaned_data["before"] if await form.is_valid() else None
        messages = await self.storage.messages(room, before)
        if messages:
            await self.storage.mark_read(room, self.current_user.id, messages[-1].id)
        elif not await self.storage.has_room(room):
            raise HTTPError(404)
        rooms = await self.storage.rooms(self.current_user.id)
        self.render("room.html", room=room, rooms=rooms, messages=messages, before=before)


class MembershipHandler(BaseHandler):
    """Join a room, or leave it."""

    @authenticated
    async def post(self, room: str, action: str) -> None:
        """Do it, and go on to the room, or back to the list."""
        if not await self.storage.has_room(room):
            raise HTTPError(404)
        if action == "join":
            await self.storage.join_room(room, self.current_user.id)
            self.redirect(self.reverse_url("room", room))
        else:
            await self.storage.leave_room(room, self.current_user.id)
            self.redirect(self.reverse_url("rooms"))
