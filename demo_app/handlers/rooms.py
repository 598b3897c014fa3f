"""The list of rooms, and a room."""

from tornado.web import HTTPError, authenticated

from demo_app.forms import RoomForm
from demo_app.handlers.base import BaseHandler


class RoomsHandler(BaseHandler):
    """List the rooms, and open new ones."""

    @authenticated
    async def get(self) -> None:
        """Show the list."""
        await self.show(RoomForm())

    @authenticated
    async def post(self) -> None:
        """Open a room, or enter the one that has this name."""
        form = RoomForm.from_handler(self)
        if not await form.is_valid():
            self.set_status(422)
            await self.show(form)
            return
        room = form.cleaned_data["room"]
        await self.storage.add_room(room)
        self.redirect(self.reverse_url("room", room))

    async def show(self, form: RoomForm) -> None:
        """Render the list with ``form`` below it."""
        rooms = await self.storage.rooms()
        flashes = await self.session.pop_flashes()
        self.render("rooms.html", rooms=rooms, flashes=flashes, form=form)


class RoomHandler(BaseHandler):
    """Show a room with what was said last; `demo_app.handlers.chat` keeps it up to date."""

    @authenticated
    async def get(self, room: str) -> None:
        """Render the newest messages."""
        if not await self.storage.has_room(room):
            raise HTTPError(404)
        rooms = await self.storage.rooms()
        messages = await self.storage.messages(room)
        self.render("room.html", room=room, rooms=rooms, messages=messages)
