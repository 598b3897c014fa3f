"""The pytest plugin: every test gets its servers running and empty."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import redis

from tornado_ext.testing import MariaDBServer, RedisServer

NO_PROGRAMS = """
import pytest
from tornado_ext.testing import _process

pytest_plugins = ["tornado_ext.testing.fixtures"]

@pytest.fixture(autouse=True, scope="session")
def no_programs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        patch.setattr(_process, "SYSTEM_PATH", "/nowhere")
        yield
"""

NEEDS_SERVERS = """
def test_redis(redis_url): pass
def test_mysql(mysql_url): pass
"""


class TestRedisUrl:
    """Each test leaves behind what the next one must not see, in the order of this file."""

    def test_is_the_shared_server_s(self, redis_url: str, redis_server: RedisServer) -> None:
        assert redis_url == redis_server.url
        with redis.Redis.from_url(redis_url) as connection:
            connection.set("left", "behind")

    def test_is_empty_and_survives_a_kill(self, redis_url: str, redis_server: RedisServer) -> None:
        with redis.Redis.from_url(redis_url) as connection:
            assert connection.dbsize() == 0
        redis_server.kill()

    def test_runs_after_a_kill_and_survives_a_freeze(
        self, redis_url: str, redis_server: RedisServer
    ) -> None:
        with redis.Redis.from_url(redis_url) as connection:
            assert connection.ping()
        redis_server.freeze()

    def test_runs_after_a_freeze(self, redis_url: str) -> None:
        with redis.Redis.from_url(redis_url, socket_timeout=5) as connection:
            assert connection.ping()


class TestMysqlUrl:
    """Each test leaves behind what the next one must not see, in the order of this file."""

    def test_is_an_empty_database(self, mysql_url: str, mariadb_server: MariaDBServer) -> None:
        name = mysql_url.rpartition("/")[2]
        assert mysql_url == mariadb_server.url_of(name)
        assert mariadb_server.query(f"SHOW TABLES FROM {name}") == ""
        mariadb_server.query(f"CREATE TABLE {name}.t (n INT)")

    def test_is_another_one_each_time(self, mysql_url: str, mariadb_server: MariaDBServer) -> None:
        mine = mysql_url.rpartition("/")[2]
        databases = mariadb_server.query("SHOW DATABASES LIKE 'test\\_%'").split()
        assert databases == [mine]
        mariadb_server.freeze()

    def test_runs_after_a_freeze(self, mysql_url: str, mariadb_server: MariaDBServer) -> None:
        assert mariadb_server.query("SELECT 1") == "1\n"


def test_redis_servers_are_as_many_as_asked_for(
    redis_servers: Callable[..., list[RedisServer]],
) -> None:
    servers = redis_servers(2, maxmemory="2mb") + redis_servers(1, password="pw")
    assert len({server.port for server in servers}) == 3
    with redis.Redis.from_url(servers[2].url) as connection:
        assert connection.ping()


def test_a_missing_program_fails_the_test_and_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(NO_PROGRAMS)
    (tmp_path / "test_it.py").write_text(NEEDS_SERVERS)
    command = [sys.executable, "-m", "pytest", f"--rootdir={tmp_path}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "2 errors" in done.stdout.splitlines()[-1]
    assert "apt-get install redis-server" in done.stdout
    assert "apt-get install mariadb-server" in done.stdout
