"""The `Database` in an application."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application, RequestHandler

from tornado_ext._settings import check_settings
from tornado_ext.errors import ConfigurationError, MissingExtra
from tornado_ext.mysql import Database, DatabaseMixin, ParameterError
from tornado_ext.testing import MariaDBServer

gen_test = pytest.mark.gen_test

MakeDatabase = Callable[..., Database]


class Sum(DatabaseMixin, RequestHandler):
    async def get(self) -> None:
        self.write(str(await self.db.fetch_value("SELECT 1 + %s", int(self.get_argument("n")))))


@pytest.fixture
def app(url: str, make_db: MakeDatabase) -> Application:
    """What `http_client` talks to."""
    return Application([("/sum", Sum)], database=make_db(url, timeout=0.5))


@pytest.mark.usefixtures("app")
@gen_test
async def test_a_handler_has_the_applications_database(
    http_client: AsyncHTTPClient, base_url: str
) -> None:
    response = await http_client.fetch(f"{base_url}/sum?n=2")

    assert response.body == b"3"


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("fate", ["kill", "freeze"])
@gen_test
async def test_a_server_that_is_away_gives_503_until_it_is_back(
    http_client: AsyncHTTPClient, base_url: str, mariadb_server: MariaDBServer, fate: str
) -> None:
    await http_client.fetch(f"{base_url}/sum?n=2")

    getattr(mariadb_server, fate)()
    for _ in range(2):
        response = await http_client.fetch(f"{base_url}/sum?n=2", raise_error=False)
        assert (response.code, response.headers["Retry-After"]) == (503, "1")

    mariadb_server.restart() if fate == "kill" else mariadb_server.thaw()
    response = await http_client.fetch(f"{base_url}/sum?n=2")
    assert response.body == b"3"


@pytest.mark.parametrize("setting", [{}, {"database": "mysql://u:secret@h/d"}])
def test_a_setting_that_is_no_database_is_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="setting database") as raised:
        check_settings(Application([("/", Sum)], **setting))

    assert "secret" not in str(raised.value)


@gen_test
async def test_wrong_parameters_cost_no_connection(make_db: MakeDatabase) -> None:
    database = make_db("mysql://u:p@127.0.0.1:1/d")

    with pytest.raises(ParameterError) as raised:
        await database.fetch_all("SELECT %s")

    assert raised.value.sql == "SELECT %s"


@gen_test
async def test_a_timeout_that_is_none_is_refused(make_db: MakeDatabase) -> None:
    database = make_db("mysql://u:p@127.0.0.1:1/d")

    for timeout in (0, -1, float("nan"), "1"):
        with pytest.raises(ConfigurationError, match="timeout="):
            await database.fetch_all("SELECT 1", timeout=timeout)  # type: ignore[arg-type]


def test_importing_imports_no_client() -> None:
    script = (
        "import sys, tornado_ext.mysql.drivers;"
        "print({'asyncmy', 'tornado_mysql'} & {name.split('.')[0] for name in sys.modules})"
    )

    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout

    assert printed == "set()\n"


@pytest.mark.parametrize(
    ("scheme", "library", "extra"),
    [
        ("mysql", "asyncmy.connection", "mysql"),
        ("mysql+tornado", "tornado_mysql.connections", "tornado-mysql"),
    ],
)
def test_a_missing_library_is_named_when_a_database_is_made(
    scheme: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed

    with pytest.raises(MissingExtra, match=rf"pip install 'tornado-ext\[{extra}\]'"):
        Database(f"{scheme}://u:p@h/d")


def test_only_the_library_of_the_scheme_is_imported() -> None:
    script = (
        "import sys; from tornado_ext.mysql import Database; Database(sys.argv[1]);"
        "print({'asyncmy', 'tornado_mysql'} & set(sys.modules))"
    )
    for scheme, library in (("mysql", "asyncmy"), ("mysql+tornado", "tornado_mysql")):
        url = f"{scheme}://u:p@h/d"
        done = subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True)
        assert done.stdout == f"{{'{library}'}}\n"
