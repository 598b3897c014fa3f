# Run it: python rooms.py   (another port: python rooms.py 9000)
"""A chat room. Two processes, with tornado-ext[redis]: python rooms.py 8889 redis://127.0.0.1"""

import sys
from contextlib import suppress

from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from tornado_ext.rooms import BusUnavailable, LocalBus, RedisBus, RoomMixin
from tornado_ext.serving import serve

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><title>Lobby</title><meta name="viewport" content="width=device-width"></head>
<body>
<form><input autofocus maxlength="500" aria-label="Message"> <button>Say</button></form>
<ul></ul>
<script>
const socket = new WebSocket(location.href.replace("http", "ws") + "socket" + location.search);
socket.onmessage = (event) => {
  const line = document.querySelector("ul").appendChild(document.createElement("li"));
  line.textContent = Object.values(JSON.parse(event.data)).join(": ");
};
document.querySelector("form").onsubmit = (event) => {
  event.preventDefault();
  socket.send(event.target[0].value);
  event.target.reset();
};
</script>
</body>
</html>
"""


class Page(RequestHandler):
    def get(self):
        self.write(PAGE)


class ChatSocket(RoomMixin, WebSocketHandler):
    async def open(self):
        self.name = self.get_argument("name", "somebody")
        await self.join("lobby", self.name)
        with suppress(BusUnavailable):  # then nobody can tell
            await self.write_message({"here": ", ".join(await self.members("lobby"))})

    async def on_message(self, message):
        try:
            await self.broadcast("lobby", {"name": self.name, "text": message})
        except BusUnavailable:
            await self.write_message({"error": "some did not hear that"})


def make_app(bus):
    return Application(
        [("/", Page), ("/socket", ChatSocket)],
        room_bus=bus,
        websocket_max_message_size=4096,  # bytes
    )


def main(port=8888, redis_url=None):
    bus = RedisBus(redis_url) if redis_url else LocalBus()
    serve(lambda: make_app(bus), int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
