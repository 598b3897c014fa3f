"""A real browser, which does what the headers of a response tell it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome

from tests.demo_app.browser import chromium

Browse = Callable[[Callable[[Chrome], Any]], Any]


@pytest.fixture(scope="session")
def chrome() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def browse(chrome: Chrome) -> Browse:
    """A function that runs a visit in a thread, while the loop serves the pages."""

    async def browse(visit: Callable[[Chrome], Any]) -> Any:
        chrome.get("about:blank")
        chrome.get_log("browser")  # forgets what earlier pages complained of
        return await asyncio.get_running_loop().run_in_executor(None, visit, chrome)

    return browse
