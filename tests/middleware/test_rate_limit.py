"""The rate limit: how many requests it lets through, whose, and what it does without its Redis."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.examples import DOCS, example
from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware import MiddlewareMixin, RateLimit
from tornado_ext.middleware.rate_limit import PAUSE, Counters
from tornado_ext.sessions import MemoryStore, SessionMixin
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import Client, RedisServer

Fetch = Callable[..., Awaitable[HTTPResponse]]
Limit = Callable[..., RateLimit]

HOUR = 3600  # seconds; so long that no test sees the next request become due
NOBODY = "redis://127.0.0.1:1"


class Handler(SessionMixin, MiddlewareMixin, RequestHandler):
    def get(self) -> None:
        self.write("hello")

    def post(self) -> None:
        raise AssertionError("the XSRF check lets nothing through")


class Socket(MiddlewareMixin, WebSocketHandler):
    pass


@pytest.fixture
def app() -> Application:
    return Application(
        [("/", Handler), ("/socket", Socket)],
        middleware=[],
        xsrf_cookies=True,
        session_store=MemoryStore(),
    )


@pytest.fixture
def limit(app: Application, io_loop: IOLoop) -> Iterator[Limit]:
    """A function that puts a limit on the app."""

    def limit(*args: Any, **kwargs: Any) -> RateLimit:
        added = RateLimit(*args, **kwargs)
        app.settings["middleware"].append(added)
        return added

    yield limit
    for added in app.settings["middleware"]:
        io_loop.run_sync(added.close)


@pytest.fixture(params=["memory", "redis"])
def counted(request: pytest.FixtureRequest, limit: Limit) -> Limit:
    """`limit`, in memory and in Redis."""
    if request.param == "memory":
        return limit
    url = request.getfixturevalue("redis_url")
    return lambda *args, **kwargs: limit(*args, redis=url, name="test", **kwargs)


@pytest.fixture
def fetch(http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def fetch(path: str = "/", **headers: str) -> HTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await http_client.fetch(base_url + path, headers=named, raise_error=False)

    return fetch


@pytest.fixture
def status(fetch: Fetch) -> Callable[..., Awaitable[int]]:
    async def status(*args: Any, **headers: str) -> int:
        return (await fetch(*args, **headers)).code

    return status


Status = Callable[..., Awaitable[int]]


# The algorithm.


@pytest.mark.gen_test
async def test_burst_is_let_through_and_no_more(counted: Limit, status: Status) -> None:
    counted(3, HOUR)
    assert [await status() for _ in range(5)] == [200, 200, 200, 429, 429]


@pytest.mark.gen_test
async def test_burst_can_be_smaller_than_the_limit(counted: Limit, status: Status) -> None:
    counted(100, HOUR, burst=2)
    assert [await status() for _ in range(3)] == [200, 200, 429]


@pytest.mark.gen_test
async def test_requests_at_once_are_counted_one_by_one(counted: Limit, status: Status) -> None:
    counted(5, HOUR)
    statuses = await asyncio.gather(*(status() for _ in range(10)))
    assert Counter(statuses) == {200: 5, 429: 5}


@pytest.mark.gen_test
async def test_refusal_says_when_to_try_again(counted: Limit, fetch: Fetch) -> None:
    counted(4, HOUR, burst=1)
    await fetch()
    response = await fetch()
    assert response.code == 429
    assert response.body.endswith(b"429: Too Many Requests</body></html>")
    assert 890 <= int(response.headers["Retry-After"]) <= 900


@pytest.mark.gen_test
async def test_who_waits_as_told_is_let_through(counted: Limit, fetch: Fetch) -> None:
    counted(1, 1)
    await fetch()
    response = await fetch()
    assert (response.code, response.headers["Retry-After"]) == (429, "1")
    await asyncio.sleep(1)
    assert (await fetch()).code == 200


@pytest.mark.gen_test
async def test_refused_requests_do_not_put_off_the_next(counted: Limit, fetch: Fetch) -> None:
    counted(1, HOUR)
    assert (await fetch()).code == 200
    waits = [int((await fetch()).headers["Retry-After"]) for _ in range(20)]
    assert max(waits) <= HOUR


def test_even_pace_after_the_burst() -> None:
    counters = Counters(pace=1_000_000, burst=2, capacity=10)
    assert [counters.wait("a") for _ in range(2)] == [0, 0]
    assert 900_000 < counters.wait("a") <= 1_000_000


def test_nobody_saves_up_more_than_a_burst() -> None:
    counters = Counters(pace=1000, burst=1000, capacity=10)
    for _ in range(1000):
        counters.wait("busy")  # is due long after the other, and keeps it in memory
    counters.wait("idle")
    time.sleep(0.1)
    began = time.monotonic_ns()
    allowed = sum(counters.wait("idle") == 0 for _ in range(2000))
    became_due = (time.monotonic_ns() - began) // 1_000_000 + 1
    assert 1000 <= allowed <= 1000 + became_due


@pytest.mark.gen_test
async def test_request_refused_before_prepare_is_not_counted(
    limit: Limit, http_client: AsyncHTTPClient, base_url: str, status: Status
) -> None:
    limit(1, HOUR)
    for _ in range(3):
        refused = await http_client.fetch(base_url, method="POST", body="", raise_error=False)
        assert refused.code == 403
    assert await status() == 200


@pytest.mark.gen_test
async def test_websocket_is_refused_before_the_upgrade(
    limit: Limit, http_server: HTTPServer, base_url: str, status: Status
) -> None:
    limit(1, HOUR)
    await status()
    with pytest.raises(HTTPClientError) as caught:
        await websocket_connect(base_url.replace("http", "ws") + "/socket")
    assert caught.value.code == 429


# Whose requests.


@pytest.mark.gen_test
async def test_brute_force_with_a_forged_address_is_stopped(
    counted: Limit, http_server: HTTPServer, status: Status
) -> None:
    """Also where Tornado believes the headers of everybody."""
    http_server.xheaders = True
    counted(5, HOUR)
    statuses = [
        await status(X_Forwarded_For=f"203.0.113.{n}", X_Real_IP=f"198.51.100.{n}")
        for n in range(50)
    ]
    assert Counter(statuses) == {200: 5, 429: 45}


@pytest.mark.gen_test
async def test_brute_force_through_a_proxy_is_stopped(counted: Limit, status: Status) -> None:
    """The proxy appends the client's address to what the client has forged."""
    counted(5, HOUR, trusted_proxies=["127.0.0.1", "::1"])
    statuses = [await status(X_Forwarded_For=f"203.0.113.{n}, 192.0.2.1") for n in range(50)]
    assert Counter(statuses) == {200: 5, 429: 45}
    assert await status(X_Forwarded_For="203.0.113.1, 192.0.2.2") == 200


@pytest.mark.gen_test
async def test_brute_force_from_one_ipv6_network_is_stopped(counted: Limit, status: Status) -> None:
    counted(5, HOUR, trusted_proxies=["127.0.0.1", "::1"])
    statuses = [await status(X_Forwarded_For=f"2001:4860::{n:x}") for n in range(50)]
    assert Counter(statuses) == {200: 5, 429: 45}


@pytest.mark.gen_test
async def test_users_are_counted_wherever_they_come_from(
    app: Application, counted: Limit, http_server: HTTPServer, base_url: str
) -> None:
    counted(2, HOUR, key="user")
    ann, ann_elsewhere, bob = (Client(app, base_url) for _ in range(3))
    await ann.login("ann")
    await ann_elsewhere.login("ann")
    await bob.login("bob")
    asked = [ann, ann_elsewhere, ann, ann_elsewhere, bob, bob, bob]
    statuses = [(await client.get("/")).code for client in asked]
    assert statuses == [200, 200, 429, 429, 200, 200, 429]


@pytest.mark.gen_test
async def test_visitors_are_counted_by_address(limit: Limit, status: Status) -> None:
    limit(1, HOUR, key="user")
    assert [await status(), await status()] == [200, 429]


@pytest.mark.gen_test
async def test_user_named_as_an_address_is_not_that_address(
    app: Application, limit: Limit, http_server: HTTPServer, base_url: str, status: Status
) -> None:
    limit(1, HOUR, key="user")
    for address in ("127.0.0.1", "::/64"):
        impostor = Client(app, base_url)
        await impostor.login(address)
        await impostor.get("/")
    assert await status() == 200


@pytest.mark.gen_test
async def test_users_are_counted_by_address_while_their_sessions_are_away(
    app: Application, limit: Limit, status: Status
) -> None:
    app.settings["session_store"] = RedisStore(NOBODY)
    limit(1, HOUR, key="user")
    cookie = {"Cookie": "session=" + "a" * 43}
    assert [await status(**cookie), await status(**cookie)] == [200, 429]


@pytest.mark.gen_test
async def test_user_of_another_kind_is_refused_in_plain_words(
    app: Application, limit: Limit, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    class Typed(Handler):
        def get_current_user(self) -> Any:
            return {"name": "ann"}

    app.add_handlers(".*", [("/typed", Typed)])
    limit(1, HOUR, key="user")
    assert await status("/typed") == 500
    assert "current_user is {'name': 'ann'}: give a function as the key" in caplog.text


def header(handler: RequestHandler) -> str | None:
    return handler.request.headers.get("X-Key")


@pytest.mark.gen_test
async def test_function_makes_the_key(counted: Limit, status: Status) -> None:
    counted(1, HOUR, key=header)
    assert [await status(X_Key=key) for key in "aab"] == [200, 429, 200]


@pytest.mark.gen_test
async def test_request_without_a_key_is_not_limited(counted: Limit, status: Status) -> None:
    counted(1, HOUR, key=header)
    assert [await status() for _ in range(3)] == [200, 200, 200]


@pytest.mark.gen_test
@pytest.mark.parametrize("key", ["", "\ud800", "é\r\n\0", "x" * 100_000])
async def test_any_text_is_a_key(counted: Limit, status: Status, key: str) -> None:
    counted(1, HOUR, key=lambda handler: key)
    assert [await status(), await status()] == [200, 429]


@pytest.mark.gen_test
async def test_key_can_not_forge_a_log_line(
    limit: Limit, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    limit(1, HOUR, key=lambda handler: "ann\n200 GET /forged " + "x" * 1000)
    await status()
    await status()
    (message,) = [r.getMessage() for r in caplog.records if r.name == "tornado.general"]
    assert message.startswith("429 GET / (")
    assert r"RateLimited: more than 1 requests in 3600 s from 'ann\n200 GET /forged xx" in message
    assert "\n" not in message
    assert len(message) < 200


# In memory.


def test_memory_stays_bounded_under_many_addresses() -> None:
    counters = Counters(pace=10**9, burst=1, capacity=1000)
    assert not any(counters.wait(str(n)) for n in range(20_000))
    assert len(counters) == 1000


def test_memory_forgets_who_is_due_anyway() -> None:
    counters = Counters(pace=1, burst=1, capacity=1000)
    for n in range(200):
        counters.wait(str(n))
    assert len(counters) < 100


def test_memory_keeps_who_asks_on() -> None:
    """A flood from other addresses does not make room for more attempts of one that goes on."""
    counters = Counters(pace=10**7, burst=10, capacity=10)
    for n in range(10):
        assert counters.wait("busy") == 0
        assert counters.wait(f"{n}") == 0
    assert counters.wait("busy") > 0


@pytest.mark.gen_test
async def test_flood_of_addresses_pushes_out_the_oldest(limit: Limit, status: Status) -> None:
    limit(1, HOUR, capacity=20, trusted_proxies=["127.0.0.1", "::1"])
    addresses = [f"192.0.2.{n}" for n in range(25)]
    assert {await status(X_Forwarded_For=address) for address in addresses} == {200}
    assert await status(X_Forwarded_For=addresses[-1]) == 429
    assert await status(X_Forwarded_For=addresses[0]) == 200


# In Redis.


@pytest.mark.gen_test
async def test_limits_of_different_names_do_not_share(
    limit: Limit, redis_url: str, status: Status
) -> None:
    limit(1, HOUR, redis=redis_url, name="a")
    limit(1, HOUR, redis=redis_url, name="b")
    assert [await status(), await status()] == [200, 429]


@pytest.mark.gen_test
async def test_counter_in_redis_has_a_short_name_and_expires(
    limit: Limit, redis_url: str, status: Status
) -> None:
    limit(2, 100, redis=redis_url, name="shop:login")
    await status()
    async with Redis.from_url(redis_url) as redis:
        (key,) = await redis.keys()
        assert key.startswith(b"rate:shop:login:")
        assert len(key) == len(b"rate:shop:login:") + 32
        assert 40_000 < await redis.pttl(key) <= 50_000


@pytest.mark.gen_test
async def test_clock_set_back_locks_nobody_out(
    limit: Limit, redis_url: str, status: Status
) -> None:
    limit(2, 100, redis=redis_url, name="test")
    assert [await status() for _ in range(3)] == [200, 200, 429]
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        (key,) = await redis.keys()
        # Where it would be, had the clock been a day ahead.
        await redis.set(key, int(await redis.get(key)) + 86_400_000_000)
    assert [await status() for _ in range(3)] == [200, 200, 429]


@pytest.mark.gen_test
async def test_clock_set_back_a_little_costs_no_more_than_the_burst(
    limit: Limit, redis_url: str, fetch: Fetch
) -> None:
    limit(2, 100, redis=redis_url, name="test")
    await fetch()
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        (key,) = await redis.keys()
        await redis.set(key, int(await redis.get(key)) + 49_000_000)
    response = await fetch()
    assert response.code == 429
    assert int(response.headers["Retry-After"]) <= 50


@pytest.fixture(params=["refuses", "is frozen"])
def away(request: pytest.FixtureRequest, redis_server: RedisServer, redis_url: str) -> str:
    """The URL of a Redis that does not answer; `redis_server` can be brought back."""
    if request.param == "refuses":
        redis_server.kill()
    else:
        redis_server.freeze()
    return redis_url


def back(server: RedisServer) -> None:
    if server.is_running:
        server.thaw()
    else:
        server.restart()


@pytest.mark.gen_test
async def test_without_redis_each_process_counts_for_itself(
    limit: Limit, away: str, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    limit(2, HOUR, redis=away, name="test")
    assert [await status() for _ in range(4)] == [200, 200, 429, 429]
    lines = [r.getMessage() for r in caplog.records if r.name == "tornado.application"]
    assert len(lines) == 1
    assert lines[0].startswith("RateLimit: Redis at 127.0.0.1:")


@pytest.mark.gen_test
async def test_without_redis_all_can_be_refused(
    limit: Limit, away: str, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    limit(2, HOUR, redis=away, name="test", fail_open=False)
    for _ in range(2):
        response = await fetch()
        assert (response.code, response.headers["Retry-After"]) == (503, "1")
    assert "RateLimit: Redis at 127.0.0.1:" in caplog.text


@pytest.mark.gen_test
async def test_requests_that_wait_for_redis_together_log_one_line(
    limit: Limit, away: str, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    limit(100, HOUR, redis=away, name="test")
    assert set(await asyncio.gather(*(status() for _ in range(10)))) == {200}
    assert caplog.text.count("RateLimit: Redis at") == 1


@pytest.mark.gen_test
async def test_redis_that_failed_is_left_alone_for_a_while(limit: Limit, status: Status) -> None:
    """Else each request would wait until it times out."""
    connections = []
    server = await asyncio.start_server(lambda *pair: connections.append(pair), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    limit(2, HOUR, redis=f"redis://127.0.0.1:{port}", name="test")
    assert [await status() for _ in range(4)] == [200, 200, 429, 429]
    assert len(connections) == 1
    for _, writer in connections:
        writer.close()
    server.close()


@pytest.mark.gen_test
async def test_redis_that_is_back_counts_again(
    limit: Limit, away: str, redis_server: RedisServer, fetch: Fetch
) -> None:
    limit(2, HOUR, redis=away, name="test", fail_open=False)
    assert (await fetch()).code == 503
    back(redis_server)
    await asyncio.sleep(PAUSE)
    assert [(await fetch()).code for _ in range(3)] == [200, 200, 429]


@pytest.mark.gen_test
async def test_client_of_the_callers_own_will_do_and_stays_open(
    limit: Limit, redis_url: str, status: Status
) -> None:
    async with Redis.from_url(redis_url) as redis:
        added = limit(1, HOUR, redis=redis, name="test")
        assert [await status(), await status()] == [200, 429]
        await added.close()
        assert await redis.ping()


# The example, in two processes on one Redis.


@pytest.fixture
def two_processes(redis_url: str) -> Iterator[list[str]]:
    """The addresses of two processes of the example."""
    command = [sys.executable, str(DOCS / "examples" / "rate_limit.py"), "0"]
    processes = [
        subprocess.Popen(
            command, env={**os.environ, "REDIS": redis_url}, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        yield [
            process.stdout.readline().strip() + "/login" for process in processes if process.stdout
        ]
    finally:
        for process in processes:
            process.terminate()
            process.communicate(timeout=10)


@pytest.mark.gen_test
async def test_two_processes_keep_one_limit(
    http_client: AsyncHTTPClient, two_processes: list[str]
) -> None:
    async def attempt(n: int) -> int:
        response = await http_client.fetch(
            two_processes[n % 2],
            method="POST",
            body=f"name={'Ann' if n % 3 else 'ann'}&password={n}",
            headers={"X-Forwarded-For": f"192.0.2.{n}"},
            raise_error=False,
        )
        return response.code

    statuses = await asyncio.gather(*(attempt(n) for n in range(20)))
    assert Counter(statuses) == {403: 5, 429: 15}


@pytest.fixture
def login(http_server: HTTPServer, http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    """A function that tries a password on the example."""
    http_server.request_callback = example("rate_limit").make_app()

    async def login(password: str, name: str = "ann", address: str = "192.0.2.1") -> HTTPResponse:
        return await http_client.fetch(
            base_url + "/login",
            method="POST",
            body=f"name={name}&password={password}",
            headers={"X-Forwarded-For": address},
            raise_error=False,
        )

    return login


@pytest.mark.gen_test
async def test_example_stops_who_tries_all_passwords_of_one_account(login: Fetch) -> None:
    for n in range(5):
        assert (await login(f"guess+{n}", address=f"192.0.2.{n}")).code == 403
    response = await login("correct+horse", address="192.0.2.99")
    assert (response.code, response.body) == (429, b"Too many attempts. Please wait.")
    assert int(response.headers["Retry-After"]) <= 60
    assert (await login("correct+horse", name="bob")).body == b"welcome"


@pytest.mark.gen_test
async def test_example_stops_who_tries_one_password_on_all_accounts(login: Fetch) -> None:
    statuses = [(await login("123456", name=f"user{n}")).code for n in range(25)]
    assert Counter(statuses) == {403: 20, 429: 5}


# Arguments.


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("limit", 0),
        ("limit", 1.5),
        ("limit", "10"),
        ("period", 0),
        ("period", -1),
        ("period", float("nan")),
        ("period", float("inf")),
        ("period", "minute"),
        ("burst", 0),
        ("capacity", 0),
        ("key", "ip"),
        ("key", None),
        ("trusted_proxies", "10.0.0.0/8"),
        ("trusted_proxies", ["10.0.0.1/8"]),
        ("name", None),
        ("redis", "localhost:6379"),
        ("redis", 6379),
        ("fail_open", None),
    ],
)
def test_argument_that_can_not_be_right_is_named(argument: str, value: Any) -> None:
    arguments = {"limit": 10, "name": "test", argument: value}
    with pytest.raises(ConfigurationError, match=rf"^RateLimit\({argument}\) "):
        RateLimit(**arguments)


def test_limit_in_redis_needs_a_name() -> None:
    with pytest.raises(ConfigurationError, match=r"^RateLimit\(name\) "):
        RateLimit(10, redis=NOBODY)
