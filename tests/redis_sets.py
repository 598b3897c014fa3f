"""Redis servers that belong together: a master with its Sentinels, and a Cluster."""

import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import redis
import redis.asyncio
from redis.asyncio.sentinel import Sentinel

from tornado_ext.testing import RedisServer
from tornado_ext.testing._process import find_program, free_port

MASTER = "sessions"
DOWN_AFTER = 300  # milliseconds of silence
PATIENCE = 15.0  # seconds
REPLICATION = {"repl_diskless_sync_delay": 0, "repl_timeout": 5}


class SentinelServer(RedisServer):
    """A private Sentinel that watches the master on a port."""

    def __init__(self, master_port: int) -> None:
        super().__init__()
        self.master_port = master_port

    def _command(self) -> list[str]:
        conf = self.data / "sentinel.conf"
        if not conf.exists():  # it keeps there what it learns
            conf.write_text(
                f"port {self.port}\nbind {self.host}\ndir {self.data}\n"
                f"sentinel monitor {MASTER} {self.host} {self.master_port} 2\n"
                f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER}\n"
                f"sentinel failover-timeout {MASTER} 2000\n"
            )
        return [self._program, str(conf), "--sentinel"]

    def _is_ready(self) -> bool:
        with suppress(redis.ConnectionError), redis.Redis(port=self.port) as client:
            return bool(client.info()["process_id"] == self.pid)
        return False

    def knows(self, sentinels: int) -> bool:
        """Tell whether it has found the other Sentinels, and one replica that is up to date."""
        with redis.Redis(port=self.port, decode_responses=True) as client:
            state = client.sentinel_master(MASTER)
            (replica,) = client.sentinel_slaves(MASTER) or [{}]
        return state["num-other-sentinels"] == sentinels - 1 and (
            replica.get("master-link-status") == "ok" and not replica["is_sdown"]
        )


@dataclass
class SentinelSet:
    """A master, its replica, and the Sentinels that watch them."""

    servers: list[RedisServer]
    sentinels: list[SentinelServer]

    @asynccontextmanager
    async def client(self) -> AsyncIterator[redis.asyncio.Redis]:
        """Lend a client of the master, whichever that is."""
        watchers = [(sentinel.host, sentinel.port) for sentinel in self.sentinels]
        sentinel = Sentinel(watchers, socket_timeout=0.2)
        try:
            async with sentinel.master_for(MASTER) as client:
                yield client
        finally:
            for watcher in sentinel.sentinels:
                await watcher.aclose()

    def master(self) -> RedisServer:
        """Return the server that the Sentinels call master."""
        with redis.Redis(port=self.sentinels[0].port, decode_responses=True) as client:
            _, port = client.sentinel_get_master_addr_by_name(MASTER)
        return next(server for server in self.servers if server.port == int(port))

    def settle(self) -> None:
        """Wait until every Sentinel knows the others and a replica that follows its master."""
        wait_until(lambda: all(one.knows(len(self.sentinels)) for one in self.sentinels))


@contextmanager
def sentinel_set(sentinels: int = 3) -> Iterator[SentinelSet]:
    """Run a master, a replica, and Sentinels."""
    with ExitStack() as running:
        master = running.enter_context(RedisServer(**REPLICATION))
        follow = f"{master.host} {master.port}"
        replica = running.enter_context(RedisServer(replicaof=follow, **REPLICATION))
        watching = [running.enter_context(SentinelServer(master.port)) for _ in range(sentinels)]
        found = SentinelSet([master, replica], watching)
        found.settle()
        yield found


@contextmanager
def cluster(nodes: int = 3) -> Iterator[list[RedisServer]]:
    """Run a Redis Cluster of masters; those that are left serve what they have."""
    with ExitStack() as running:
        servers = [
            running.enter_context(
                RedisServer(
                    cluster_enabled="yes",
                    cluster_port=free_port(),
                    cluster_node_timeout=1000,
                    cluster_require_full_coverage="no",
                )
            )
            for _ in range(nodes)
        ]
        addresses = [f"{server.host}:{server.port}" for server in servers]
        program = find_program("redis-cli", "redis-tools")
        subprocess.run(
            [program, "--cluster", "create", *addresses, "--cluster-yes"],
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        wait_until(lambda: all(in_cluster(server) for server in servers))
        yield servers


def in_cluster(server: RedisServer) -> bool:
    """Tell whether a node serves its part of the Cluster."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        return bool(client.cluster("info")["cluster_state"] == "ok")


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask until the answer is yes; raise TimeoutError after 15 seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)
