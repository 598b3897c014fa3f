"""Programs that serve, for the length of a test."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serving.running import Process


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    """A function that runs code in a process that ends with the test."""
    with ExitStack() as running:

        def run(code: str) -> Process:
            process = Process(code, tmp_path)
            running.callback(process.close)
            return process

        yield run


@pytest.fixture
def in_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads
