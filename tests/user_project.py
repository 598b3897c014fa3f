"""A user's project that mixes everything in, for `mypy --strict`: what types he sees.

A line that is wrong on purpose says which error mypy must find there; if it does not, that is one.
"""

from collections.abc import Awaitable
from typing import TypedDict

from tornado.web import Application, RequestHandler, authenticated
from tornado.websocket import WebSocketHandler

from tornado_ext.errors import Unavailable
from tornado_ext.forms import EmailField, Form, IntegerField, StringField, ValidationError, ui
from tornado_ext.middleware import Middleware, MiddlewareMixin, RateLimit, RequestId
from tornado_ext.mysql import Connection, Database, DatabaseMixin, DuplicateKey, Row
from tornado_ext.rooms import BusUnavailable, LocalBus, RoomMixin
from tornado_ext.serving import serve
from tornado_ext.sessions import MemoryStore, SessionInfo, SessionMixin, SessionStore
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing import Client


class Timing(Middleware):
    def process_request(self, handler: RequestHandler) -> None:
        handler.set_header("X-Timing", "1")

    async def process_response(self, handler: RequestHandler) -> None:
        handler.clear_header("X-Timing")


class BaseHandler(SessionMixin, DatabaseMixin, MiddlewareMixin, RequestHandler):
    middleware = [Timing(), RateLimit(5, 60)]


class Registered(TypedDict):
    name: str
    email: str
    age: int | None


class RegisterForm(Form):
    name = StringField(min_length=3, pattern="[a-z]+")
    email = EmailField()
    age = IntegerField(min_value=18, required=False)
    cleaned_data: Registered

    async def clean_name(self, value: str) -> str:
        if value == "root":
            raise ValidationError("That name is taken.", code="taken")
        return value


class Register(BaseHandler):
    async def post(self) -> None:
        form = RegisterForm.from_handler(self)
        if not await form.is_valid():
            self.write(form.errors.as_json())
            return
        name: str = form.cleaned_data["name"]
        wrong: int = form.cleaned_data["email"]  # type: ignore[assignment]
        try:
            user_id = (await self.tx.execute("INSERT INTO users VALUES (%s)", name)).lastrowid
        except DuplicateKey as exc:
            form.add_error("name", f"{exc.key}: taken {wrong}")
            return
        self.session.login(user_id, note={"browser": "?"})
        self.session.login(None)  # type: ignore[arg-type]
        self.session["cart"] = [1, 2]
        self.session[1] = 2  # type: ignore[index]
        self.redirect("/")


class Home(BaseHandler):
    @authenticated
    async def get(self) -> None:
        rows: list[Row] = await self.db.fetch_all("SELECT * FROM t WHERE a > %s", 1, timeout=2)
        row: Row = await self.db.fetch_one("SELECT 1")  # type: ignore[assignment]
        self.db.fetch_value("SELECT 1")  # type: ignore[unused-coroutine]
        async with self.session.exclusive() as session:
            session["seen"] = session.get("seen", 0) + len(rows) + len(row)
        messages: list[object] = await self.session.pop_flashes()
        self.write({"messages": messages})


async def pay(tx: Connection) -> int:
    return (await tx.execute("UPDATE accounts SET balance = balance - %s", 10)).rowcount


async def transactions(db: Database) -> int:
    async with db.transaction(isolation="read committed") as tx:
        await tx.execute("DO 0")
    async for row in db.iterate("SELECT a FROM t"):
        print(row["a"], row.a)  # noqa: T201
    wrong: str = await db.run_transaction(pay)  # type: ignore[arg-type]
    return await db.run_transaction(pay, retries=2) + len(wrong)


class ChatSocket(RoomMixin, SessionMixin, WebSocketHandler):
    async def open(self, *_: str, **__: str) -> None:
        await self.join("lobby", self.session.user_id)

    async def on_message(self, message: str | bytes) -> None:
        try:
            await self.broadcast("lobby", {"text": str(message)})
            await self.broadcast("lobby", 7)  # type: ignore[arg-type]
        except BusUnavailable as exc:
            unavailable: Unavailable = exc
            print(unavailable.retry_after)  # noqa: T201


async def log_out_everywhere(store: SessionStore) -> int:
    infos: list[SessionInfo] = await store.sessions_of(7)
    for info in infos:
        await store.delete(info.key)
    return await store.revoke_user("7")


def make_app() -> Application:
    stores: list[SessionStore] = [
        MemoryStore(max_sessions=10),
        RedisStore("redis://127.0.0.1", key_prefix="app:"),
        ShardedRedisStore({"a": "redis://a", "b": "redis://b"}, weights={"a": 2}, replicas=2),
    ]
    ShardedRedisStore(["redis://a"])  # type: ignore[arg-type]
    return Application(
        [("/", Home), ("/register", Register), ("/chat", ChatSocket)],
        middleware=[RequestId()],
        session_store=stores[0],
        database=Database("mysql://u:p@127.0.0.1/d", max_size=5),
        room_bus=LocalBus(),
        ui_modules=ui,
    )


async def make_app_later() -> Application:
    return make_app()


def start(later: bool) -> None:
    serve(make_app_later if later else make_app, 8888, xheaders=True)
    serve(make_app(), 8888)  # type: ignore[arg-type]


def visit(client: Client) -> Awaitable[None]:
    return client.login(7, cart=[1])
