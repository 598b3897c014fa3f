"""docs/examples/mysql.py, used by a real client, and the page that quotes it."""

import json
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port
from tornado.web import Application

from tests.examples import DOCS, example, quoted_classes
from tornado_ext.mysql import Database


@pytest.fixture
def app(url: str, make_db: Callable[..., Database], io_loop: IOLoop) -> Application:
    """What `http_client` talks to."""
    database = make_db(url)
    module = example("mysql")
    io_loop.run_sync(lambda: database.execute(module.SCHEMA))
    application = module.make_app(database)
    assert isinstance(application, Application)
    return application


@pytest.mark.usefixtures("app")
@pytest.mark.gen_test
async def test_money_is_moved_or_it_is_not(http_client: AsyncHTTPClient, base_url: str) -> None:
    async def post(path: str, **form: str) -> int:
        response = await http_client.fetch(
            base_url + path, method="POST", body=urlencode(form), raise_error=False
        )
        return response.code

    assert [await post("/", name=name) for name in ("ann", "o'brien", "ann")] == [201, 201, 409]
    assert await post("/transfer", **{"from": "ann", "to": "o'brien"}) == 200
    assert await post("/transfer", **{"from": "ann", "to": "nobody"}) == 404

    balances = json.loads((await http_client.fetch(base_url)).body)
    assert balances == {"ann": 90, "o'brien": 110}


def test_it_runs_with_the_command_of_its_first_line(mysql_url: str) -> None:
    program = DOCS / "examples" / "mysql.py"
    unused, port = bind_unused_port()
    unused.close()
    with subprocess.Popen(
        [sys.executable, "-u", program, mysql_url, str(port)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.readline()
        process.kill()

    assert printed == f"http://127.0.0.1:{port}\n"


def test_the_page_quotes_the_example() -> None:
    text = (DOCS / "examples" / "mysql.py").read_text()
    quoted = quoted_classes("mysql.md")
    assert len(quoted) == 1
    assert all(block.strip() in text for block in quoted)
