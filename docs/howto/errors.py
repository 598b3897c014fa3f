# Run it: python errors.py   (another port: python errors.py 9000)
"""Failures in words of one's own: each has a class, and the class says what a client can do."""

import sys

from tornado.web import Application, RequestHandler

from tornado_ext.errors import TornadoExtError, Unavailable
from tornado_ext.middleware import Middleware, MiddlewareMixin, RateLimit, RateLimited
from tornado_ext.serving import PortInUse, serve
from tornado_ext.sessions import MemoryStore, SessionError, SessionGone, SessionMixin

LIMIT = RateLimit(20, 60)  # requests, seconds


class Explain(Middleware):
    """Tell what a person can do, as JSON; what is nobody's business stays a plain 500."""

    def process_exception(self, handler, exc):
        match exc:
            case RateLimited():
                advice = "You ask too often. Wait a moment."
            case SessionGone():
                advice = "You were logged out in the meantime. Log in and try again."
            case Unavailable():  # a store, a database, a bus
                advice = "A server of ours does not answer. Nothing is lost: try again."
            case SessionError():
                advice = "This can't be kept in your session."
            case _:
                return  # Tornado's write_error answers it
        handler.clear()  # what was written for the reply that can't be
        handler.set_status(exc.status_code)
        if retry_after := getattr(exc, "retry_after", None):
            handler.set_header("Retry-After", str(retry_after))
        handler.finish({"error": type(exc).__name__, "advice": advice})


class Notes(SessionMixin, MiddlewareMixin, RequestHandler):
    def get(self):
        self.write({"notes": self.session.get("notes", [])})

    def post(self):
        self.session.setdefault("notes", []).append(self.get_argument("note"))
        self.write({"notes": self.session["notes"]})


def make_app(store=None):
    return Application(
        [("/", Notes)],
        middleware=[Explain(), LIMIT],
        session_store=store or MemoryStore(max_bytes=1000),
    )


if __name__ == "__main__":
    try:
        serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
    except PortInUse as exc:
        sys.exit(f"notes: {exc}")
    except TornadoExtError as exc:  # a setting that can't be right, a server that is not there
        sys.exit(f"notes: can't start: {exc}")
