# Run it: python step5.py   (needs tornado-ext[redis] and redis-server)
"""Step 5: a chat with accounts, whose sessions outlive the loss of any of three Redis shards."""

import asyncio
import hashlib
import hmac
import os
import sys

from tornado.template import DictLoader
from tornado.web import Application, HTTPError, RequestHandler, authenticated
from tornado.websocket import WebSocketHandler

from tornado_ext.forms import Form, PasswordField, StringField, ui
from tornado_ext.middleware import MiddlewareMixin, SecurityHeaders, csp_nonce
from tornado_ext.rooms import LocalBus, RoomMixin
from tornado_ext.serving import serve
from tornado_ext.sessions import SessionMixin
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import RedisServer

LOGIN = """<!doctype html><html lang="en"><title>Log in</title>
<h1>Log in</h1>
<form method="post">{% module Form(form) %}<button>Enter</button></form>
"""
CHAT = """<!doctype html><html lang="en"><title>Chat</title>
<h1>Hello, {{ current_user }}</h1>
<form method="post" action="/logout">{% module xsrf_form_html() %}<button>Log out</button></form>
<form id="say"><input autofocus maxlength="500" aria-label="Message"> <button>Say</button></form>
<ul></ul>
<script nonce="{{ csp_nonce() }}">
const socket = new WebSocket(location.href.replace("http", "ws") + "socket");
const form = document.getElementById("say");
form.onsubmit = (event) => { event.preventDefault(); socket.send(form[0].value); form.reset(); };
socket.onmessage = (event) => {
  const line = document.querySelector("ul").appendChild(document.createElement("li"));
  line.textContent = Object.values(JSON.parse(event.data)).join(": ");
};
</script>
"""


class LoginForm(Form):
    name = StringField(min_length=3, max_length=20, pattern="[a-z0-9_]+")
    password = PasswordField(min_length=10, help_text="A new name is yours with the first one.")

    async def clean(self):
        users, name = self.handler.settings["users"], self.cleaned_data["name"]
        salt = users[name][0] if name in users else os.urandom(16)
        password = self.cleaned_data["password"].encode()
        # Slow on purpose, so in a thread.
        digest = await asyncio.to_thread(hashlib.scrypt, password, salt=salt, n=2**14, r=8, p=1)
        if not hmac.compare_digest(users.setdefault(name, (salt, digest))[1], digest):
            self.add_error("password", "This is not the password of that name.", code="wrong")


class BaseHandler(SessionMixin, MiddlewareMixin, RequestHandler):
    pass


class Chat(BaseHandler):
    @authenticated
    def get(self):
        self.render("chat.html")


class Login(BaseHandler):
    def get(self):
        self.render("login.html", form=LoginForm(handler=self))

    async def post(self):
        form = LoginForm.from_handler(self)
        if await form.is_valid():
            self.session.login(form.cleaned_data["name"])
            self.redirect("/")
        else:
            self.set_status(422)
            self.render("login.html", form=form)


class Logout(BaseHandler):
    def post(self):
        self.session.logout()
        self.redirect("/login")


class ChatSocket(RoomMixin, BaseHandler, WebSocketHandler):
    async def prepare(self):
        await super().prepare()
        if self.current_user is None:
            raise HTTPError(403)

    async def open(self):
        await self.join("lobby", self.current_user)

    async def on_message(self, message):
        await self.broadcast("lobby", {"name": self.current_user, "text": message})


def make_app(store):
    return Application(
        [("/", Chat), ("/login", Login), ("/logout", Logout), ("/socket", ChatSocket)],
        middleware=[SecurityHeaders()],
        session_store=store,
        room_bus=LocalBus(),
        users={},
        login_url="/login",
        xsrf_cookies=True,
        template_loader=DictLoader({"login.html": LOGIN, "chat.html": CHAT}),
        ui_modules=ui,
        ui_methods={"csp_nonce": csp_nonce},
        websocket_max_message_size=4096,  # bytes
    )


if __name__ == "__main__":
    with RedisServer() as a, RedisServer() as b, RedisServer() as c:  # yours run elsewhere
        print(f"Log in, then take a shard away: kill -9 {a.pid}, or {b.pid}, or {c.pid}")
        store = ShardedRedisStore({"a": a.url, "b": b.url, "c": c.url})
        serve(lambda: make_app(store), int(sys.argv[1]) if sys.argv[1:] else 8888)
