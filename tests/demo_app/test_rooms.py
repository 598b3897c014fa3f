"""The list of rooms, a room's page, and what every answer has in common."""

from urllib.parse import quote

import pytest
from html5lib import parse
from tornado.web import Application

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
        await app.settings["storage"].add_message("lobby", 1, "ann", f"message {number}.")
    page = parse((await ann.get("/rooms/lobby")).body, namespaceHTMLElements=False)
    texts = [item.text for item in page.findall(".//ol/li/p[@class='text']")]
    assert texts == [f"message {number}." for number in range(2, 52)]


@pytest.mark.gen_test
async def test_what_a_person_typed_is_text(app: Application, person: Visit) -> None:
    name = "<script>x</script>"
    eve = await person(name)
    await app.settings["storage"].add_message("lobby", 1, name, SCRIPT)
    page = parse((await eve.get("/rooms/lobby")).body, namespaceHTMLElements=False)
    (script,) = page.findall(".//script")
    assert script.get("src", "").startswith("/static/chat.js")
    assert page.findtext(".//ol/li/p[@class='text']") == SCRIPT
    assert page.findtext(".//ol/li//span[@class='author']") == name


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/login", "/nothing", "/static/chat.js", "/static/nothing"])
async def test_every_answer_has_the_security_headers(visitor: Client, path: str) -> None:
    headers = (await visitor.get(path)).headers
    policy = headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
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
