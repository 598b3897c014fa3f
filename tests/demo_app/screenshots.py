"""Photograph the app: ``python -m tests.demo_app.screenshots [DIRECTORY]``.

Without a directory, take those anew that are in docs/screenshots; in one, all there are.
"""

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from selenium.webdriver import Chrome

from tests.demo_app.browser import Person, chromium, look
from tests.demo_app.process import Program

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}  # CSS pixels
SHOWN = Path("docs/screenshots")
LANGUAGES = ("zh_CN", "en_US")
PAGES = {"rooms": "/", "account": "/account", "internals": "/internals", "nothing": "/nothing"}
ROOM = "storm-watch"
SETTLE = """
    document.activeElement.blur();
    document.querySelectorAll('#scroller').forEach(log => { log.scrollTop = log.scrollHeight; });
"""

TROUBLE = """
    dispatchEvent(new Event('offline'));
    say('Written in a tunnel: it leaves as soon as there is light.');
    showProblem('The message is too long.');
    document.querySelector('[data-room=release] .unread').hidden = false;
    document.querySelector('[data-room=release] .count').textContent = '12';
    typing.textContent = 'Jonas <jo> Lindqvist is typing';
"""

TALK = [
    (0, "Hi! Did the night run finish?"),
    (1, "It did, at four. All three shards are up."),
    (1, "And the second process joined without a hitch."),
    (0, "<script>alert('good')</script>"),
    (1, "Nice try. That is text in here, like everything else: https://example.com/why"),
    (0, "Good. Then I am off to write the release notes."),
]


def main() -> None:
    """Walk through the app and photograph it, all of it or what the documentation shows."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with Program("demo_app.full", "--port=0") as program, chromium() as one, chromium() as other:
        url = program.prints(r"http://\S+")[0][0]
        mira, jonas = Person(one, url, "Mira Okafor"), Person(other, url, "Jonas <jo> Lindqvist")
        for _ in schemes(one):
            mira.open("/login")
            shoot(one, directory, "login")
            mira.open("/register")
            mira.fill(name=" ", password="short")
            shoot(one, directory, "errors")
        mira.register()
        shoot(one, directory, "first")
        talk(mira, jonas)
        for language in LANGUAGES:
            one.add_cookie({"name": "lang", "value": language})
            visit(mira, jonas, directory, language.replace("en_US", ""))
        one.delete_cookie("lang")
        subprocess.run(program.prints(r"kill -9 \d+")[0][0].split(), check=True)
        for _ in schemes(one):
            mira.open("/internals")
            mira.wait_for(lambda: mira.texts("[data-state=away]"), ["away"])
            shoot(one, directory, "internals")


def visit(mira: Person, jonas: Person, directory: Path | None, suffix: str) -> None:
    """Go through the pages behind the door."""
    driver = mira.driver
    for _ in schemes(driver):
        mira.open(f"/rooms/{ROOM}")
        mira.sees(mira.name, jonas.name)
        shoot(driver, directory, f"chat{suffix}")
        driver.execute_script(TROUBLE)
        shoot(driver, directory, f"trouble{suffix}")
        driver.execute_script("sessionStorage.clear()")
        for page, path in PAGES.items():
            mira.open(path)
            shoot(driver, directory, f"{page}{suffix}")


def schemes(driver: Chrome) -> Iterator[None]:
    """Prefer one colour scheme after the other."""
    for scheme in ("light", "dark"):
        look(driver, scheme)
        yield


def talk(mira: Person, jonas: Person) -> None:
    """Fill a room with a conversation."""
    jonas.register()
    for room in ("release", "tea-kitchen", ROOM):
        mira.open("/")
        mira.fill(room=room)
    mira.wait_until_connected()
    jonas.enter("release")
    jonas.enter(ROOM)
    for speaker, text in TALK:
        (mira, jonas)[speaker].say(text)
        mira.hears(text)


def shoot(driver: Chrome, directory: Path | None, name: str) -> None:
    """Photograph what is shown, in every size."""
    scheme = driver.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
    for size, (width, height) in SIZES.items():
        path = (directory or SHOWN) / f"{name}{'-dark' if scheme else ''}-{size}.png"
        if directory is None and not path.exists():
            continue
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.execute_script(SETTLE)
        png = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(png))


if __name__ == "__main__":
    main()
