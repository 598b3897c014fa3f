"""The shared connection, on real servers and on peers that misbehave."""

import asyncio
import gc
import random
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions
import tornado
from tornado.ioloop import IOLoop

from tests.redis_peers import Proxy, Scripted
from tornado_ext._redis import TOTAL_TIMEOUT, RedisServer
from tornado_ext._shared import IN_FLIGHT, ConnectionLost, TooManyCommands
from tornado_ext.errors import ConfigurationError
from tornado_ext.testing import RedisServer as PrivateRedis

HUGE = "x" * 64 * 2**20

Start = Callable[..., list[PrivateRedis]]


@pytest.fixture
def use(io_loop: IOLoop) -> Iterator[Callable[[str], RedisServer]]:
    """A function that returns the server at a URL; its connection is closed after the test."""
    used: list[RedisServer] = []

    def use(url: str) -> RedisServer:
        used.append(RedisServer(url, "url"))
        return used[-1]

    yield use
    for server in used:
        io_loop.run_sync(server.close)


Use = Callable[[str], RedisServer]


@pytest.fixture
def server(use: Use, redis_url: str) -> RedisServer:
    return use(redis_url)


async def asked(*waiting: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Return tasks that have asked, though what they asked is not sent yet."""
    tasks = [asyncio.create_task(one) for one in waiting]
    await asyncio.sleep(0)
    return tasks


async def refused(waiting: Coroutine[Any, Any, Any]) -> ConnectionError:
    with pytest.raises(ConnectionError) as caught:
        await waiting
    return caught.value


class TestReplies:
    @pytest.mark.gen_test
    async def test_words_are_str_and_lists_are_lists(self, server: RedisServer) -> None:
        assert await server.command("HSET", "h", "ä", b"\xc3\xbc", "n", 1.5) == 2
        assert await server.command("HGETALL", "h") == ["ä", "ü", "n", "1.5"]
        assert await server.command("GET", "none") is None
        assert await server.command("SET", "a", 1) == "OK"

    @pytest.mark.parametrize("query", ["protocol=3", "protocol=2", "decode_responses=no"])
    @pytest.mark.gen_test
    async def test_they_are_the_same_whatever_the_url_says(
        self, use: Use, redis_url: str, query: str
    ) -> None:
        server = use(f"{redis_url}?{query}")
        await server.command("HSET", "h", "a", "1")
        assert await server.command("HGETALL", "h") == ["a", "1"]

    @pytest.mark.parametrize("decode", [True, False])
    @pytest.mark.parametrize("protocol", [2, 3])
    @pytest.mark.gen_test
    async def test_they_are_the_same_on_a_client_of_the_caller(
        self, redis_url: str, protocol: int, decode: bool
    ) -> None:
        client = redis.asyncio.Redis.from_url(redis_url, protocol=protocol, decode_responses=decode)
        async with client:
            server = RedisServer(client, "client")
            await server.command("HSET", "h", "a", "1")
            assert await server.command("HGETALL", "h") == ["a", "1"]
            assert await server.script("return {KEYS[1], 7}", ["k"]) == ["k", 7]
            await server.close()
            assert await server.command("HGET", "h", "a") == "1"

    @pytest.mark.gen_test
    async def test_an_error_is_its_command_s_alone(self, server: RedisServer) -> None:
        await server.command("SET", "a", 1)
        replies = await asyncio.gather(
            server.command("GET", "a"),
            server.command("HGETALL", "a"),
            server.command("NONSENSE"),
            server.command("GET", "a"),
            return_exceptions=True,
        )
        assert [type(reply) for reply in replies] == [
            str,
            redis.exceptions.ResponseError,
            redis.exceptions.ResponseError,
            str,
        ]

    @pytest.mark.gen_test
    async def test_what_is_no_text_is_its_command_s_error_alone(self, server: RedisServer) -> None:
        await server.command("HSET", "h", "a", b"\xff", "b", b"\xfe")
        replies = await asyncio.gather(
            *(server.command(*command) for command in (["HGETALL", "h"], ["PING"])),
            return_exceptions=True,
        )
        assert [type(replies[0]), replies[1]] == [UnicodeDecodeError, "PONG"]

    @pytest.mark.gen_test
    async def test_what_is_no_text_may_come_in_parts(self, use: Use) -> None:
        parts = iter([b"*2\r\n$1\r\n\xff\r\n", b"", b"", b"$1\r\n\xfe\r\n+PONG\r\n"])
        async with Scripted(lambda command: next(parts)) as peer:
            server = use(peer.url)
            first, second = await asked(server.command("HGETALL", "h"), server.command("PING"))
            for _ in range(2):
                await asyncio.sleep(0.02)
                await asked(server.command("PING"))
            with pytest.raises(UnicodeDecodeError):
                await first
            assert await second == "PONG"

    @pytest.mark.gen_test
    async def test_an_argument_that_redis_can_not_take_is_refused_at_once(
        self, server: RedisServer
    ) -> None:
        with pytest.raises(TypeError):
            await server.command("SET", "a", None)  # type: ignore[arg-type]
        with pytest.raises(UnicodeEncodeError):
            await server.command("SET", "a", "\ud800")
        assert await server.command("PING") == "PONG"

    @pytest.mark.gen_test(timeout=20)
    async def test_64_mebibytes_go_and_come(self, use: Use, redis_url: str) -> None:
        server = use(f"{redis_url}?socket_timeout=8")
        assert await server.command("SET", "a", HUGE) == "OK"
        replies = await asyncio.gather(server.command("GET", "a"), server.command("PING"))
        assert replies == [HUGE, "PONG"]

    @pytest.mark.gen_test
    async def test_a_script_is_run_though_redis_forgot_it(
        self, server: RedisServer, redis_server: PrivateRedis
    ) -> None:
        text = "return {KEYS[1], ARGV[1]}"
        assert await server.script(text, ["k"], 1) == ["k", "1"]
        await server.command("SCRIPT", "FLUSH")
        assert await server.script(text, ["k"], 2) == ["k", "2"]
        redis_server.restart()
        assert await server.script(text, ["k"], 3) == ["k", "3"]


class TestSharing:
    @pytest.mark.gen_test
    async def test_commands_of_one_turn_leave_in_one_write(
        self, use: Use, redis_server: PrivateRedis, redis_url: str
    ) -> None:
        async with Proxy(redis_server.port) as proxy:
            server = use(proxy.url)
            await server.command("PING")
            proxy.said.clear()
            await asyncio.gather(*(server.command("SET", n, n) for n in range(100)))
            assert len(proxy.said) == 1
            assert len(proxy.to_redis) == 1
            await server.close()

    @pytest.mark.gen_test
    async def test_a_thousand_at_once_are_answered_in_order(self, server: RedisServer) -> None:
        replies = await asyncio.gather(*(server.command("ECHO", n) for n in range(1000)))
        assert replies == [str(n) for n in range(1000)]

    @pytest.mark.gen_test
    async def test_a_cancelled_command_s_reply_goes_to_nobody(
        self, use: Use, redis_server: PrivateRedis, redis_url: str
    ) -> None:
        async with Proxy(redis_server.port) as proxy:
            server = use(proxy.url)
            await server.command("PING")
            proxy.from_redis[0].clear()
            tasks = await asked(*(server.command("ECHO", n) for n in range(10)))
            while b"9" not in b"".join(proxy.said):
                await asyncio.sleep(0.01)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.wait(tasks[::2])
            proxy.from_redis[0].set()
            assert await asyncio.gather(*tasks[1::2]) == ["1", "3", "5", "7", "9"]
            assert await server.command("ECHO", "end") == "end"
            await server.close()

    @pytest.mark.gen_test
    async def test_a_command_that_is_cancelled_in_its_turn_is_not_sent(
        self, server: RedisServer
    ) -> None:
        first, second = await asked(server.command("INCR", "a"), server.command("INCR", "b"))
        first.cancel()
        assert await second == 1
        assert await server.command("GET", "a") is None

    @pytest.mark.gen_test
    async def test_more_than_can_wait_is_refused(
        self, server: RedisServer, redis_server: PrivateRedis
    ) -> None:
        await server.command("PING")
        redis_server.freeze()
        waiting = await asked(*(server.command("ECHO", n) for n in range(IN_FLIGHT)))
        with pytest.raises(TooManyCommands, match=f"{IN_FLIGHT} commands wait"):
            await server.command("PING")
        redis_server.thaw()
        assert await asyncio.gather(*waiting) == [str(n) for n in range(IN_FLIGHT)]
        assert await server.command("PING") == "PONG"

    @pytest.mark.gen_test(timeout=30)
    async def test_everybody_gets_his_own_answer_whatever_happens(
        self, server: RedisServer, redis_url: str
    ) -> None:
        randomly = random.Random(7)
        answered = lost = refused = 0

        async def ask(nonce: str) -> None:
            nonlocal answered, lost, refused
            await asyncio.sleep(randomly.uniform(0, 1))
            read = randomly.random() < 0.5
            command = ("HMGET", nonce, "a") if read else ("ECHO", nonce)
            try:
                reply = await server.command(*command)
            except ConnectionLost:
                lost += 1
                assert not read
            except ConnectionError:  # killed while it was being made
                refused += 1
            else:
                answered += 1
                assert reply == ([None] if read else nonce)

        async with redis.asyncio.Redis.from_url(redis_url) as admin:
            tasks = [asyncio.create_task(ask(f"nonce {n}")) for n in range(2000)]
            for task in tasks[::3]:
                asyncio.get_running_loop().call_later(randomly.uniform(0, 1), task.cancel)
            for _ in range(20):
                await asyncio.sleep(randomly.uniform(0, 0.1))
                await admin.client_kill_filter(_type="normal", skipme=True)
                with suppress(ConnectionError):  # a read that two kills meet is lost: it is sent
                    await server.command("PING")  # again once, and before this
            done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [one for one in done if isinstance(one, Exception)] == []
        assert answered + lost + refused + sum(task.cancelled() for task in tasks) == 2000
        assert answered > 1000


class TestTimeouts:
    @pytest.mark.gen_test
    async def test_a_frozen_server_fails_what_waits_for_it_and_nothing_else(
        self, server: RedisServer, redis_server: PrivateRedis, use: Use, redis_servers: Start
    ) -> None:
        other = use(redis_servers(1)[0].url)
        await server.command("SET", "a", 1)
        redis_server.freeze()
        waiting = await asked(*(server.command("SET", "a", 2) for _ in range(3)))
        assert await other.command("PING") == "PONG"
        start = time.monotonic()
        replies = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(reply) for reply in replies] == [TimeoutError] * 3
        assert time.monotonic() - start < 4 * TOTAL_TIMEOUT
        redis_server.thaw()
        assert await server.command("ECHO", "mine") == "mine"

    @pytest.mark.gen_test
    async def test_a_server_that_is_frozen_from_the_start_times_out(
        self, server: RedisServer, redis_server: PrivateRedis
    ) -> None:
        redis_server.freeze()
        with pytest.raises(TimeoutError, match=r"no connection in 0\.25 s"):
            await server.command("PING")
        redis_server.thaw()
        assert await server.command("PING") == "PONG"

    @pytest.mark.gen_test
    async def test_a_late_reply_goes_to_nobody(self, use: Use, redis_server: PrivateRedis) -> None:
        async with Proxy(redis_server.port) as proxy:
            server = use(proxy.url)
            await server.command("PING")
            proxy.from_redis[0].clear()
            with pytest.raises(TimeoutError):
                await server.command("ECHO", "late")
            waiting = await asked(server.command("ECHO", "mine"))
            proxy.from_redis[0].set()
            assert await waiting[0] == "mine"
            await server.close()

    @pytest.mark.gen_test
    async def test_an_overdue_reply_does_not_fail_who_asked_after_it(
        self, use: Use, redis_server: PrivateRedis, redis_url: str
    ) -> None:
        async with Proxy(redis_server.port) as proxy:
            server = use(proxy.url)
            await server.command("PING")
            proxy.from_redis[0].clear()
            (first,) = await asked(server.command("ECHO", "first"))
            await asyncio.sleep(TOTAL_TIMEOUT / 2)
            (second,) = await asked(server.command("ECHO", "second"))
            await asyncio.wait([first])
            assert isinstance(first.exception(), TimeoutError)
            assert await server.command("ECHO", "third") == "third"  # on another connection
            proxy.from_redis[0].set()
            assert await second == "second"
            async with redis.asyncio.Redis.from_url(redis_url) as admin:
                while len(await admin.client_list()) > 1 + 1:  # the first connection goes
                    await asyncio.sleep(0.01)
            await server.close()

    @pytest.mark.gen_test
    async def test_the_url_sets_the_timeouts(self, use: Use, redis_server: PrivateRedis) -> None:
        server = use(redis_server.url + "?socket_timeout=0.2&socket_connect_timeout=0.1")
        await server.command("PING")
        redis_server.freeze()
        with pytest.raises(TimeoutError, match=r"no answer in 0\.2 s"):
            await server.command("PING")
        with pytest.raises(TimeoutError, match=r"no connection in 0\.1 s"):
            await server.command("PING")
        redis_server.thaw()

    @pytest.mark.parametrize("turns", [0, 1, 2, 4, 8, 16])
    @pytest.mark.gen_test
    async def test_a_busy_loop_is_not_taken_for_a_dead_server(
        self, use: Use, redis_server: PrivateRedis, redis_url: str, turns: int
    ) -> None:
        server = use(f"{redis_url}?socket_timeout=0.2&socket_connect_timeout=0.1")
        waiting = await asked(server.command("PING"))
        for _ in range(turns):  # of the loop, in the midst of connecting
            await asyncio.sleep(0)
        time.sleep(0.4)
        assert await waiting[0] == "PONG"


class TestLostConnections:
    @pytest.mark.gen_test
    async def test_a_restart_between_commands_is_not_noticed(
        self, server: RedisServer, redis_server: PrivateRedis
    ) -> None:
        await server.command("SET", "a", 1)
        redis_server.restart()
        assert await server.command("INCR", "a") == 2

    @pytest.mark.gen_test
    async def test_an_idle_connection_that_was_closed_is_replaced(
        self, server: RedisServer, redis_url: str
    ) -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as admin:
            for n in range(1, 10):
                assert await server.command("INCR", "a") == n
                await admin.client_kill_filter(_type="normal", skipme=True)

    @pytest.mark.parametrize("half", [0, 9])
    @pytest.mark.gen_test
    async def test_a_read_is_sent_again(
        self, use: Use, redis_server: PrivateRedis, redis_url: str, half: int
    ) -> None:
        async with Proxy(redis_server.port) as proxy:
            server = use(proxy.url)
            await server.command("RPUSH", "list", "a", "b")
            await server.command("HSET", "h", "a", "1")
            proxy.cuts = [half]
            assert await server.command("HGETALL", "h") == ["a", "1"]
            await server.close()

    @pytest.mark.gen_test
    async def test_a_read_is_sent_again_once(
        self, use: Use, redis_server: PrivateRedis, redis_url: str
    ) -> None:
        heard = 0

        def cut(command: list[bytes]) -> bytes:
            nonlocal heard
            heard += 1
            peer.writers[-1].close()
            return b""

        async with Scripted(cut) as peer:
            with pytest.raises(ConnectionLost):
                await use(peer.url).command("GET", "a")
        assert heard == 2

    @pytest.mark.gen_test
    async def test_a_write_fails_and_says_that_it_may_have_happened(
        self, use: Use, redis_server: PrivateRedis, redis_url: str
    ) -> None:
        async with Proxy(redis_server.port) as proxy:
            server = use(proxy.url)
            await server.command("PING")
            proxy.cuts = [1]
            with pytest.raises(ConnectionLost, match="may have been carried out"):
                await server.command("INCR", "a")
            assert await server.command("GET", "a") == "1"
            await server.close()

    @pytest.mark.gen_test
    async def test_what_was_not_sent_yet_moves_to_another_connection(
        self, use: Use, redis_server: PrivateRedis, redis_url: str
    ) -> None:
        async with Proxy(redis_server.port) as proxy:
            server = use(proxy.url)
            await server.command("PING")
            proxy.to_redis[0].clear()
            (huge,) = await asked(server.command("SET", "huge", HUGE))
            await asyncio.sleep(0.1)
            (small,) = await asked(server.command("INCR", "small"))
            proxy.clients[0].transport.abort()
            with pytest.raises(ConnectionLost):
                await huge
            assert await small == 1
            await server.close()

    @pytest.mark.gen_test
    async def test_a_reply_that_nobody_asked_for_reaches_nobody(self, use: Use) -> None:
        async with Scripted(lambda command: b"+%s\r\n+more\r\n" % command[1]) as peer:
            server = use(peer.url)
            assert await server.command("ECHO", "one") == "one"
            await asyncio.sleep(0.01)
            assert await server.command("ECHO", "two") == "two"
        assert [len(heard) for heard in peer.heard] == [1, 1]

    @pytest.mark.gen_test
    async def test_what_is_not_redis_is_unavailable(self, use: Use) -> None:
        async with Scripted(lambda command: b"HTTP/1.1 400 Bad Request\r\n") as peer:
            with pytest.raises(ConnectionError):
                await use(peer.url).command("SET", "a", 1)


class TestRefusals:
    @pytest.mark.gen_test
    async def test_a_server_that_refuses_is_unavailable_until_it_is_back(
        self, server: RedisServer, redis_server: PrivateRedis
    ) -> None:
        await server.command("SET", "a", 1)
        redis_server.kill()
        for _ in range(3):
            with pytest.raises(ConnectionError, match="Connect"):
                await server.command("GET", "a")
        redis_server.restart()
        assert await server.command("GET", "a") == "1"

    @pytest.mark.gen_test
    async def test_while_a_server_refuses_few_attempts_are_made(self, use: Use) -> None:
        async with Scripted(lambda command: b"") as peer:
            server, peer.refusals = use(peer.url), 1000
            waiting = [server.command("GET", "a") for _ in range(200)]
            errors = {await refused(one) for one in waiting}
            assert len(errors) == 200  # each with a traceback of its own
            assert 2 <= 1000 - peer.refusals < 20

    @pytest.mark.gen_test
    async def test_who_was_back_is_not_avoided_at_its_next_failure(self, use: Use) -> None:
        async with Scripted(lambda command: b"+OK\r\n") as peer:
            server, peer.refusals = use(peer.url), 4
            while peer.refusals:
                await refused(server.command("GET", "a"))
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert await server.command("GET", "a") == "OK"
            peer.writers[-1].close()
            peer.refusals = 1
            await refused(server.command("GET", "a"))
            assert await server.command("GET", "a") == "OK"

    @pytest.mark.gen_test
    async def test_a_wrong_password_is_named_and_not_shown(
        self, use: Use, redis_servers: Start
    ) -> None:
        (private,) = redis_servers(1, password="right")
        with pytest.raises(ConnectionError, match="invalid username-password") as caught:
            await use(private.url.replace("right", "guess")).command("PING")
        assert "guess" not in str(caught.value)

    @pytest.mark.gen_test
    async def test_a_user_and_password_are_used(self, use: Use, redis_servers: Start) -> None:
        (private,) = redis_servers(1, password="p@ss w/ü")
        await use(private.url).command(
            "ACL", "SETUSER", "ann", "on", ">secret", "~*", "+get", "+client"
        )
        ann = use(f"redis://ann:secret@{private.host}:{private.port}")
        assert await ann.command("GET", "a") is None
        with pytest.raises(redis.exceptions.NoPermissionError):
            await ann.command("SET", "a", 1)

    @pytest.mark.gen_test
    async def test_too_many_clients_is_unavailable(self, use: Use, redis_servers: Start) -> None:
        (private,) = redis_servers(1)
        first, second = use(private.url), use(private.url)
        await first.command("CONFIG", "SET", "maxclients", 1)
        with pytest.raises(ConnectionError):
            await second.command("PING")
        await first.command("CONFIG", "SET", "maxclients", 10)
        await asyncio.sleep(0.02)
        assert await second.command("PING") == "PONG"

    @pytest.mark.gen_test
    async def test_a_server_that_loads_its_data_is_unavailable(self, use: Use) -> None:
        def load(command: list[bytes]) -> bytes:
            return b"+PONG\r\n" if command == [b"PING"] else b"-LOADING Redis is loading\r\n"

        async with Scripted(load) as peer:
            server = use(peer.url)
            waiting = await asked(server.command("SET", "a", 1), server.command("PING"))
            with pytest.raises(ConnectionError, match="Redis is loading"):
                await waiting[0]
            assert await waiting[1] == "PONG"

    @pytest.mark.gen_test
    async def test_a_replica_answers_reads_and_refuses_writes(
        self, use: Use, redis_servers: Start
    ) -> None:
        server = use(redis_servers(1)[0].url)
        await server.command("SET", "a", 1)
        await server.command("REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(redis.exceptions.ReadOnlyError):
            await server.command("SET", "a", 2)
        assert await server.command("GET", "a") == "1"

    @pytest.mark.gen_test
    async def test_a_redirection_is_an_error_and_is_not_followed(self, use: Use) -> None:
        async with Scripted(lambda command: b"-MOVED 866 127.0.0.1:1\r\n") as peer:
            with pytest.raises(redis.exceptions.MovedError):
                await use(peer.url).command("GET", "a")

    @pytest.mark.gen_test
    async def test_a_database_that_is_not_there_is_unavailable(
        self, use: Use, redis_server: PrivateRedis
    ) -> None:
        server = use(f"redis://127.0.0.1:{redis_server.port}/9999")
        with pytest.raises(ConnectionError, match="DB index is out of range"):
            await server.command("PING")


class TestAddresses:
    @pytest.mark.gen_test
    async def test_a_unix_socket(self, use: Use, redis_servers: Start, tmp_path: Path) -> None:
        path = tmp_path / "redis.sock"
        redis_servers(1, unixsocket=str(path))
        server = use(f"unix://{path}?db=1")
        assert await server.command("PING") == "PONG"
        assert server.name == f"unix://{path}"

    @pytest.mark.gen_test
    async def test_tls(self, use: Use, redis_servers: Start) -> None:
        folder = Path(tornado.__file__).parent / "test"
        certificate, key = folder / "test.crt", folder / "test.key"
        (private,) = redis_servers(1, tls_cert_file=str(certificate), tls_key_file=str(key))
        plain = use(private.url)
        await plain.command("CONFIG", "SET", "tls-auth-clients", "no")
        async with Proxy(1) as unused:
            port = unused.port
        await plain.command("CONFIG", "SET", "tls-port", port)
        url = f"rediss://127.0.0.1:{port}?ssl_check_hostname=false"
        with pytest.raises(ConnectionError, match="certificate verify failed"):
            await use(url).command("PING")
        server = use(f"{url}&ssl_ca_certs={certificate}")
        assert await server.command("PING") == "PONG"
        line = server._shared().line
        assert line is not None
        writer = line._connection._writer
        await server.close()
        assert writer.get_extra_info("socket") is None  # let go, and not only told to close

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("redis://ann:secret@h", "h:6379/0"),
            ("redis://:secret@h:1/2", "h:1/2"),
            ("rediss://h/3?password=secret", "h:6379/3"),
            ("unix://:secret@/run/redis.sock", "unix:///run/redis.sock"),
        ],
    )
    def test_a_name_has_no_password(self, url: str, name: str) -> None:
        assert RedisServer(url, "url").name == name

    @pytest.mark.parametrize(
        "query", ["socket_timeout=0", "socket_connect_timeout=-1", "socket_timeout=nan"]
    )
    def test_a_wrong_timeout_is_refused(self, query: str) -> None:
        with pytest.raises(ConfigurationError, match="timeout"):
            RedisServer(f"redis://h?{query}", "url")


class TestLoops:
    @pytest.mark.gen_test
    async def test_closing_leaves_no_task_and_no_connection(
        self, server: RedisServer, redis_url: str
    ) -> None:
        before = asyncio.all_tasks()
        await server.command("PING")
        await server.close()
        assert asyncio.all_tasks() == before
        async with redis.asyncio.Redis.from_url(redis_url) as admin:
            assert len(await admin.client_list()) == 1

    @pytest.mark.gen_test
    async def test_closing_waits_for_the_replies_that_are_due(self, server: RedisServer) -> None:
        waiting = await asked(server.command("SET", "a", 1), server.command("GET", "a"))
        await server.close()
        assert await asyncio.gather(*waiting) == ["OK", "1"]

    @pytest.mark.gen_test
    async def test_closing_does_not_wait_for_a_frozen_server(
        self, server: RedisServer, redis_server: PrivateRedis
    ) -> None:
        before = asyncio.all_tasks()
        await server.command("PING")
        redis_server.freeze()
        waiting = await asked(server.command("SET", "a", 1))
        await server.close()
        with pytest.raises(TimeoutError):
            await waiting[0]
        assert asyncio.all_tasks() == before

    @pytest.mark.gen_test
    async def test_a_closed_server_may_be_used_again(self, server: RedisServer) -> None:
        for _ in range(2):
            assert await server.command("PING") == "PONG"
            await server.close()

    def test_loops_that_have_ended_are_forgotten(self, redis_url: str) -> None:
        server = RedisServer(redis_url, "url")
        for _ in range(3):
            assert asyncio.run(server.command("PING")) == "PONG"
        assert len(server._loops) == 1

    def test_a_loop_that_ends_while_commands_wait_ends_quietly(
        self, redis_server: PrivateRedis, redis_url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = RedisServer(redis_url, "url")

        async def leave() -> None:
            await server.command("PING")
            redis_server.freeze()
            await asked(*(server.command("GET", "a") for _ in range(3)))
            await asyncio.sleep(0.05)
            await asked(*(server.command("GET", "a") for _ in range(3)))

        asyncio.run(leave())
        gc.collect()
        assert caplog.text == ""

    # What asyncio says of every task and transport that outlives its loop.
    @pytest.mark.filterwarnings(
        "ignore:.*unclosed transport:pytest.PytestUnraisableExceptionWarning"
    )
    @pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
    def test_a_loop_that_is_closed_before_the_connection_leaves_nothing_to_raise(
        self, redis_url: str
    ) -> None:
        loop, raised = asyncio.new_event_loop(), []
        server = RedisServer(redis_url, "url")
        assert loop.run_until_complete(server.command("PING")) == "PONG"
        loop.close()
        hook, sys.unraisablehook = sys.unraisablehook, lambda args: raised.append(args.exc_value)
        try:
            del server, loop
            gc.collect()
        finally:
            sys.unraisablehook = hook
        assert not [exc for exc in raised if not isinstance(exc, ResourceWarning)]

    @pytest.mark.gen_test
    async def test_errors_that_nobody_waits_for_are_not_logged(
        self, server: RedisServer, redis_server: PrivateRedis, caplog: pytest.LogCaptureFixture
    ) -> None:
        await server.command("PING")
        redis_server.freeze()
        waiting = await asked(*(server.command("GET", "a") for _ in range(3)))
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        redis_server.kill()
        await asyncio.sleep(0.05)
        gc.collect()
        assert caplog.text == ""


class TestClientsOfTheCaller:
    @pytest.mark.gen_test
    async def test_a_client_that_does_not_answer_times_out(
        self, redis_server: PrivateRedis, redis_url: str
    ) -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            await client.ping()
            redis_server.freeze()
            with pytest.raises(TimeoutError):
                await RedisServer(client, "client").command("PING")
            redis_server.thaw()

    @pytest.mark.gen_test
    async def test_the_errors_of_a_client_are_those_of_a_url(
        self, redis_server: PrivateRedis, redis_url: str
    ) -> None:
        async with redis.asyncio.Redis.from_url(redis_url, retry=None) as client:
            server = RedisServer(client, "client")
            with pytest.raises(redis.exceptions.ResponseError):
                await server.command("NONSENSE")
            redis_server.kill()
            with pytest.raises(ConnectionError):
                await server.command("PING")
