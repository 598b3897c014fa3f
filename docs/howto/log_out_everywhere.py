# Run it: python log_out_everywhere.py   (another port: python log_out_everywhere.py 9000)
"""Where one is logged in; ending one of these sessions, all of them, or all but this one."""

import sys

from tornado.web import Application, HTTPError, RequestHandler, authenticated

from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.serving import serve
from tornado_ext.sessions import MemoryStore, SessionMixin


class BaseHandler(SessionMixin, MiddlewareMixin, RequestHandler):
    @property
    def store(self):
        return self.settings["session_store"]

    def enter(self, user_id):
        browser = self.request.headers.get("User-Agent", "")[:100]
        self.session.login(user_id, note={"browser": browser})
        self.redirect("/sessions")


class Login(BaseHandler):
    def get(self):
        self.write("POST your name here")

    def post(self):
        self.enter(self.get_argument("name"))


class Sessions(BaseHandler):
    @authenticated
    async def get(self):
        found = await self.store.sessions_of(self.current_user)
        self.write(
            {
                info.key: {**info.note, "this one": info.key == self.session.key}
                for info in found  # that which was seen last first
            }
        )


class EndOne(BaseHandler):
    @authenticated
    async def post(self):
        key = self.get_argument("key")
        if key not in [info.key for info in await self.store.sessions_of(self.current_user)]:
            raise HTTPError(404)  # of somebody else, perhaps
        await self.store.delete(key)


class EndAll(BaseHandler):
    @authenticated
    async def post(self):
        await self.store.revoke_user(self.current_user)
        self.redirect("/login")


class ChangePassword(BaseHandler):
    @authenticated
    async def post(self):  # every other session ends, also that of who knew the old password
        user_id = self.current_user
        await self.store.revoke_user(user_id)
        self.session.logout()
        self.enter(user_id)


def make_app(store=None):
    return Application(
        [
            ("/login", Login),
            ("/sessions", Sessions),
            ("/sessions/end", EndOne),
            ("/sessions/end-all", EndAll),
            ("/password", ChangePassword),
        ],
        session_store=store or MemoryStore(),
        login_url="/login",
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
