"""Register, log in, log out."""

import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from html5lib import parse
from tornado.httpclient import HTTPResponse
from tornado.web import Application

from demo_app.config import Config
from demo_app.passwords import Passwords
from tests.demo_app.conftest import PASSWORD, Visit
from tornado_ext.testing import Client

WRONG = "Name or password is wrong."
UNSEEN = "Use letters, digits and signs that can be seen."
ANN = {"name": "ann", "password": PASSWORD}


def errors(response: HTTPResponse) -> list[str]:
    """Return what a page says is wrong with its form as a whole, and beside its fields."""
    page = parse(response.body, namespaceHTMLElements=False)
    whole, fields = "*[@class='form-errors']/ul/li", "ul[@class='field-errors']/li"
    items = [*page.iterfind(f".//{whole}"), *page.iterfind(f".//{fields}")]
    return [item.text for item in items if item.text]  # others are links to fields


@pytest.mark.gen_test
async def test_registering_logs_in_and_welcomes(visitor: Client) -> None:
    response = await visitor.post("/register", ANN)
    assert response.code == 200
    assert b"Welcome, ann." in response.body
    assert b"Welcome, ann." not in (await visitor.get("/")).body


@pytest.mark.gen_test
async def test_session_id_changes_at_log_in(account: Visit, visitor: Client) -> None:
    await account("ann")
    await visitor.post("/register", {"name": "ben", "password": PASSWORD})
    before = visitor.cookie("session")
    await visitor.post("/login", ANN)
    assert before
    assert visitor.cookie("session") not in (None, before)


@pytest.mark.gen_test
async def test_session_cookie_is_out_of_reach_of_scripts(visitor: Client) -> None:
    response = await visitor.post("/register", ANN, follow_redirects=False)
    cookies = [line.lower() for line in response.headers.get_list("Set-Cookie")]
    (session,) = (line for line in cookies if line.startswith("session="))
    assert "httponly" in session
    assert "samesite=lax" in session


@pytest.mark.gen_test
async def test_name_logs_in_as_it_was_typed_at_registration(
    account: Visit, visitor: Client
) -> None:
    await account("ann  \u3000lee")
    for typed in ("ann  \u3000lee", "Ann lee"):
        form = {"name": typed, "password": PASSWORD}
        response = await visitor.post("/login", form, follow_redirects=False)
        assert response.code == 302, typed


@pytest.mark.gen_test
async def test_taken_name_is_a_form_error(person: Visit, visitor: Client) -> None:
    await person("ann")
    response = await visitor.post("/register", {"name": "Ann", "password": PASSWORD})
    assert response.code == 422
    assert errors(response) == ["That name is taken."]
    assert b'value="Ann"' in response.body
    assert PASSWORD.encode() not in response.body


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("", PASSWORD, "This field is required."),
        (" \u3000 ", PASSWORD, "This field is required."),
        ("x" * 33, PASSWORD, "Use 32 or fewer characters."),
        ("\ufdfa" * 2, PASSWORD, "Use 1 to 32 characters."),
        ("a\0b", PASSWORD, "Control characters are not allowed."),
        ("a\u202eb", PASSWORD, UNSEEN),
        *(
            (name, PASSWORD, UNSEEN)
            for name in ("\u3164", "\u2800", "\u0301", "a\ufe0f", "a\u034f")
        ),
        ("ann", "", "This field is required."),
        ("ann", "short", "Use 10 or more characters."),
        ("ann", "x" * 129, "Use 128 or fewer characters."),
        ("ann", "nul\0nul\0nul\0", "Control characters are not allowed."),
    ],
)
async def test_bad_field_is_a_form_error(
    visitor: Client, name: str, password: str, message: str
) -> None:
    response = await visitor.post("/register", {"name": name, "password": password})
    assert response.code == 422
    assert errors(response) == [message]


@pytest.mark.gen_test
@pytest.mark.parametrize("page", ["/register", "/login"])
async def test_bytes_that_are_not_utf_8_are_a_form_error(visitor: Client, page: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = await visitor.fetch(
        page, method="POST", body=f"name=%ff%fe&password={quote(PASSWORD)}", headers=headers
    )
    assert response.code == 422
    assert errors(response) == ["Enter a valid value."]


@pytest.mark.gen_test
async def test_wrong_password_and_unknown_name_look_alike(account: Visit, visitor: Client) -> None:
    await account("ann")
    wrong = await visitor.post("/login", {"name": "ann", "password": "wrong horse"})
    unknown = await visitor.post("/login", {"name": "eve", "password": "wrong horse"})
    assert wrong.code == unknown.code == 422
    assert errors(wrong) == errors(unknown) == [WRONG]


@pytest.mark.gen_test
async def test_unknown_name_takes_a_hash_as_a_known_one_does(
    app: Application, account: Visit, visitor: Client
) -> None:
    await account("ann")
    counting = app.settings["passwords"] = Counting()
    for name in ("ann", "eve"):
        await visitor.post("/login", {"name": name, "password": "wrong horse"})
    assert counting.known == [True, False]
    await counting.close()


class Counting(Passwords):
    """Note for each hash that is compared whether it was somebody's."""

    def __init__(self) -> None:
        super().__init__()
        self.known: list[bool] = []

    async def verify(self, stored: str | None, password: str) -> bool:
        self.known.append(stored is not None)
        return await super().verify(stored, password)


@pytest.mark.gen_test
async def test_logging_in_goes_on_to_next(account: Visit, visitor: Client) -> None:
    await account("ann")
    refused = await visitor.get("/rooms/lobby?x=1", follow_redirects=False)
    door = refused.headers["Location"]
    assert door == "/login?next=%2Frooms%2Flobby%3Fx%3D1"
    response = await visitor.post(door, ANN, follow_redirects=False)
    assert response.headers["Location"] == "/rooms/lobby?x=1"


@pytest.mark.gen_test
async def test_next_survives_the_way_to_the_other_page(visitor: Client) -> None:
    page = await visitor.get("/login?next=/rooms/lobby")
    assert b'href="/register?next=%2Frooms%2Flobby"' in page.body
    response = await visitor.post("/register?next=/rooms/lobby", ANN, follow_redirects=False)
    assert response.headers["Location"] == "/rooms/lobby"


@pytest.mark.gen_test
async def test_next_never_leads_to_another_site(person: Visit) -> None:
    ann = await person("ann")
    for target in ("//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example"):
        response = await ann.get(f"/login?next={quote(target)}", follow_redirects=False)
        assert response.headers["Location"] == "/", target


@pytest.mark.gen_test
async def test_who_is_logged_in_needs_no_door(person: Visit) -> None:
    ann = await person("ann")
    for page in ("/login", "/register"):
        response = await ann.get(f"{page}?next=/rooms/lobby", follow_redirects=False)
        assert response.headers["Location"] == "/rooms/lobby"


@pytest.mark.gen_test
async def test_logging_out_ends_the_session(person: Visit) -> None:
    ann = await person("ann")
    stolen = ann.cookie("session")
    assert stolen
    response = await ann.post("/logout", follow_redirects=False)
    assert response.headers["Location"] == "/login"
    assert ann.cookie("session") is None
    ann.set_cookie("session", stolen)
    assert (await ann.get("/", follow_redirects=False)).code == 302


@pytest.mark.gen_test
async def test_a_link_can_not_log_out(person: Visit) -> None:
    ann = await person("ann")
    assert (await ann.get("/logout")).code == 405
    assert (await ann.get("/", follow_redirects=False)).code == 200


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/login", "/register", "/logout", "/"])
async def test_post_without_xsrf_token_is_refused(account: Visit, path: str) -> None:
    ann = await account("ann")
    response = await ann.post(path, {**ANN, "room": "new"}, headers={"X-Xsrftoken": "wrong"})
    assert response.code == 403
    assert b"This page is out of date" in response.body


@pytest.mark.gen_test
@pytest.mark.parametrize("cookie", ["x", "A" * 43, "ü" * 43, "'; DROP TABLE sessions", "A" * 9999])
async def test_made_up_session_is_anonymous(visitor: Client, cookie: str) -> None:
    headers = {"Cookie": f"session={cookie}"}
    response = await visitor.get("/", headers=headers, follow_redirects=False)
    assert response.code == 302
    assert not response.headers.get_list("Set-Cookie")


@pytest.mark.gen_test
async def test_expired_session_is_anonymous(person: Visit, config: Config) -> None:
    ann = await person("ann")
    with sqlite3.connect(config.data / "sessions.db") as sessions:
        sessions.execute("UPDATE records SET expires_at = ?", (time.time() - 1,))
    sessions.close()
    assert (await ann.get("/", follow_redirects=False)).code == 302


@pytest.mark.gen_test
async def test_locked_database_is_a_503_until_it_is_free(visitor: Client, config: Config) -> None:
    other = sqlite3.connect(config.data / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    response = await visitor.post("/register", ANN)
    assert response.code == 503
    assert b"One moment, please" in response.body
    assert "session" not in str(response.headers.get_list("Set-Cookie"))
    other.execute("COMMIT")
    other.close()
    assert (await visitor.post("/register", ANN)).code == 200


@pytest.mark.gen_test
async def test_locked_session_store_is_a_503_until_it_is_free(
    visitor: Client, tmp_path: Path
) -> None:
    await visitor.get("/login")
    await visitor.post("/register", {"name": "ben", "password": PASSWORD})
    other = sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    response = await visitor.post("/register", ANN)
    assert response.code == 503
    other.execute("COMMIT")
    other.close()
    assert (await visitor.post("/login", ANN)).code == 200


@pytest.mark.gen_test
async def test_registering_again_after_a_503_makes_good_what_failed(
    visitor: Client, config: Config
) -> None:
    other = sqlite3.connect(config.data / "sessions.db", isolation_level=None)
    await visitor.get("/login")
    other.execute("BEGIN IMMEDIATE")
    assert (await visitor.post("/register", ANN)).code == 503
    other.execute("COMMIT")
    other.close()
    response = await visitor.post("/register", ANN)
    assert response.code == 200
    assert b"Welcome, ann." in response.body
