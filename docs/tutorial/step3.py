# Run it: python step3.py   (another port: python step3.py 9000)
"""Step 3: a form, which checks what was typed before anybody is logged in."""

import asyncio
import hashlib
import hmac
import os
import sys

from tornado.template import DictLoader
from tornado.web import Application, RequestHandler, authenticated

from tornado_ext.forms import Form, PasswordField, StringField, ui
from tornado_ext.middleware import MiddlewareMixin, SecurityHeaders
from tornado_ext.serving import serve
from tornado_ext.sessions import MemoryStore, SessionMixin

LOGIN = """<!doctype html><html lang="en"><title>Log in</title>
<h1>Log in</h1>
<form method="post">{% module Form(form) %}<button>Enter</button></form>
"""
CHAT = """<!doctype html><html lang="en"><title>Chat</title>
<h1>Hello, {{ current_user }}</h1>
<form method="post" action="/logout">{% module xsrf_form_html() %}<button>Log out</button></form>
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


def make_app():
    return Application(
        [("/", Chat), ("/login", Login), ("/logout", Logout)],
        middleware=[SecurityHeaders()],
        session_store=MemoryStore(),
        users={},
        login_url="/login",
        xsrf_cookies=True,
        template_loader=DictLoader({"login.html": LOGIN, "chat.html": CHAT}),
        ui_modules=ui,
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
