"""RedisStore where Redis is more than a server at a host and a port."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest
import redis.asyncio
import tornado
from tornado.ioloop import IOLoop
from tornado.web import Application

from tests.redis_sets import SentinelSet, cluster, in_cluster, sentinel_set, wait_until
from tests.sessions.acting import Do, put, shown, twin_of
from tornado_ext.sessions import Change, Record, StoreUnavailable
from tornado_ext.sessions.redis import RedisStore
from tornado_ext.testing import Client, RedisServer
from tornado_ext.testing._process import free_port
from tornado_ext.testing.store_suite import TTL, StoreSuite

RECORD = Record({"a": "1"}, 1.5, 2.5)
KEYS = [f"key{number}" for number in range(15)]
CERTIFICATES = Path(tornado.__file__).parent / "test"


@pytest.fixture(scope="session")
def sentinels() -> Iterator[SentinelSet]:
    with sentinel_set() as running:
        yield running


@pytest.fixture(scope="session")
def nodes() -> Iterator[list[RedisServer]]:
    with cluster() as running:
        yield running


@contextmanager
def use(io_loop: IOLoop, redis_set: SentinelSet) -> Iterator[redis.asyncio.Redis]:
    stack = AsyncExitStack()
    yield io_loop.run_sync(lambda: stack.enter_async_context(redis_set.client()))
    io_loop.run_sync(stack.aclose)


@pytest.fixture
def on_sentinel(io_loop: IOLoop, sentinels: SentinelSet) -> Iterator[RedisStore]:
    with use(io_loop, sentinels) as client:
        io_loop.run_sync(client.flushall)
        yield RedisStore(client)


@pytest.fixture
def on_cluster(io_loop: IOLoop, nodes: list[RedisServer]) -> Iterator[RedisStore]:
    for node in nodes:
        node.flush()
    client = redis.asyncio.RedisCluster(host=nodes[0].host, port=nodes[0].port)
    io_loop.run_sync(client.initialize)
    yield RedisStore(client)
    io_loop.run_sync(client.aclose)


@pytest.fixture(scope="session")
def unix_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("socket") / "redis.sock"
    with RedisServer(unixsocket=str(path)):
        yield path


@pytest.fixture(scope="session")
def tls_server() -> Iterator[RedisServer]:
    certificate, key = CERTIFICATES / "test.crt", CERTIFICATES / "test.key"
    with RedisServer(
        tls_port=free_port(),
        tls_cert_file=str(certificate),
        tls_key_file=str(key),
        tls_auth_clients="no",
    ) as server:
        yield server


class TestOnSentinel(StoreSuite):
    @pytest.fixture
    def store(self, on_sentinel: RedisStore) -> RedisStore:
        return on_sentinel


class TestOnCluster(StoreSuite):
    @pytest.fixture
    def store(self, on_cluster: RedisStore) -> RedisStore:
        return on_cluster


class TestOnUnixSocket(StoreSuite):
    @pytest.fixture
    def store(self, io_loop: IOLoop, unix_socket: Path) -> Iterator[RedisStore]:
        with redis.Redis(unix_socket_path=str(unix_socket)) as admin:
            admin.flushall()
        store = RedisStore(f"unix://{unix_socket}")
        yield store
        io_loop.run_sync(store.close)


class TestOverTLS(StoreSuite):
    @pytest.fixture
    def store(self, io_loop: IOLoop, tls_server: RedisServer) -> Iterator[RedisStore]:
        tls_server.flush()
        with redis.Redis.from_url(tls_server.url) as admin:
            port = admin.config_get("tls-port")["tls-port"]
            certificate = CERTIFICATES / "test.crt"
            query = f"ssl_check_hostname=false&ssl_ca_certs={certificate}"
            store = RedisStore(f"rediss://127.0.0.1:{port}?{query}")
            yield store

            async def close() -> None:
                await store.close()
                while admin.info("clients")["connected_clients"] > 1:
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.005)  # asyncio lets go of a TLS socket some turns later

            io_loop.run_sync(close)


# A master that is lost.


@pytest.fixture
def redis_set() -> Iterator[SentinelSet]:
    with sentinel_set() as running:
        yield running


@pytest.fixture
def app(app: Application, io_loop: IOLoop, redis_set: SentinelSet) -> Iterator[Application]:
    with use(io_loop, redis_set) as client:
        app.settings["session_store"] = RedisStore(client)
        yield app


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("lose", ["kill", "freeze"])
async def test_sessions_survive_a_failover(
    do: Do, client: Client, redis_set: SentinelSet, lose: str
) -> None:
    await do(lambda h: (h.session.login(7), h.session.update(a=1))[1])
    cookie = client.cookie("session")
    other = Client(client.app, client.base_url)
    await do(lambda h: h.session.login(8), by=other)
    ended = twin_of(other)
    await do(lambda h: h.session.logout(), by=other)
    async with redis_set.client() as admin:
        assert await admin.wait(1, 5000) == 1  # the replica has all of it
    getattr(master := redis_set.master(), lose)()
    async with asyncio.timeout(20):
        while (reply := await do(put(b=2))).code != 200:
            assert (reply.code, client.cookie("session")) == (503, cookie)
            await asyncio.sleep(0.02)
    assert redis_set.master() is not master
    for bring_back in (lambda: None, master.thaw if lose == "freeze" else master.restart):
        bring_back()
        assert await shown(do, by=ended) == {"user": None}
        assert await shown(do) == {"user": "7", "a": 1, "b": 2}


# A node that is lost.


@pytest.mark.gen_test(timeout=30)
async def test_lost_node_of_a_cluster_takes_only_its_own_sessions_along_until_it_is_back(
    on_cluster: RedisStore, nodes: list[RedisServer]
) -> None:
    for key in KEYS:
        await on_cluster.create(key, RECORD, TTL)
    nodes[1].kill()
    lost = []
    try:
        for key in KEYS:
            began = time.monotonic()
            try:
                assert await on_cluster.load(key) == RECORD
                assert await on_cluster.save(key, Change({"b": "2"}, (), 3.0, TTL)) == []
            except StoreUnavailable:
                lost.append(key)
            assert time.monotonic() - began < 2
    finally:
        nodes[1].restart()
    assert 0 < len(lost) < len(KEYS)
    wait_until(lambda: in_cluster(nodes[1]))
    assert [await on_cluster.load(key) for key in lost] == [RECORD] * len(lost)
