"""People in front of real browsers."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

TIMEOUT = 10  # seconds for anything to appear on a page
PASSWORD = "correct horse"

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Person:
    """Somebody with a name and a browser, on one of the addresses of the app."""

    def __init__(self, driver: Chrome, url: str, name: str) -> None:
        self.driver = driver
        self.url = url
        self.name = name

    # At the door.

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    def register(self) -> None:
        self.open("/register")
        self.fill(name=self.name, password=PASSWORD)

    def log_in(self) -> None:
        """Fill in the page that is shown."""
        self.fill(name=self.name, password=PASSWORD)

    def log_out(self) -> None:
        self.leave_by(".bar form button")

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            self.driver.find_element(By.NAME, name).send_keys(value)
        self.leave_by(".card form button")

    def leave_by(self, selector: str) -> None:
        """Click what leads to another page, and wait for that page."""
        page = self.driver.find_element(By.TAG_NAME, "html")
        self.driver.find_element(By.CSS_SELECTOR, selector).click()
        # While the pages change, chromedriver may fail for other reasons than staleness.
        wait = WebDriverWait(self.driver, TIMEOUT, ignored_exceptions=[WebDriverException])
        wait.until(staleness_of(page))

    @property
    def path(self) -> str:
        """Where the browser is."""
        return self.driver.current_url.removeprefix(self.url)

    @property
    def session_id(self) -> str:
        cookie = self.driver.get_cookie("session")
        assert cookie is not None
        value: str = cookie["value"]
        return value

    def press(self, *keys: str) -> None:
        """Type, wherever the focus is."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def focus(self, selector: str) -> None:
        """Go on with the Tab key until an element has the focus."""
        element = self.driver.find_element(By.CSS_SELECTOR, selector)
        for _ in range(40):
            if self.driver.switch_to.active_element == element:
                return
            self.press(Keys.TAB)
        raise AssertionError(f"{selector} is out of reach")

    # In a room.

    def enter(self, room: str) -> None:
        """Open a room and wait until its socket is connected."""
        self.open(f"/rooms/{room}")
        self.wait_until_connected()

    def wait_until_connected(self) -> None:
        self.wait_for(lambda: self.texts("#state"), ["Connected"])

    def say(self, text: str) -> None:
        self.driver.find_element(By.ID, "text").send_keys(text, Keys.ENTER)

    @property
    def draft(self) -> str:
        """What stands in the box."""
        words: str = self.driver.find_element(By.ID, "text").get_property("value")
        return words

    def hears(self, *texts: str) -> None:
        """Wait until these are the last messages in the room."""
        self.wait_for(lambda: self.texts(".text")[-len(texts) :], list(texts))

    def sees(self, *names: str) -> None:
        """Wait until these are the people in the room."""
        self.wait_for(lambda: self.texts("#people .name"), sorted(names))

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element, as it is at one moment."""
        script = "return Array.from(document.querySelectorAll(arguments[0]), e => e.textContent)"
        texts: list[str] = self.driver.execute_script(script, selector)  # type: ignore[no-untyped-call]
        return texts

    def wait_for(self, look: Callable[[], list[str]], expected: list[str]) -> None:
        WebDriverWait(self.driver, TIMEOUT).until(
            lambda _: look() == expected, f"{look()} is not {expected}"
        )

    def complaints(self) -> list[str]:
        """Return what the browser has written to its console since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextmanager
def chromium() -> Iterator[Chrome]:
    """Run a browser with an empty profile."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = Chrome(options, Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def look(driver: Chrome, scheme: str) -> None:
    """Prefer a colour scheme, and no movement that a photograph could catch half-way."""
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
