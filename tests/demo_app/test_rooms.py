"""The list of rooms, a room's page, and what every answer has in common."""

import csv
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from html5lib import parse
from tornado.web import Application

import demo_app
from demo_app.handlers.base import ADVICE, OTHERWISE
from tests.demo_app.conftest import Visit
from tornado_ext.testing import Client

SCRIPT = "<script>alert(1)</script>"


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/", "/rooms/lobby"])
async def test_strangers_are_sent_to_the_door(visitor: Client, path: str) -> None:
    response = await visitor.get(path, follow_redirects=False)
    assert response.headers["Location"] == f"/login?next={quote(path, safe='')}"


@pytest.mark.gen_test
async def test_room_is_opened_and_listed(person: Visit) -> None:
    ann = await person("ann")
    response = await ann.post("/", {"room": "Tea Room 茶"}, follow_redirects=False)
    address = response.headers["Location"]
    assert address == f"/rooms/{quote('tea-room-茶')}"
    assert (await ann.get(address)).code == 200
    assert "tea-room-茶" in (await ann.get("/")).body.decode()


@pytest.mark.gen_test
@pytest.mark.parametrize("name", ["", "a/b", "..", "<b>", "x" * 33, "nul\0"])
async def test_bad_room_name_is_a_form_error(person: Visit, name: str) -> None:
    ann = await person("ann")
    response = await ann.post("/", {"room": name})
    assert response.code == 422
    assert b"field-errors" in response.body


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/rooms/never-opened", "/rooms/", "/nothing", "/rooms/%ff"])
async def test_nothing_there_is_a_page_too(person: Visit, path: str) -> None:
    ann = await person("ann")
    response = await ann.get(path)
    assert response.code in (400, 404)
    assert b"<h1>" in response.body


@pytest.mark.gen_test
async def test_last_fifty_messages_are_on_the_page(app: Application, person: Visit) -> None:
    ann = await person("ann")
    for number in range(52):
        await app.settings["storage"].add_message(
            "lobby", 1, "ann", f"message {number}.", str(number)
        )
    page = parse((await ann.get("/rooms/lobby")).body, namespaceHTMLElements=False)
    texts = [item.text for item in page.findall(".//ol/li/p[@class='text']")]
    assert texts == [f"message {number}." for number in range(2, 52)]


@pytest.mark.gen_test
async def test_what_a_person_typed_is_text(app: Application, person: Visit) -> None:
    name = "<script>x</script>"
    eve = await person(name)
    await app.settings["storage"].add_message("lobby", 1, name, SCRIPT, "1")
    page = parse((await eve.get("/rooms/lobby")).body, namespaceHTMLElements=False)
    (script,) = page.findall(".//script")
    assert script.get("src", "").startswith("/static/chat.js")
    assert page.findtext(".//ol/li/p[@class='text']") == SCRIPT
    assert page.findtext(".//ol/li//bdi[@class='author']") == name


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/login", "/nothing", "/static/chat.js", "/static/nothing"])
async def test_every_answer_has_the_security_headers(visitor: Client, path: str) -> None:
    headers = (await visitor.get(path)).headers
    policy = headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    (scripts,) = [rule for rule in policy if rule.startswith("script-src")]
    assert re.fullmatch(r"script-src 'nonce-[\w-]{22}'", scripts)
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Request-ID"]


@pytest.mark.gen_test
async def test_refused_post_has_the_security_headers(visitor: Client) -> None:
    response = await visitor.post("/login", {}, headers={"X-Xsrftoken": "wrong"})
    assert response.code == 403
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.gen_test
async def test_pages_are_kept_out_of_caches(person: Visit) -> None:
    ann = await person("ann")
    assert (await ann.get("/rooms/lobby")).headers["Cache-Control"] == "no-store"


@pytest.mark.gen_test
async def test_pages_have_nothing_inline(person: Visit) -> None:
    ann = await person("ann")
    for path in ("/", "/rooms/lobby", "/nothing"):
        page = parse((await ann.get(path)).body, namespaceHTMLElements=False)
        for element in page.iter():
            assert element.tag != "style"
            assert not {name for name in element.attrib if name == "style" or name[:2] == "on"}
            link = element.get("src") or element.get("href") or ""
            assert not link.startswith(("//", "http")), link


@pytest.mark.gen_test
async def test_scripts_and_styles_have_the_nonce_of_their_answer(person: Visit) -> None:
    ann = await person("ann")
    nonces = set()
    for _ in range(2):
        response = await ann.get("/rooms/lobby")
        page = parse(response.body, namespaceHTMLElements=False)
        loaded = [*page.iter("script"), *page.findall(".//link[@rel='stylesheet']")]
        (nonce,) = {element.get("nonce") for element in loaded}
        policy = response.headers["Content-Security-Policy"]
        assert f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'" in policy
        nonces.add(nonce)
    assert len(nonces) == 2


@pytest.mark.gen_test
async def test_older_messages_are_a_link_away(app: Application, person: Visit) -> None:
    ann = await person("ann")
    for number in range(1, 120):
        await app.settings["storage"].add_message("lobby", 1, "ann", f"{number}", str(number))
    seen: list[str] = []
    address: str | None = "/rooms/lobby"
    while address:
        page = parse((await ann.get(address)).body, namespaceHTMLElements=False)
        seen = [item.text or "" for item in page.findall(".//ol/li/p[@class='text']")] + seen
        older = page.find(".//a[@id='older']")
        address = None if older is None else older.get("href")
    assert seen == [f"{number}" for number in range(1, 120)]


@pytest.mark.gen_test
@pytest.mark.parametrize("before", ["0", "-1", "x", "9" * 5000, "%00"])
async def test_senseless_page_is_the_newest(person: Visit, before: str) -> None:
    ann = await person("ann")
    response = await ann.get(f"/rooms/lobby?before={before}")
    assert response.code == 200
    assert b"composer" in response.body


@pytest.mark.gen_test
async def test_room_is_joined_and_left(person: Visit) -> None:
    ann, ben = await person("ann"), await person("ben")
    await ann.post("/", {"room": "tea"})
    assert (await headings(ann)) == ["Yours", "Others", "Make a room"]
    assert (await headings(ben)) == ["Others", "Try this", "Make a room"]
    response = await ben.post("/rooms/tea/join", follow_redirects=False)
    assert response.headers["Location"] == "/rooms/tea"
    assert (await headings(ben)) == ["Yours", "Others", "Make a room"]
    await ben.post("/rooms/tea/leave")
    assert (await headings(ben)) == ["Others", "Try this", "Make a room"]
    assert (await ben.post("/rooms/never-made/join")).code == 404


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/", "/internals"])
async def test_newcomer_is_told_what_to_try(person: Visit, path: str) -> None:
    page = (await (await person("ann")).get(path)).body
    assert b"Stop the app with Ctrl-C" in page
    assert b"<code>make demo-full</code>" in page


async def headings(client: Client) -> list[str | None]:
    page = parse((await client.get("/")).body, namespaceHTMLElements=False)
    return [heading.text for heading in page.iter("h2")]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_load_balancer_is_told_that_all_is_well(visitor: Client, path: str) -> None:
    assert (await visitor.get(path)).code == 200


def test_everything_shown_is_in_chinese_too() -> None:
    here = Path(demo_app.__file__).parent
    with (here / "locale" / "zh_CN.csv").open(encoding="utf-8") as file:
        known = {english for english, _ in csv.reader(file)}
    shown = {text for pair in [*ADVICE.values(), OTHERWISE] for text in pair}
    for path in (here / "templates").iterdir():
        shown.update(re.findall(r'_\("(.*?)"\)', path.read_text()))
    for path in here.rglob("*.py"):
        shown.update(re.findall(r'translate\("(.*?)"\)', path.read_text()))
        shown.update(
            re.findall(
                r'(?:label=|help_text=|BadFrame\(|_password\()"([A-Z].*?)"', path.read_text()
            )
        )
    assert shown - known == set()
