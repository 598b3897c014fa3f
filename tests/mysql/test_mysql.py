"""What MySQL does otherwise than MariaDB: run with ``MYSQLD`` alone."""

import ssl
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.mysql.server import MySQLServer
from tornado_ext.mysql import AuthenticationFailed, ConnectFailed, Database

gen_test = pytest.mark.gen_test

MakeDatabase = Callable[..., Database]

_numbers = count(1)


@pytest.fixture
def account(mariadb_server: MySQLServer) -> Callable[[str], str]:
    """A function that returns the URL of an account that nobody logged in to, with a password."""
    user = f"user_{next(_numbers)}"
    mariadb_server.query(f"CREATE USER {user} IDENTIFIED BY 'p€'; GRANT ALL ON *.* TO {user}")
    return lambda password: f"mysql://{user}:{password}@127.0.0.1:{mariadb_server.port}/test"


@pytest.fixture(scope="module")
def plain_server() -> Iterator[MySQLServer]:
    """A MySQL whose own collation is one that every library knows."""
    with MySQLServer(collation_server="utf8mb4_unicode_ci") as server:
        yield server


@pytest.mark.parametrize("tls", [False, True])
@gen_test
async def test_an_account_logs_in_the_first_time_and_when_its_password_is_cached(
    account: Callable[[str], str], mariadb_server: MySQLServer, make_db: MakeDatabase, tls: bool
) -> None:
    context = unchecked() if tls else None
    for _ in range(2):
        mariadb_server.query("FLUSH PRIVILEGES")  # which empties the cache
        for password in ("wrong", "p%E2%82%AC", "wrong", "p%E2%82%AC"):
            db = make_db(account(password), ssl=context)
            if password == "wrong":
                with pytest.raises(AuthenticationFailed):
                    await db.fetch_value("SELECT 1")
            else:
                row = await db.fetch_one("SHOW STATUS LIKE 'Ssl_version'")
                assert row is not None
                assert bool(row.Value) is tls


@gen_test
async def test_the_certificate_that_mysql_makes_for_itself_names_no_host(
    url: str, mariadb_server: MySQLServer, make_db: MakeDatabase
) -> None:
    with pytest.raises(ConnectFailed, match="CERTIFICATE_VERIFY_FAILED"):
        await make_db(url, ssl="system").fetch_value("SELECT 1")
    with pytest.raises(ConnectFailed, match="IP address mismatch"):
        await make_db(url, ssl=str(mariadb_server.data / "ca.pem")).fetch_value("SELECT 1")


@gen_test
async def test_the_server_says_that_it_wants_tls(
    url: str, db: Database, make_db: MakeDatabase
) -> None:
    async with db.acquire() as connection:
        await connection.execute("SET GLOBAL require_secure_transport = ON")
        try:
            with pytest.raises(AuthenticationFailed, match="insecure transport"):
                await make_db(url).fetch_value("SELECT 1")
        finally:
            await connection.execute("SET GLOBAL require_secure_transport = OFF")


@gen_test
async def test_a_collation_that_tornado_mysql_does_not_know_names_asyncmy(
    mariadb_server: MySQLServer, make_db: MakeDatabase
) -> None:
    assert mariadb_server.query("SELECT @@collation_server") == "utf8mb4_0900_ai_ci\n"

    with pytest.raises(ConnectFailed, match="no collation 255: use mysql://, which is asyncmy"):
        await make_db(mariadb_server.url_of("test", "mysql+tornado")).fetch_value("SELECT 1")


@gen_test
async def test_an_account_that_tornado_mysql_cannot_log_in_to_names_asyncmy(
    plain_server: MySQLServer, make_db: MakeDatabase
) -> None:
    assert await make_db(plain_server.url).fetch_value("SELECT 1") == 1

    with pytest.raises(AuthenticationFailed, match="use mysql://, which is asyncmy"):
        await make_db(plain_server.url_of("test", "mysql+tornado")).fetch_value("SELECT 1")


def unchecked() -> ssl.SSLContext:
    """Make a context that takes any certificate, as MySQL's own is for no name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
