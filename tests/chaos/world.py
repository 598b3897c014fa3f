"""What there is to break: Redis servers by name, and app processes on a ring of them."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

import redis

from tests.chaos.proxy import DelayingProxy
from tests.chaos.wire import Cut, Wire
from tornado_ext.testing import RedisServer
from tornado_ext.testing._guard import Guard
from tornado_ext.testing._process import free_port

APP = Path(__file__).with_name("app.py")
START_TIMEOUT = 30.0  # seconds
STOP_TIMEOUT = 15.0  # seconds
NOTICED = 1.1  # seconds after which every process has looked at every node
SETTLE_TIMEOUT = 120.0  # seconds
POLL_INTERVAL = 0.1  # seconds


class NotSettled(Exception):
    """The processes did not call all nodes ok in time. The message has what they say."""


class AppProcess:
    """One process of the app; it keeps its port when it is restarted."""

    def __init__(self) -> None:
        self.port = free_port()
        self.said = ""  # by those that have ended
        self._guard = Guard("chaos-app")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, arguments: list[str]) -> None:
        command = [sys.executable, str(APP), str(self.port), *arguments]
        self._process = self._guard.spawn(command)

    def stop(self) -> None:
        """Have it finish its requests and end."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(STOP_TIMEOUT)
        self.said += self._guard.log.read_text()

    def kill(self) -> None:
        """End it in the middle of what it does."""
        assert self._process is not None
        self._guard.kill(self._process)
        self.said += self._guard.log.read_text()

    def close(self) -> None:
        """End it at once."""
        if self._guard.log.exists():
            self.said += self._guard.log.read_text()
        self._guard.close()
        if self._process is not None:
            self._process.wait()


class World:
    """Servers that are the nodes of a ring, and app processes that keep sessions there.

    These wait ``timeout`` seconds for a node, and half of it for a connection.
    """

    def __init__(
        self, names: Iterable[str], *, proxied: str = "", timeout: float = 0.5, apps: int = 2
    ) -> None:
        self.servers: dict[str, RedisServer] = {}
        self.ring = list(names)
        self.weights: dict[str, int] = {}
        self.proxies: dict[str, DelayingProxy] = {}
        self.apps = [AppProcess() for _ in range(apps)]
        self.wire = Wire([app.port for app in self.apps])
        self._proxied = proxied
        self._query = f"socket_timeout={timeout}&socket_connect_timeout={timeout / 2}"
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.wire.aclose)
            for app in self.apps:
                stack.callback(app.close)
            self._stack = stack
            for name in self.ring:
                await self.add(name)
            for app in self.apps:
                await self.start(app)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def add(self, name: str) -> None:
        """Start one more server; the ring has it when it is configured."""
        server = self.servers[name] = RedisServer()
        self._stack.callback(server.stop)
        await asyncio.to_thread(server.start)
        if name == self._proxied:
            proxy = self.proxies[name] = DelayingProxy(server.port)
            await self._stack.enter_async_context(proxy)

    def nodes(self, called: Mapping[str, str]) -> list[str]:
        """Return the ring the way that command lines take it; some nodes are ``called`` so."""
        at: dict[str, RedisServer | DelayingProxy] = {**self.servers, **self.proxies}
        return [f"{called.get(name, name)}={at[name].url}?{self._query}" for name in self.ring]

    async def start(self, app: AppProcess) -> None:
        """Start a process on the ring as it is configured now, and wait until it serves."""
        weights = [f"--weight={name}={weight}" for name, weight in self.weights.items()]
        app.start([*self.nodes({}), *weights])
        async with asyncio.timeout(START_TIMEOUT):
            while await self._states(app) is None:
                await asyncio.sleep(POLL_INTERVAL)

    async def restart(self, app: AppProcess, *, kill: bool = False) -> None:
        """Have a process end, in good order or not, and start it on the ring as it is now."""
        self.wire.restarting = True
        await asyncio.to_thread(app.kill if kill else app.stop)
        await self.start(app)
        self.wire.restarting = False

    async def settle(self) -> float:
        """Wait until all processes call all nodes ok; return the seconds. Raises `NotSettled`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(NOTICED)
        while True:
            said = [await self._states(app) for app in self.apps]
            if all(states == dict.fromkeys(self.ring, "ok") for states in said):
                return loop.time() - began
            if loop.time() > began + SETTLE_TIMEOUT:
                raise NotSettled(str(said))
            await asyncio.sleep(POLL_INTERVAL)

    async def rebalance(self, *leaving: str) -> None:
        """Give each node what it owns, and no more, as people do it; raises `NotSettled`."""
        nodes = self.nodes({name: f"{name}*{weight}" for name, weight in self.weights.items()})
        for name in leaving:
            nodes += ["--from", f"{name}={self.servers[name].url}?{self._query}"]
        command = [sys.executable, "-m", "tornado_ext.sessions.ring", "rebalance", *nodes]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
        if done.returncode != 0:
            raise NotSettled(f"rebalance: {done.stdout} {done.stderr}")

    async def configure(self, name: str, setting: str, value: str | int) -> None:
        """Set an option of a running server."""

        def configure() -> None:
            with redis.Redis.from_url(self.servers[name].url) as admin:
                admin.config_set(setting, value)

        await asyncio.to_thread(configure)

    async def kill(self, name: str) -> None:
        await asyncio.to_thread(self.servers[name].kill)

    async def bring_back(self, name: str, *, data: Path | None = None, empty: bool = False) -> None:
        """Start a server that was killed: with its data, with this copy of them, or empty."""
        server = self.servers[name]
        if data is not None:
            shutil.rmtree(server.data)
            shutil.copytree(data, server.data)
        await asyncio.to_thread(server.restart, empty=empty)

    async def _states(self, app: AppProcess) -> dict[str, str] | None:
        """Return what a process says of each node; None if it says nothing."""
        with suppress(OSError, Cut):
            reply = await self.wire.ask_at(app.port, "/health")
            if reply.status == 200:
                return {name: node["state"] for name, node in reply.body.items()}
        return None
