"""Examples of the documentation, served in the loop of the test, to a client of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port

from tests.examples import example
from tornado_ext.testing import Client

Browse = Callable[..., Client]


@pytest.fixture
def browse(io_loop: IOLoop) -> Iterator[Browse]:
    """A function that serves an example and returns a client of it."""
    with ExitStack() as running:

        def browse(name: str, *arguments: Any) -> Client:
            app = example(name).make_app(*arguments)
            # Tornado 6.6 keeps one loader of templates for each path, not for each application.
            app.settings.setdefault("template_path", name)
            socket, port = bind_unused_port()
            server = HTTPServer(app)
            server.add_socket(socket)
            running.callback(server.stop)
            return Client(app, f"http://127.0.0.1:{port}")

        yield browse
