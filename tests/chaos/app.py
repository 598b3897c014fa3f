"""The app under load: ``python app.py PORT NAME=URL... [--weight NAME=NUMBER]``."""

import argparse
import asyncio
import logging
from dataclasses import asdict
from typing import Any

from tornado.web import Application, RequestHandler

from tornado_ext.serving import serve
from tornado_ext.sessions import SessionMixin, SessionStore
from tornado_ext.sessions.sharded import ShardedRedisStore

SLOW = 0.03  # seconds that a slow request takes between reading and writing


class Base(SessionMixin, RequestHandler):
    """Answers in JSON; the query's arguments say what to do."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Name the exception."""
        exc_info = kwargs.get("exc_info", (None, None))
        self.finish({"error": type(exc_info[1]).__name__})

    @property
    def asked(self) -> dict[str, str]:
        return {name: self.get_query_argument(name) for name in self.request.query_arguments}


class Read(Base):
    def get(self) -> None:
        self.write({"user": self.session.user_id, "values": dict(self.session)})


class Login(Base):
    def get(self) -> None:
        values = self.asked
        self.session.login(values.pop("user"))
        self.session.update(values)
        self.write({})


class Set(Base):
    async def get(self) -> None:
        assert self.session is not None  # loaded before the pause
        values = self.asked
        if values.pop("slowly", ""):
            await asyncio.sleep(SLOW)
        self.session.update(values)
        self.write({})


class Drop(Base):
    def get(self) -> None:
        self.session.pop(self.asked["name"], None)
        self.write({})


class Count(Base):
    async def get(self) -> None:
        async with self.session.exclusive() as session:
            session["count"] = session.get("count", 0) + 1
            self.write({"count": session["count"]})


class Flash(Base):
    def get(self) -> None:
        self.session.flash(self.asked["message"])
        self.write({})


class Flashes(Base):
    async def get(self) -> None:
        self.write({"messages": await self.session.pop_flashes()})


class Regenerate(Base):
    def get(self) -> None:
        self.session.regenerate()
        self.write({})


class Logout(Base):
    def get(self) -> None:
        self.session.logout()
        self.write({})


class Revoke(Base):
    async def get(self) -> None:
        user_id = self.session.user_id
        ended = await self.settings["session_store"].revoke_user(user_id) if user_id else 0
        self.write({"ended": ended})


class Health(Base):
    async def get(self) -> None:
        states = await self.settings["session_store"].health()
        self.write({name: asdict(state) for name, state in states.items()})


VERBS = (Read, Login, Set, Drop, Count, Flash, Flashes, Regenerate, Logout, Revoke, Health)
HANDLERS = [(f"/{handler.__name__.lower()}", handler) for handler in VERBS]


def make_app(store: SessionStore) -> Application:
    """Return the app on a store, without a line in the log for each request."""
    return Application(HANDLERS, session_store=store, log_function=lambda handler: None)


def _pairs(texts: list[str]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in texts)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("nodes", nargs="+", metavar="NAME=URL")
    parser.add_argument("--weight", action="append", default=[], metavar="NAME=NUMBER")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    weights = {name: int(weight) for name, weight in _pairs(options.weight).items()}
    nodes = _pairs(options.nodes)

    def make() -> Application:
        return make_app(ShardedRedisStore(nodes, weights=weights, replicas=2))

    serve(make, options.port, grace=5)


if __name__ == "__main__":
    main()
