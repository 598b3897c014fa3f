"""The transaction of a request, for every end that a request can take."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import IOLoop
from tornado.web import Application, Finish, HTTPError, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.mysql.network import Network
from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.mysql import Database, DatabaseMixin, DuplicateKey, ProgrammingError
from tornado_ext.testing import MariaDBServer

gen_test = pytest.mark.gen_test

MakeDatabase = Callable[..., Database]


class Base(DatabaseMixin, MiddlewareMixin, RequestHandler):
    async def insert(self, number: int = 1) -> None:
        await self.tx.execute("INSERT INTO t VALUES (%s)", number)


class Ends(Base):
    """Inserts a row, and ends as the query says."""

    async def get(self, end: str) -> None:
        await self.insert()
        match end:
            case "write":
                self.write("done")
            case "redirect":
                self.redirect("/")
            case "finish":
                raise Finish
            case "error":
                raise HTTPError(409)
            case "exception":
                raise KeyError
            case "status":
                self.set_status(422)
            case "duplicate":
                with pytest.raises(DuplicateKey):
                    await self.insert()
                await self.insert(2)
            case "savepoint":
                with pytest.raises(KeyError):
                    await self.undone()
            case "many":
                await self.tx.executemany("INSERT INTO t VALUES (%s)", [(2,), (3,)])
                numbers = [row.n async for row in self.tx.iterate("SELECT n FROM t ORDER BY n")]
                self.write(repr(numbers))

    async def undone(self) -> None:
        async with self.tx.transaction():
            await self.insert(2)
            raise KeyError


class Flushes(Base):
    async def get(self) -> None:
        await self.insert()
        self.write("x")
        await self.flush()
        rows = await self.db.fetch_value("SELECT COUNT(*) FROM t")
        with pytest.raises(ProgrammingError, match="the response has begun"):
            await self.insert(2)
        self.write(str(rows))


class FlushesFirst(Base):
    async def get(self) -> None:
        await self.flush()
        with pytest.raises(ProgrammingError, match="the response has begun"):
            await self.insert(2)


class TwoTasks(Base):
    async def get(self) -> None:
        sql = "INSERT INTO t SELECT %s + SLEEP(0.05)"
        results = await asyncio.gather(
            *(self.tx.execute(sql, number) for number in (1, 2)), return_exceptions=True
        )
        (error,) = (result for result in results if isinstance(result, Exception))
        self.write(f"{error}")


class Finishes(Base):
    async def get(self) -> None:
        await self.insert()
        self.finish()
        with pytest.raises(ProgrammingError, match="the response has begun"):
            await self.insert(2)


class FinishesInSavepoint(Base):
    """Finishes in a savepoint of the request's transaction, and ends as the query says."""

    async def get(self, end: str) -> None:
        try:
            async with self.tx.transaction() as savepoint:
                await savepoint.execute("INSERT INTO t VALUES (1)")
                self.finish("done")
                if end in ("waits", "cancelled"):
                    await asyncio.sleep(0.05)
                if end == "cancelled":
                    raise asyncio.CancelledError
                with pytest.raises(ProgrammingError):
                    await savepoint.execute("INSERT INTO t VALUES (2)")
                if end == "raises":
                    raise KeyError
        except (KeyError, asyncio.CancelledError):
            pass


class Detaches(Base):
    """Takes the socket over, with the transaction as the path says."""

    async def get(self, end: str) -> None:
        await self.insert()
        if end == "committed":
            await self.flush()
        stream = self.detach()
        await stream.write(b"mine")
        stream.close()


class Idle(Base):
    async def get(self) -> None:
        assert self.tx is self.tx
        self.write(f"{self.db.stats().open}")


@stream_request_body
class Upload(Base):
    async def data_received(self, chunk: bytes) -> None:
        await self.insert()

    async def post(self) -> None:
        raise AssertionError  # the body never ends


class Socket(DatabaseMixin, WebSocketHandler):
    async def prepare(self) -> None:
        await super().prepare()
        await self.tx.execute("INSERT INTO t VALUES (1)")

    async def on_message(self, message: str | bytes) -> None:
        try:
            await self.tx.execute("INSERT INTO t VALUES (2)")
        except ProgrammingError as exc:
            await self.write_message(str(exc))


class HookFails:
    def process_response(self, handler: RequestHandler) -> Awaitable[None] | None:
        return self.fail() if "fail" in handler.request.query else None

    async def fail(self) -> None:
        raise HTTPError(500)


@pytest.fixture
def db(url: str, make_db: MakeDatabase, io_loop: IOLoop) -> Database:
    """A database with a table of numbers."""
    database = make_db(url)
    io_loop.run_sync(lambda: database.execute("CREATE TABLE t (n INT PRIMARY KEY)"))
    return database


@pytest.fixture
def app(db: Database) -> Application:
    """What `http_client` talks to."""
    routes = [
        ("/ends/(.*)", Ends),
        ("/flushes", Flushes),
        ("/flushes-first", FlushesFirst),
        ("/two-tasks", TwoTasks),
        ("/finishes", Finishes),
        ("/finishes-in-savepoint/(.*)", FinishesInSavepoint),
        ("/detaches/(.*)", Detaches),
        ("/idle", Idle),
        ("/upload", Upload),
        ("/socket", Socket),
    ]
    return Application(routes, database=db, middleware=[HookFails()])


async def numbers(database: Database) -> list[int]:
    return [row.n for row in await database.fetch_all("SELECT n FROM t ORDER BY n")]


@pytest.mark.parametrize(
    ("end", "status", "stored"),
    [
        ("write", 200, [1]),
        ("redirect", 302, [1]),
        ("finish", 200, [1]),
        ("duplicate", 200, [1, 2]),
        ("savepoint", 200, [1]),
        ("many", 200, [1, 2, 3]),
        ("error", 409, []),
        ("exception", 500, []),
        ("status", 422, []),
        ("write?fail", 500, []),
    ],
)
@pytest.mark.usefixtures("app")
@gen_test
async def test_a_request_commits_unless_its_response_is_an_error(
    http_client: AsyncHTTPClient, base_url: str, db: Database, end: str, status: int, stored: object
) -> None:
    response = await http_client.fetch(
        f"{base_url}/ends/{end}", raise_error=False, follow_redirects=False
    )

    assert response.code == status
    assert await numbers(db) == stored
    assert db.stats().in_use == 0


@pytest.mark.usefixtures("app")
@gen_test
async def test_the_commit_comes_before_the_first_byte(
    http_client: AsyncHTTPClient, base_url: str, db: Database
) -> None:
    assert (await http_client.fetch(f"{base_url}/flushes")).body == b"x1"
    assert (await http_client.fetch(f"{base_url}/flushes-first")).code == 200
    assert await numbers(db) == [1]


@pytest.mark.usefixtures("app")
@gen_test
async def test_the_transaction_ends_with_finish(
    http_client: AsyncHTTPClient, base_url: str, db: Database
) -> None:
    assert (await http_client.fetch(f"{base_url}/finishes")).code == 200
    assert await numbers(db) == [1]


@pytest.mark.parametrize("end", ["at-once", "waits", "raises", "cancelled"])
@pytest.mark.usefixtures("app")
@gen_test
async def test_finish_in_a_savepoint_commits_what_was_done(
    http_client: AsyncHTTPClient,
    base_url: str,
    db: Database,
    end: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = await http_client.fetch(f"{base_url}/finishes-in-savepoint/{end}")
    await asyncio.sleep(0.1)  # in which the handler goes on

    assert response.body == b"done"
    assert await numbers(db) == [1]
    assert (db.stats().open, db.stats().in_use) == (1, 0)
    assert caplog.messages == []


@pytest.mark.usefixtures("app")
@gen_test
async def test_detach_is_refused_while_the_transaction_is_open(
    http_client: AsyncHTTPClient, base_url: str, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    response = await http_client.fetch(f"{base_url}/detaches/open", raise_error=False)

    assert response.code == 500
    assert "detach() while self.tx is open" in caplog.text
    assert (await numbers(db), db.stats().in_use) == ([], 0)


@pytest.mark.usefixtures("http_server")
@gen_test
async def test_detach_takes_the_socket_after_the_commit(db: Database, http_port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", http_port)
    writer.write(b"GET /detaches/committed HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (await reader.read()).endswith(b"mine")
    writer.close()
    assert (await numbers(db), db.stats().in_use) == ([1], 0)


@pytest.mark.usefixtures("app")
@gen_test
async def test_without_a_statement_there_is_no_transaction(
    http_client: AsyncHTTPClient, base_url: str, db: Database
) -> None:
    await db.close()

    assert (await http_client.fetch(f"{base_url}/idle")).body == b"0"


@pytest.mark.usefixtures("app")
@gen_test
async def test_two_tasks_in_one_transaction_are_told_so(
    http_client: AsyncHTTPClient, base_url: str, db: Database
) -> None:
    response = await http_client.fetch(f"{base_url}/two-tasks")

    assert b"another task" in response.body
    assert await numbers(db) == [1]


@pytest.mark.usefixtures("http_server")
@gen_test
async def test_a_client_that_leaves_amid_its_body_leaves_no_transaction(
    db: Database, http_port: int
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", http_port)
    writer.write(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
    async with asyncio.timeout(4):
        while not db.stats().in_use:
            await asyncio.sleep(0.01)
        writer.close()
        while db.stats().in_use:
            await asyncio.sleep(0.01)

    assert await numbers(db) == []


@pytest.mark.usefixtures("http_server")
@gen_test
async def test_a_websocket_commits_before_it_opens(base_url: str, db: Database) -> None:
    socket = await websocket_connect(f"ws{base_url.removeprefix('http')}/socket")

    assert await numbers(db) == [1]
    await socket.write_message("again")
    assert "use self.db" in str(await socket.read_message())
    socket.close()


class Late(Base):
    network: Network

    async def get(self) -> None:
        await self.insert()
        self.network.deaf = True
        self.write("done")


@gen_test
async def test_a_commit_without_an_answer_is_no_success(
    db: Database, url: str, make_db: MakeDatabase, mariadb_server: MariaDBServer
) -> None:
    answers: list[int] = []

    def log(handler: RequestHandler) -> None:
        answers.append(handler.get_status())

    async with Network(mariadb_server.port) as network:
        Late.network = network
        database = make_db(network.url(url), timeout=0.3)
        app = Application([("/", Late)], database=database, log_function=log)
        server = app.listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        response = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/", raise_error=False)
        server.stop()
        await server.close_all_connections()
        await database.close()

    assert (response.code, answers) == (503, [503])


class Outlived(Base):
    """Answers while a task of its own is beginning the transaction."""

    straggler: "asyncio.Task[None]"

    async def get(self) -> None:
        Outlived.straggler = asyncio.create_task(self.insert())
        while not self.db.stats().waiting:
            await asyncio.sleep(0)


@gen_test
async def test_a_task_that_outlives_its_request_changes_nothing(
    app: Application, http_client: AsyncHTTPClient, base_url: str, url: str, make_db: MakeDatabase
) -> None:
    db = app.settings["database"] = make_db(url, max_size=1)
    app.add_handlers(".*", [("/outlived", Outlived)])

    async with db.acquire():
        assert (await http_client.fetch(f"{base_url}/outlived")).code == 200
    with pytest.raises(ProgrammingError, match="the response has begun"):
        await Outlived.straggler

    assert (await numbers(db), db.stats().in_use) == ([], 0)
