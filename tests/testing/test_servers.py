"""Private servers: what they promise to the tests that use them."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tornado_ext.testing import (
    MariaDBServer,
    MissingProgram,
    PrivateServer,
    RedisServer,
    ServerFailed,
    _process,
)

NOT_NEEDED = ("pytest", "redis", "hiredis", "asyncmy", "tornado_mysql")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def client(server: RedisServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=0.2, protocol=2)


def test_importing_needs_neither_pytest_nor_a_client() -> None:
    code = f"import sys, tornado_ext.testing; print(*set({NOT_NEEDED}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_started_redis_answers(server: RedisServer) -> None:
    with client(server) as connection:
        assert connection.ping()


def test_two_servers_have_ports_and_data_of_their_own(server: RedisServer) -> None:
    with RedisServer() as other, client(server) as one, client(other) as two:
        one.set("key", "one")
        assert two.get("key") is None


def test_a_password_is_part_of_the_url_and_is_needed() -> None:
    with RedisServer(password="p@ss word/ü") as server:
        with client(server) as connection:
            assert connection.ping()
        server.flush()
        server.password = "wrong"
        with pytest.raises(ServerFailed, match="WRONGPASS"):
            server.flush()


def test_options_reach_the_server() -> None:
    options = {"maxmemory": "3145728", "maxmemory_policy": "allkeys-lru"}
    with RedisServer(**options) as server, client(server) as connection:
        for name, value in options.items():
            assert value in connection.config_get(name.replace("_", "-")).values()


def test_an_option_may_have_several_words() -> None:
    limit = "pubsub 33554432 8388608 60"
    with RedisServer(client_output_buffer_limit=limit) as server, client(server) as connection:
        assert limit in connection.config_get("client-output*")["client-output-buffer-limit"]


def test_flush_deletes_all_keys(server: RedisServer) -> None:
    with client(server) as connection:
        connection.set("key", "value")
        server.flush()
        assert connection.dbsize() == 0


def test_a_refused_flush_raises_with_the_reason() -> None:
    replica = RedisServer(replicaof="127.0.0.1 1")
    with replica, pytest.raises(ServerFailed, match="READONLY"):
        replica.flush()


def test_a_killed_server_refuses_connections(server: RedisServer) -> None:
    server.kill()
    assert not server.is_running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=1)


def test_acknowledged_writes_outlive_a_kill(server: RedisServer) -> None:
    port = server.port
    with client(server) as connection:
        connection.set("key", "value")
    server.kill()
    server.restart()
    assert server.port == port
    with client(server) as connection:
        assert connection.get("key") == b"value"


def test_restart_empty_drops_the_data(server: RedisServer) -> None:
    with client(server) as connection:
        connection.set("key", "value")
    server.restart(empty=True)
    with client(server) as connection:
        assert connection.dbsize() == 0


def test_a_frozen_server_accepts_and_does_not_answer_until_it_is_thawed(
    server: RedisServer,
) -> None:
    for _ in range(2):
        server.freeze()
        with client(server) as connection, pytest.raises(redis.TimeoutError):
            connection.ping()
        server.thaw()
        with client(server) as connection:
            assert connection.ping()


def test_a_frozen_server_can_be_restarted(server: RedisServer) -> None:
    server.freeze()
    server.restart()
    server.flush()


def test_flush_of_a_frozen_server_is_bounded(server: RedisServer) -> None:
    server.freeze()
    with pytest.raises(ServerFailed, match="did not answer"):
        server.flush()


def test_stop_leaves_nothing_and_may_be_repeated(server: RedisServer) -> None:
    directory = server.data.parent
    assert directory.exists()
    server.freeze()
    server.stop()
    server.stop()
    assert not directory.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=1)


def test_a_stopped_server_can_be_started_again(server: RedisServer) -> None:
    server.stop()
    server.start()
    server.flush()


def test_a_server_is_started_once(server: RedisServer) -> None:
    with pytest.raises(ServerFailed, match="started already"):
        server.start()


@pytest.mark.parametrize("verb", ["freeze", "thaw", "restart", "flush"])
def test_verbs_on_a_server_that_was_not_started_say_so(verb: str) -> None:
    with pytest.raises(ServerFailed, match="not started"):
        getattr(RedisServer(), verb)()


def test_freezing_a_dead_server_says_so(server: RedisServer) -> None:
    server.kill()
    with pytest.raises(ServerFailed, match="is not running"):
        server.freeze()


def test_an_option_that_redis_refuses_is_quoted_from_its_log() -> None:
    with pytest.raises(ServerFailed, match="argument must be a memory value"):
        RedisServer(maxmemory="plenty").start()


def test_an_option_that_mariadb_refuses_is_quoted_from_its_log() -> None:
    with pytest.raises(ServerFailed, match="unknown variable 'sharding=yes'"):
        MariaDBServer(sharding="yes").start()


def test_waiting_for_a_server_that_never_answers_is_bounded() -> None:
    server = RedisServer(bind="127.0.0.2")
    server.start_timeout = 0.2
    with pytest.raises(ServerFailed, match=r"(?s)not get ready in 0.2 s.*Ready to accept"):
        server.start()
    assert not server.is_running


@pytest.mark.parametrize("kind", [RedisServer, MariaDBServer])
def test_a_port_that_was_taken_meanwhile_is_given_up_for_another(
    kind: type[PrivateServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = _process.free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        ports = iter([other.getsockname()[1], free])
        monkeypatch.setattr(_process, "free_port", lambda: next(ports))
        with kind() as server:
            assert server.port == free


def test_another_server_on_the_port_is_not_taken_for_ours(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([server.port, _process.free_port()])
    monkeypatch.setattr(_process, "free_port", lambda: next(ports))
    with RedisServer() as ours:
        assert ours.port != server.port


@pytest.mark.parametrize(
    ("kind", "package"), [(RedisServer, "redis-server"), (MariaDBServer, "mariadb-server")]
)
def test_a_missing_program_says_what_to_install(
    kind: type[PrivateServer], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(_process, "SYSTEM_PATH", "/nowhere")
    with pytest.raises(MissingProgram, match=f"apt-get install {package}"):
        kind().start()


def test_programs_in_sbin_are_found_without_it_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert _process.find_program("mariadbd", "mariadb-server").endswith("sbin/mariadbd")


def test_mariadb_has_its_database_in_utf8mb4(mariadb_server: MariaDBServer) -> None:
    column = "SELECT default_character_set_name FROM information_schema.schemata"
    assert mariadb_server.query(f"{column} WHERE schema_name = 'test'") == "utf8mb4\n"


def test_mariadb_round_trips_an_emoji(mariadb_server: MariaDBServer) -> None:
    assert mariadb_server.query("SELECT '🌪'") == "🌪\n"


def test_mariadb_urls_name_the_user_the_database_and_the_driver(
    mariadb_server: MariaDBServer,
) -> None:
    where = f"tester:{mariadb_server.password}@127.0.0.1:{mariadb_server.port}"
    assert mariadb_server.url == f"mysql://{where}/test"
    assert mariadb_server.url_of("shop", "mysql+tornado") == f"mysql+tornado://{where}/shop"


def test_nobody_logs_in_to_mariadb_without_the_password(mariadb_server: MariaDBServer) -> None:
    users = (  # of the server's own: other tests make theirs
        "SELECT user FROM mysql.user WHERE user IN ('', 'root', 'tester') AND host <> 'localhost'"
        " AND authentication_string"
    )
    assert mariadb_server.query(f"{users} = ''") == ""
    assert mariadb_server.query(f"{users} <> ''").split() == ["tester"]


def test_databases_are_made_and_dropped(mariadb_server: MariaDBServer) -> None:
    assert mariadb_server.create_database("shop") == mariadb_server.url_of("shop")
    mariadb_server.query("CREATE TABLE shop.items (id INT)")
    mariadb_server.drop_database("shop")
    assert "shop" not in mariadb_server.query("SHOW DATABASES").split()


def test_a_query_that_mariadb_refuses_raises_with_its_message(
    mariadb_server: MariaDBServer,
) -> None:
    with pytest.raises(ServerFailed, match=r"1146 .*test\.missing"):
        mariadb_server.query("SELECT * FROM test.missing")


def test_a_query_to_a_frozen_mariadb_is_bounded(mariadb_server: MariaDBServer) -> None:
    mariadb_server.freeze()
    try:
        with pytest.raises(ServerFailed, match=r"did not answer in 0\.2 s"):
            mariadb_server.query("SELECT 1", timeout=0.2)
    finally:
        mariadb_server.thaw()


def test_commits_outlive_a_kill_of_mariadb_and_an_empty_restart_drops_them() -> None:
    with MariaDBServer() as server:
        server.query("CREATE TABLE test.t (n INT); INSERT INTO test.t VALUES (7)")
        server.kill()
        server.restart()
        assert server.query("SELECT n FROM test.t") == "7\n"
        server.restart(empty=True)
        assert server.query("SHOW TABLES FROM test") == ""


def test_a_start_of_mariadb_leaves_the_temporary_tables_of_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    others = tmp_path / "#sql-temptable-1-2-3.MAD"
    others.touch()
    with MariaDBServer():
        assert others.exists()
