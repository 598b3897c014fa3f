# Run it: python step2.py   (another port: python step2.py 9000)
"""Step 2: a session, and pages for those who are logged in."""

import sys

from tornado.template import DictLoader
from tornado.web import Application, RequestHandler, authenticated

from tornado_ext.middleware import MiddlewareMixin, SecurityHeaders
from tornado_ext.serving import serve
from tornado_ext.sessions import MemoryStore, SessionMixin

LOGIN = """<!doctype html><html lang="en"><title>Log in</title>
<h1>Log in</h1>
<form method="post">{% module xsrf_form_html() %}
<label>Name <input name="name" required></label> <button>Enter</button>
</form>
"""
CHAT = """<!doctype html><html lang="en"><title>Chat</title>
<h1>Hello, {{ current_user }}</h1>
<form method="post" action="/logout">{% module xsrf_form_html() %}<button>Log out</button></form>
"""


class BaseHandler(SessionMixin, MiddlewareMixin, RequestHandler):
    pass


class Chat(BaseHandler):
    @authenticated
    def get(self):
        self.render("chat.html")


class Login(BaseHandler):
    def get(self):
        self.render("login.html")

    def post(self):
        self.session.login(self.get_argument("name"))
        self.redirect("/")


class Logout(BaseHandler):
    def post(self):
        self.session.logout()
        self.redirect("/login")


def make_app():
    return Application(
        [("/", Chat), ("/login", Login), ("/logout", Logout)],
        middleware=[SecurityHeaders()],
        session_store=MemoryStore(),
        login_url="/login",
        xsrf_cookies=True,
        template_loader=DictLoader({"login.html": LOGIN, "chat.html": CHAT}),
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
