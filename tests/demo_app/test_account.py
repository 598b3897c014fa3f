"""One's own account: the browsers that are logged in, and the password."""

import sqlite3
from collections.abc import Awaitable, Callable

import pytest
from html5lib import parse
from tornado.httpserver import HTTPServer
from tornado.web import Application

from demo_app.config import Config
from demo_app.passwords import Passwords
from tests.demo_app.conftest import PASSWORD, Enter, Visit
from tornado_ext.testing import Client

NEW = "another horse"
Browser = Callable[[], Client]
Another = Callable[[], Awaitable[Client]]


@pytest.fixture
def browser(app: Application, http_server: HTTPServer, base_url: str) -> Browser:
    return lambda: Client(app, base_url)


@pytest.fixture
def another(app: Application, browser: Browser) -> Another:
    """A function that logs Ann in on one more browser, without her password."""

    async def another() -> Client:
        client = browser()
        ann = await app.settings["storage"].find_user("ann")
        await client.login(ann.id, name=ann.name)
        return client

    return another


async def log_in(
    browser: Browser, password: str = PASSWORD, agent: str = "Phone", page: str = "/login"
) -> Client:
    client = browser()
    form = {"name": "ann", "password": password}
    await client.post(page, form, headers={"User-Agent": agent})
    return client


async def is_in(client: Client) -> bool:
    return (await client.get("/", follow_redirects=False)).code == 200


async def ends(client: Client) -> list[str]:
    """Return where the buttons that end sessions lead."""
    page = parse((await client.get("/account")).body, namespaceHTMLElements=False)
    actions = [form.get("action", "") for form in page.iter("form")]
    return [action for action in actions if action.endswith("/end")]


@pytest.mark.gen_test(timeout=20)
async def test_sessions_are_listed_with_browser_and_address(
    account: Visit, browser: Browser
) -> None:
    ann = await account("ann")
    await log_in(browser, agent="<b>Phone</b>")
    page = parse((await ann.get("/account")).body, namespaceHTMLElements=False)
    browsers = [element.text for element in page.findall(".//bdi[@class='browser']")]
    assert "<b>Phone</b>" in browsers
    assert len(browsers) == 2
    assert "".join(page.find(".//ul[@class='sessions']").itertext()).count("127.0.0.1") == 2
    assert len(await ends(ann)) == 1


@pytest.mark.gen_test(timeout=20)
async def test_another_session_is_ended_with_its_sockets_and_no_other(
    person: Visit, another: Another, enter: Enter
) -> None:
    ann = await person("ann")
    phone, tablet = await another(), await another()
    on_phone, on_tablet = await enter(phone), await enter(tablet)
    await on_tablet.next("ready")
    (ended,) = set(await ends(tablet)) & set(await ends(ann))  # each has not its own
    await ann.post(ended)
    assert await on_phone.is_closed() == 4401
    assert not await is_in(phone)
    assert await is_in(tablet)
    await on_tablet.say("still here")
    assert await on_tablet.hears() == "still here"


@pytest.mark.gen_test(timeout=20)
async def test_nobody_elses_session_is_ended(person: Visit, another: Another) -> None:
    ann = await person("ann")
    await another()
    (target,) = await ends(ann)
    eve = await person("eve")
    assert (await eve.post(target)).code == 404
    assert (await eve.post(f"/account/sessions/{'0' * 64}/end")).code == 404
    assert await ends(ann) == [target]


@pytest.mark.gen_test(timeout=20)
async def test_logging_out_here_leaves_the_others_in(person: Visit, another: Another) -> None:
    ann = await person("ann")
    phone = await another()
    await ann.post("/logout")
    assert not await is_in(ann)
    assert await is_in(phone)


@pytest.mark.gen_test(timeout=20)
async def test_logging_out_everywhere_leaves_nobody_in(
    person: Visit, another: Another, enter: Enter
) -> None:
    ann = await person("ann")
    phone = await another()
    on_phone = await enter(phone)
    await on_phone.next("ready")
    await ann.post("/logout", {"everywhere": "1"})
    assert await on_phone.is_closed() == 4401
    assert not await is_in(ann)
    assert not await is_in(phone)


@pytest.mark.gen_test(timeout=20)
async def test_a_new_password_ends_the_other_sessions(
    account: Visit, browser: Browser, enter: Enter
) -> None:
    ann = await account("ann")
    phone = await log_in(browser)
    on_phone = await enter(phone)
    await on_phone.next("ready")
    before = ann.cookie("session")
    page = await ann.post("/account", {"old": PASSWORD, "password": NEW})
    assert b"The password is changed." in page.body
    assert ann.cookie("session") not in (None, before)
    assert await on_phone.is_closed() == 4401
    assert not await is_in(phone)
    assert await is_in(await log_in(browser, NEW))
    assert not await is_in(await log_in(browser))


@pytest.mark.gen_test(timeout=20)
async def test_changing_again_after_a_503_makes_good_what_failed(
    account: Visit, browser: Browser, config: Config
) -> None:
    ann = await account("ann")
    phone = await log_in(browser)
    other = sqlite3.connect(config.data / "sessions.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    form = {"old": PASSWORD, "password": NEW}
    assert (await ann.post("/account", form)).code == 503
    other.execute("COMMIT")
    other.close()
    assert await is_in(phone)
    assert not await is_in(await log_in(browser))  # the password is new already
    page = await ann.post("/account", form)
    assert b"The password is changed." in page.body
    assert not await is_in(phone)


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("page", ["/login", "/register"])
async def test_log_in_under_way_does_not_outlive_a_new_password(
    app: Application, account: Visit, browser: Browser, page: str
) -> None:
    """The old password is right when it is looked at, and wrong when the session begins."""
    ann = await account("ann")
    changing = app.settings["passwords"] = Changing(ann)
    thief = await log_in(browser, page=page)
    assert changing.changed
    assert not await is_in(thief)
    assert await is_in(ann)
    assert len(await ends(ann)) == 0
    await changing.close()


class Changing(Passwords):
    """Change Ann's password as soon as somebody has shown that he knows the old one."""

    def __init__(self, ann: Client) -> None:
        super().__init__()
        self.ann, self.changed = ann, False

    async def verify(self, stored: str | None, password: str) -> bool:
        right = await super().verify(stored, password)
        if not self.changed:
            self.changed = True
            await self.ann.post("/account", {"old": PASSWORD, "password": NEW})
        return right


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("wrong horse", NEW, "The password is wrong."),
        ("", NEW, "This field is required."),
        (PASSWORD, "short", "Use 10 or more characters."),
    ],
)
async def test_a_password_is_not_changed_by_a_wrong_form(
    account: Visit, browser: Browser, old: str, new: str, complaint: str
) -> None:
    ann = await account("ann")
    response = await ann.post("/account", {"old": old, "password": new})
    assert response.code == 422
    assert complaint in response.body.decode()
    assert await is_in(await log_in(browser))


@pytest.mark.gen_test(timeout=20)
async def test_strangers_have_no_account(visitor: Client) -> None:
    response = await visitor.get("/account", follow_redirects=False)
    assert response.headers["Location"] == "/login?next=%2Faccount"


@pytest.mark.gen_test(timeout=20)
async def test_passwords_of_one_account_are_tried_ten_times(
    account: Visit, person: Visit, browser: Browser
) -> None:
    await account("ann")
    eve = browser()
    codes = [
        (await eve.post("/login", {"name": name, "password": ""})).code
        for name in ("ann", "ANN", "\uff41nn") * 4
    ]
    # Ten in a minute, of which the registration was one, and one more for the time that passed.
    assert codes[:8] == [422] * 8
    assert codes[10:] == [429] * 2
    assert not await is_in(await log_in(browser))
    other = await eve.post("/login", {"name": "ben", "password": ""})
    assert other.code == 422


@pytest.mark.gen_test(timeout=20)
async def test_strangers_do_not_keep_the_owner_from_a_new_password(
    account: Visit, visitor: Client
) -> None:
    ann = await account("ann")
    for _ in range(12):
        refused = await visitor.post("/login", {"name": "ann", "password": ""})
    assert refused.code == 429
    page = await ann.post("/account", {"old": PASSWORD, "password": NEW})
    assert b"The password is changed." in page.body


@pytest.mark.gen_test(timeout=20)
async def test_who_is_logged_in_tries_no_more_passwords_of_another(
    person: Visit, browser: Browser
) -> None:
    thieves = [await person("eve"), await person("mal"), browser()]
    codes = [
        (await thief.post("/login", {"name": "ann", "password": ""})).code
        for thief in thieves
        for _ in range(5)
    ]
    assert codes[:10] == [422] * 10
    assert codes[-2:] == [429] * 2


@pytest.mark.gen_test(timeout=20)
async def test_json_tries_no_more_passwords(browser: Browser) -> None:
    headers = {"Content-Type": "application/json"}
    thief = browser()
    for _ in range(10):
        await thief.post("/login", {"name": "ann", "password": ""})
    body = '{"name": "ann", "password": ""}'
    response = await thief.fetch("/login", method="POST", body=body, headers=headers)
    assert response.code == 429


@pytest.mark.gen_test(timeout=20)
async def test_who_tries_too_often_is_told_when_to_come_back(visitor: Client) -> None:
    for _ in range(12):
        response = await visitor.post("/login", {"name": "ann", "password": ""})
    assert response.code == 429
    assert b"Too many attempts" in response.body
    assert 0 < int(response.headers["Retry-After"]) <= 60


@pytest.mark.gen_test(timeout=20)
async def test_one_address_tries_sixty_accounts(visitor: Client) -> None:
    codes = [
        (await visitor.post("/login", {"name": f"user {number}", "password": ""})).code
        for number in range(64)
    ]
    assert codes[:60] == [422] * 60
    assert codes[-1] == 429


@pytest.mark.gen_test(timeout=20)
async def test_passwords_tried_by_a_stolen_session_are_counted_too(account: Visit) -> None:
    ann = await account("ann")
    codes = [(await ann.post("/account", {"old": "", "password": NEW})).code for _ in range(12)]
    assert codes[0] == 422
    assert codes[-1] == 429
