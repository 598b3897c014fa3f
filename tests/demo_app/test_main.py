"""``python -m demo_app`` and ``python -m demo_app.full``, as people start and stop them."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tornado.web import Application

from tests.demo_app.conftest import PASSWORD
from tests.demo_app.process import Program
from tornado_ext.testing import Client

ADDRESS = r"^http://127\.0\.0\.1:\d+$"
ANN = {"name": "ann", "password": PASSWORD}


def run(directory: Path, module: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run to its end what is expected to end by itself."""
    command = [sys.executable, "-m", module, *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=directory, timeout=30)


@pytest.mark.gen_test(timeout=30)
async def test_restart_keeps_people_logged_in_and_messages_there() -> None:
    with Program("demo_app", "--port=0") as program:
        client = Client(Application(xsrf_cookies=True), program.prints(ADDRESS)[0][0])
        await client.post("/register", ANN)
        socket = await client.websocket("/rooms/lobby/socket")
        await socket.write_message('{"type": "say", "key": "1", "text": "remember this"}')
        while "remember this" not in str(await socket.read_message()):
            pass
        socket.close()
        program.restart()
        client.base_url = program.prints(ADDRESS)[0][0]
        page = await client.get("/rooms/lobby", follow_redirects=False)
    assert page.code == 200
    assert b"remember this" in page.body


@pytest.mark.gen_test(timeout=30)
async def test_language_is_the_browsers_or_what_was_chosen() -> None:
    # In a process of its own: Tornado keeps a language for good, once it was asked for.
    with Program("demo_app", "--port=0") as program:
        client = Client(Application(), program.prints(ADDRESS)[0][0])
        accepts = {"Accept-Language": "zh-CN,zh;q=0.9"}
        chinese = (await client.get("/login", headers=accepts)).body.decode()
        assert 'lang="zh-CN"' in chinese
        assert "欢迎回来" in chinese
        back = await client.get("/language/en_US?next=/login", follow_redirects=False)
        assert back.headers["Location"] == "/login"
        assert 'lang="en-US"' in (await client.get("/login", headers=accepts)).body.decode()
        away = await client.get("/language/xx?next=//evil.example", follow_redirects=False)
        assert away.headers["Location"] == "/"
        assert not away.headers.get_list("Set-Cookie")


@pytest.mark.gen_test(timeout=30)
async def test_forms_speak_the_language_of_their_page() -> None:
    with Program("demo_app", "--port=0") as program:
        client = Client(Application(xsrf_cookies=True), program.prints(ADDRESS)[0][0])
        client.set_cookie("lang", "zh_CN")
        pages = [await client.get(path) for path in ("/login", "/register")]
        await client.post("/register", ANN)
        pages += [await client.get(path) for path in ("/", "/account")]
        pages.append(await client.post("/account", {"old": "", "password": ""}))
    for page in pages:
        shown = re.findall(r"(?:<label[^>]*|class=\"field-help[^>]*)>(.*?)<", page.body.decode())
        assert shown
        assert [text for text in shown if re.search("[A-Za-z]", text)] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_without_complaint(number: signal.Signals) -> None:
    with Program("demo_app", "--port=0") as program:
        program.prints(ADDRESS)
        assert program.end(number) == 0
        assert "Traceback" not in program.output


def test_large_request_is_refused_before_it_is_read() -> None:
    with Program("demo_app", "--port=0") as program:
        port = int(program.prints(ADDRESS)[0][0].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stranger:
            stranger.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
            assert stranger.recv(100).startswith(b"HTTP/1.1 400")


def test_files_are_nobody_elses(tmp_path: Path) -> None:
    with Program("demo_app", "--port=0", f"--data={tmp_path / 'new' / 'data'}") as program:
        program.prints(ADDRESS)
        assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "new" / "data" / "chat.db").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--port=70000"],
        ["--port=http"],
        ["--data=/dev/null/data"],
        ["--sessions=nonsense"],
        ["--sessions", "redis://one", "redis://two"],
        ["--sessions", "a=redis://one", "a=redis://two"],
        ["--sessions", "a=redis://one", "b=http://two"],
        ["--sessions", "a=redis://one", "b=redis://one"],
        ["--database=postgres://host/chat"],
        ["--database=mysql://nobody@127.0.0.1:1/chat"],
        ["--rooms=nonsense"],
        ["--trusted-proxies=nonsense"],
        ["--processes=0"],
        ["--nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_setting_is_one_line_that_names_it(tmp_path: Path, options: list[str]) -> None:
    ended = run(tmp_path, "demo_app", *options)
    assert ended.returncode not in (0, None)
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert options[0].partition("=")[0].strip("-") in line


def test_file_that_can_not_be_opened_is_one_line_that_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "chat.db").mkdir()
    ended = run(tmp_path, "demo_app", f"--data={tmp_path}", "--port=0")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "--data: " in line
    assert "chat.db" in line


def test_ctrl_c_before_it_serves_ends_it_without_complaint() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = f"--database=mysql://nobody@127.0.0.1:{silent.getsockname()[1]}/chat"
        with Program("demo_app", "--port=0", database) as program:
            connection, _ = silent.accept()
            assert program.end(signal.SIGINT) == 0
            connection.close()
            assert "Traceback" not in program.output


def test_wrong_address_is_one_line_that_names_it(tmp_path: Path) -> None:
    ended = run(tmp_path, "demo_app", "--address=nowhere.invalid")
    assert ended.returncode not in (0, None)
    (line,) = ended.stderr.splitlines()
    assert "nowhere.invalid" in line


@pytest.mark.parametrize("module", ["demo_app", "demo_app.full"])
def test_port_in_use_is_one_line_that_names_it(tmp_path: Path, module: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run(tmp_path, module, f"--port={port}")
    assert ended.returncode not in (0, None)
    (line,) = ended.stderr.splitlines()
    assert "port" in line
    assert str(port) in line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_full_leaves_no_process_behind(number: signal.Signals) -> None:
    with Program("demo_app.full", "--port=0") as program:
        program.prints(ADDRESS)
        family = list(descendants(program.process.pid))
        assert len(family) >= 7  # five servers, two processes of the app
        assert program.end(number) in (0, -signal.SIGKILL)
        assert "Traceback" not in program.output
        assert survivors(family) == []


@pytest.mark.gen_test(timeout=30)
async def test_ctrl_c_closes_open_sockets_and_leaves_no_process_behind() -> None:
    with Program("demo_app.full", "--port=0") as program:
        program.prints(ADDRESS)
        family = list(descendants(program.process.pid))
        client = Client(Application(xsrf_cookies=True), program.prints(ADDRESS)[0][0])
        await client.post("/register", ANN)
        socket = await client.websocket("/rooms/lobby/socket")
        await socket.read_message()
        os.killpg(program.process.pid, signal.SIGINT)
        while await socket.read_message() is not None:
            pass
        socket.close()
        assert socket.close_code == 1012  # service restart
        assert program.process.wait(15) == 0
        assert survivors(family) == []


@pytest.mark.gen_test(timeout=60)
async def test_full_outlives_each_process_of_the_app() -> None:
    with Program("demo_app.full", "--port=0", "--database=mysql+tornado") as program:
        client = Client(Application(xsrf_cookies=True), program.prints(ADDRESS)[0][0])
        await client.post("/register", ANN)
        pid = await serving(client)
        os.kill(pid, signal.SIGKILL)
        program.prints("killed by signal 9, restarting")
        stopped = await serving(client)
        assert stopped != pid
        os.kill(stopped, signal.SIGTERM)
        while (other := await serving(client)) == stopped:
            pass
        assert other != pid


async def serving(client: Client) -> int:
    """Return the id of the process that answers."""
    page = (await client.get("/internals")).body.decode()
    return int(re.findall(r"<dt>pid</dt><dd>(\d+)</dd>", page)[0])


def descendants(pid: int) -> Iterator[int]:
    """Yield the ids of the processes that a process has started, and that these have."""
    for children in Path("/proc").glob(f"{pid}/task/*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # ended since
            for child in map(int, children.read_text().split()):
                yield child
                yield from descendants(child)


def survivors(pids: list[int], patience: float = 3) -> list[int]:
    """Return those of the processes that still run when ``patience`` seconds are over."""
    deadline = time.monotonic() + patience
    while (alive := [pid for pid in pids if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
