"""Take the README's screenshots anew: ``python -m tests.demo_app.screenshots [DIRECTORY]``."""

import base64
import sys
from pathlib import Path

from selenium.webdriver import Chrome

from tests.demo_app.browser import Person, chromium, look
from tests.demo_app.process import Program

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}  # CSS pixels
SCHEMES = {"light": "", "dark": "-dark"}  # and what ends the names of the files
PAGES = {"rooms": "/", "account": "/account", "internals": "/internals", "nothing": "/nothing"}
ROOM = "storm-watch"
SETTLE = """
    document.activeElement.blur();
    document.querySelectorAll('#scroller').forEach(log => { log.scrollTop = log.scrollHeight; });
"""

TALK = [
    (0, "Hi! Did the night run finish?"),
    (1, "It did, at four. All three shards are up."),
    (1, "And the second process joined without a hitch."),
    (0, "<script>alert('good')</script>"),
    (1, "Nice try. That is text in here, like everything else."),
    (0, "Good. Then I am off to write the release notes."),
]


def main() -> None:
    """Walk through the app and photograph it."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screenshots")
    directory.mkdir(parents=True, exist_ok=True)
    with Program("demo_app.full", "--port=0") as program, chromium() as one, chromium() as other:
        url = program.prints(r"http://\S+")[0][0]
        mira, jonas = Person(one, url, "Mira Okafor"), Person(other, url, "Jonas <jo> Lindqvist")
        for scheme, suffix in SCHEMES.items():
            look(one, scheme)
            mira.open("/login")
            shoot(one, directory / f"login{suffix}")
            mira.open("/register")
            mira.fill(name=" ", password="short")
            shoot(one, directory / f"errors{suffix}")
        talk(mira, jonas)
        for scheme, suffix in SCHEMES.items():
            look(one, scheme)
            mira.enter(ROOM)
            mira.sees(mira.name, jonas.name)
            shoot(one, directory / f"chat{suffix}")
            for page, path in PAGES.items():
                mira.open(path)
                shoot(one, directory / f"{page}{suffix}")


def talk(mira: Person, jonas: Person) -> None:
    """Fill a room with a conversation."""
    for each in (mira, jonas):
        each.register()
    for room in ("release", "tea-kitchen", ROOM):
        mira.open("/")
        mira.fill(room=room)
    mira.wait_until_connected()
    jonas.enter("release")
    jonas.enter(ROOM)
    for speaker, text in TALK:
        (mira, jonas)[speaker].say(text)
        mira.hears(text)


def shoot(driver: Chrome, path: Path) -> None:
    """Photograph what is shown, in every size."""
    for size, (width, height) in SIZES.items():
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.execute_script(SETTLE)
        png = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
        path.with_name(f"{path.name}-{size}.png").write_bytes(base64.b64decode(png))


if __name__ == "__main__":
    main()
