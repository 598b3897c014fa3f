"""The nginx file of ``demo_app/deploy``, in a real nginx before two processes of the app."""

import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from html5lib import parse
from tornado.web import Application

import demo_app
from tests.demo_app.conftest import PASSWORD, SOCKET
from tests.demo_app.process import Program
from tests.demo_app.talker import Talker
from tornado_ext.testing import Client, RedisServer
from tornado_ext.testing._guard import Guard
from tornado_ext.testing._process import free_port

CONF = Path(demo_app.__file__).parent / "deploy" / "nginx.conf"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
PATIENCE = 10  # seconds for nginx to start


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deploy")


@pytest.fixture(scope="module")
def apps(directory: Path) -> Iterator[list[Program]]:
    with ExitStack() as running:
        redis = running.enter_context(RedisServer())
        options = [f"--data={directory}", f"--sessions={redis.url}", f"--rooms={redis.url}"]
        options.append("--trusted-proxies=127.0.0.1/32")
        started = [
            running.enter_context(Program("demo_app", "--port=0", *options)) for _ in range(2)
        ]
        for program in started:
            program.prints(r"^http://")
        yield started


@pytest.fixture(scope="module")
def address(apps: list[Program], directory: Path) -> Iterator[str]:
    """Where nginx is."""
    conf = CONF.read_text().replace("listen 80;", f"listen 127.0.0.1:{(port := free_port())};")
    for number, program in enumerate(apps, 1):
        conf = conf.replace(f"app-{number}:8000", program.prints(r"^http://(\S+)$")[0][1])
    paths = "".join(f"{name}_temp_path {directory}/{name};\n" for name in TEMPORARY)
    (directory / "nginx.conf").write_text(conf.replace("http {", "http {\n" + paths, 1))
    command = [shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(directory)]
    command += ["-c", str(directory / "nginx.conf"), "-e", "stderr"]
    guard = Guard("nginx")
    process = guard.spawn([*command, "-g", f"daemon off; pid {directory}/nginx.pid;"])
    try:
        deadline = time.monotonic() + PATIENCE
        while not (directory / "nginx.pid").exists():
            assert process.poll() is None, guard.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        guard.close()


@pytest.fixture
def nginx(address: str) -> Client:
    """Somebody who comes through nginx."""
    return Client(Application(xsrf_cookies=True), address)


@pytest.mark.gen_test(timeout=30)
async def test_nobody_makes_up_his_address(nginx: Client) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9"}
    form = {"name": "eve", "password": PASSWORD}
    await nginx.post("/register", form, headers=headers)
    page = parse((await nginx.get("/account")).body, namespaceHTMLElements=False)
    sessions = page.find(".//ul[@class='sessions']")
    assert "127.0.0.1" in "".join(sessions.itertext())
    assert "203.0.113.9" not in "".join(sessions.itertext())


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_nobodys_business_outside(
    nginx: Client, apps: list[Program], path: str
) -> None:
    assert (await nginx.get(path)).code == 404
    inside = apps[0].prints(r"^(http://\S+)$")[0][1]
    assert (await nginx.get(inside + path)).code == 200


@pytest.mark.gen_test(timeout=30)
async def test_people_chat_through_nginx_though_a_process_is_killed(
    nginx: Client, apps: list[Program]
) -> None:
    response = await nginx.post("/register", {"name": "ann", "password": PASSWORD})
    assert response.code == 200
    for killed in (None, apps[0]):
        if killed is not None:
            killed.end(signal.SIGKILL)
        ann = Talker(await nginx.websocket(SOCKET))
        await ann.next("ready")
        await ann.say(f"hello {killed is None}")
        assert await ann.hears() == f"hello {killed is None}"
        ann.socket.close()
        assert (await nginx.get("/rooms/lobby")).code == 200


def test_compose_file_names_what_nginx_asks() -> None:
    compose = (CONF.parent / "compose.yaml").read_text()
    for host in re.findall(r"server (\S+):8000", CONF.read_text()):
        assert f"\n  {host}:" in compose
    hosts = set(re.findall(r"redis://(\S+)|@(\S+)/chat", compose))
    for host in {name for pair in hosts for name in pair if name}:
        assert f"\n  {host}:" in compose
