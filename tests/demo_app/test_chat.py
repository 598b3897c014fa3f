"""The WebSocket of a room."""

import json
import sqlite3

import pytest
from html5lib import parseFragment
from tornado.httpclient import HTTPClientError, HTTPResponse
from tornado.web import Application

from demo_app.config import Config
from tests.demo_app.conftest import SOCKET, Enter, Visit
from tests.demo_app.talker import text_of
from tornado_ext.testing import Client


@pytest.mark.gen_test
async def test_stranger_is_refused_before_the_upgrade(visitor: Client) -> None:
    with pytest.raises(HTTPClientError) as refused:
        await visitor.websocket(SOCKET)
    assert refused.value.code == 401


@pytest.mark.gen_test
async def test_page_of_another_site_is_refused(person: Visit) -> None:
    ann = await person("ann")
    with pytest.raises(HTTPClientError) as refused:
        await ann.websocket(SOCKET, headers={"Origin": "https://evil.example"})
    assert refused.value.code == 403


@pytest.mark.gen_test
async def test_room_that_nobody_opened_is_refused(person: Visit) -> None:
    ann = await person("ann")
    with pytest.raises(HTTPClientError) as refused:
        await ann.websocket("/rooms/never-opened/socket")
    assert refused.value.code == 404


@pytest.mark.gen_test
async def test_message_reaches_everybody_in_the_room(person: Visit, enter: Enter) -> None:
    ann, ben = await enter(await person("ann")), await enter(await person("ben"))
    await ann.say("hello 茶 🌪")
    assert await ann.hears() == await ben.hears() == "hello 茶 🌪"


@pytest.mark.gen_test
async def test_message_stays_in_its_room(person: Visit, enter: Enter) -> None:
    client = await person("ben")
    await client.post("/", {"room": "other"})
    lobby, other = await enter(await person("ann")), await enter(client, "/rooms/other/socket")
    await other.say("elsewhere")
    await other.hears()
    await lobby.say("here")
    assert await lobby.hears() == "here"


@pytest.mark.gen_test
async def test_message_is_stored(person: Visit, enter: Enter) -> None:
    client = await person("ann")
    ann = await enter(client)
    await ann.say("remember this")
    await ann.hears()
    assert b"remember this" in (await client.get("/rooms/lobby")).body


@pytest.mark.gen_test
async def test_markup_is_text(person: Visit, enter: Enter) -> None:
    eve = await enter(await person("<b>eve</b>"))
    assert await eve.sees() == ["<b>eve</b>"]
    await eve.say("<script>alert(1)</script>")
    frame = await eve.next("message")
    assert text_of(frame["html"], ".//p[@class='text']") == ["<script>alert(1)</script>"]
    assert text_of(frame["html"], ".//bdi[@class='author']") == ["<b>eve</b>"]
    assert text_of(frame["html"], ".//script") == []


@pytest.mark.gen_test
async def test_everybody_sees_who_comes_and_goes(person: Visit, enter: Enter) -> None:
    ann = await enter(await person("ann"))
    assert await ann.sees() == ["ann"]
    ben = await enter(await person("ben"))
    assert await ann.sees() == await ben.sees() == ["ann", "ben"]
    ben.socket.close()
    assert await ann.sees() == ["ann"]


@pytest.mark.gen_test
async def test_person_with_two_windows_is_listed_once(person: Visit, enter: Enter) -> None:
    client = await person("ann")
    first = await enter(client)
    assert await first.sees() == ["ann"]
    second = await enter(client)
    assert await first.sees() == ["ann"]
    second.socket.close()
    assert await first.sees() == ["ann"]


@pytest.mark.gen_test
async def test_who_comes_back_gets_what_he_missed(
    app: Application, person: Visit, enter: Enter
) -> None:
    client = await person("ann")
    first = await app.settings["storage"].add_message("lobby", 1, "ann", "seen", "1")
    await app.settings["storage"].add_message("lobby", 1, "ann", "missed", "2")
    ann = await enter(client, f"{SOCKET}?after={first.id}")
    assert await ann.hears() == "missed"
    await ann.say("new")
    assert await ann.hears() == "new"


@pytest.mark.gen_test
async def test_who_was_away_for_long_misses_nothing(
    app: Application, person: Visit, enter: Enter
) -> None:
    client = await person("ann")
    missed = [str(number) for number in range(101)]
    for text in missed:
        await app.settings["storage"].add_message("lobby", 1, "ann", text, text)
    ann = await enter(client, f"{SOCKET}?after=0")
    assert [await ann.hears() for _ in missed] == missed


@pytest.mark.gen_test
@pytest.mark.parametrize("after", ["", "-1", "x", "9" * 5000, "1e3", "%00"])
async def test_senseless_last_id_is_taken_for_none(person: Visit, enter: Enter, after: str) -> None:
    ann = await enter(await person("ann"), f"{SOCKET}?after={after}")
    await ann.say("hello")
    assert await ann.hears() == "hello"


def say(**content: object) -> str:
    return json.dumps({"type": "say", "key": "1", **content})


NO_OBJECT = "The request is not a JSON object."


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        *((frame, NO_OBJECT) for frame in ("no json", "", "[" * 4000, '"text"', "[1]", "null")),
        ('{"type": NaN}', "A frame of this type is not known."),
        ("{}", "A frame of this type is not known."),
        ('{"type": ["say"]}', "A frame of this type is not known."),
        (say(), "The message is empty."),
        (say(text=None), "The message is empty."),
        (say(text=""), "The message is empty."),
        (say(text=" \n\t "), "The message is empty."),
        (say(text="\u200b\u2060\u3164\ufe0f"), "The message is empty."),
        (say(text=7), "Enter a valid value."),
        (say(text=["x"]), "Enter a valid value."),
        (say(text={"x": "y"}), "Enter a valid value."),
        (say(text="\0"), "Control characters are not allowed."),
        (say(text="\ud800"), "Control characters are not allowed."),
        (say(text="x" * 1001), "Use 1000 or fewer characters."),
        (say(text="e" + "\u0301" * 10_000), "The message is too long."),
        (say(text="x" * 4096), "The message is too long."),
        (say(text="x", key=""), "This field is required."),
        (say(text="x", key="a b"), "This does not have the expected format."),
        (say(text="x", key="x" * 41), "This does not have the expected format."),
        ('{"type": "sync", "after": -1}', "Enter 0 or more."),
        ('{"type": "sync", "after": "x"}', "Enter a whole number."),
        ('{"type": "read", "id": 1e99}', "Enter a whole number."),
        ('{"type": "read"}', "This field is required."),
        (b'{"text": "bytes"}', "Send text, not bytes."),
    ],
)
async def test_bad_frame_gets_a_complaint_and_the_connection_lives(
    person: Visit, enter: Enter, frame: str | bytes, complaint: str
) -> None:
    ann = await enter(await person("ann"))
    await ann.send(frame)
    assert await ann.is_told() == complaint
    await ann.say("still here")
    assert await ann.hears() == "still here"


@pytest.mark.gen_test
async def test_what_is_sent_again_is_shown_once_in_the_database(
    app: Application, person: Visit, enter: Enter
) -> None:
    ann = await enter(await person("ann"))
    for _ in range(3):
        await ann.say("once", "key")
    frames = [await ann.next("message") for _ in range(3)]
    assert [(frame["id"], frame["key"]) for frame in frames] == [(1, "key")] * 3
    assert len(await app.settings["storage"].messages("lobby")) == 1


@pytest.mark.gen_test
async def test_nobody_brings_a_message_of_another_room_under_its_key(
    person: Visit, enter: Enter
) -> None:
    client = await person("eve")
    await client.post("/", {"room": "other"})
    other, lobby = await enter(client, "/rooms/other/socket"), await enter(await person("ann"))
    for number in range(3):
        await other.say(f"forged {number}", f"key-{number}")
        await other.hears()
    eve = await enter(client)
    await eve.say("honest", "key-2")
    frame = await lobby.next("message")
    assert (frame["room"], frame["id"]) == ("lobby", 1)
    assert text_of(frame["html"], ".//p[@class='text']") == ["honest"]


@pytest.mark.gen_test
async def test_what_follows_a_message_is_sent_on_request(person: Visit, enter: Enter) -> None:
    ann = await enter(await person("ann"))
    await ann.next("ready")
    for number in range(3):
        await ann.say(f"{number}")
        await ann.hears()
    await ann.ask("sync", after=1)
    assert [await ann.hears(), await ann.hears()] == ["1", "2"]
    await ann.next("ready")


@pytest.mark.gen_test
async def test_others_are_told_who_types(person: Visit, enter: Enter) -> None:
    ann, ben = await enter(await person("ann")), await enter(await person("ben"))
    await ben.next("ready")
    await ann.ask("typing")
    await ann.say("end")
    assert (await ben.next("typing"))["name"] == "ann"
    while (frame := json.loads(str(await ann.read())))["type"] != "message":
        assert frame["type"] != "typing"


@pytest.mark.gen_test
async def test_messages_of_ones_other_rooms_are_brought_too(person: Visit, enter: Enter) -> None:
    client = await person("ann")
    await client.post("/", {"room": "other"})
    lobby, other = await enter(client), await enter(await person("ben"), "/rooms/other/socket")
    await lobby.next("ready")
    await other.say("elsewhere")
    assert (await lobby.next("message"))["room"] == "other"


@pytest.mark.gen_test
async def test_what_was_read_is_unread_no_more(person: Visit, enter: Enter) -> None:
    client = await person("ann")
    ann, ben = await enter(client), await enter(await person("ben"))
    await ann.next("ready")
    for text in ("one", "two", "three"):
        await ben.say(text)
        await ann.hears()
    assert unread(await client.get("/")) == "3"
    await ann.ask("read", id=2)
    await ann.ask("sync", after=3)
    await ann.next("ready")
    assert unread(await client.get("/")) == "1"


def unread(page: HTTPResponse) -> str:
    return text_of(page.body.decode(), ".//span[@class='count']")[0]


@pytest.mark.gen_test
async def test_links_can_be_followed_and_nothing_else(person: Visit, enter: Enter) -> None:
    ann = await enter(await person("ann"))
    await ann.say("see https://example.com/?a=1&b=<b>, or javascript:alert(1)")
    html = (await ann.next("message"))["html"]
    (link,) = parseFragment(html, namespaceHTMLElements=False).findall(".//a")
    assert link.attrib["href"] == link.text == "https://example.com/?a=1&b="
    assert link.attrib["rel"] == "noopener noreferrer nofollow ugc"
    assert text_of(html, ".//b") == []


@pytest.mark.gen_test
async def test_frame_too_large_to_read_ends_the_connection(person: Visit, enter: Enter) -> None:
    ann = await enter(await person("ann"))
    await ann.send("x" * (64 * 1024 + 1))
    # 1009, unless the server's reset overtakes it, because there was more to read.
    assert await ann.is_closed() in (1009, 1006, None)


@pytest.mark.gen_test
async def test_several_lines_stay_several(person: Visit, enter: Enter) -> None:
    ann = await enter(await person("ann"))
    await ann.say("one\n\ttwo\n")
    assert await ann.hears() == "one\n\ttwo"


@pytest.mark.gen_test
async def test_logging_out_closes_the_open_socket(person: Visit, enter: Enter) -> None:
    client = await person("ann")
    ann = await enter(client)
    await client.post("/logout")
    assert await ann.is_closed() == 4401


@pytest.mark.gen_test
async def test_revoked_session_can_say_no_more_though_nobody_told_its_socket(
    app: Application, person: Visit, enter: Enter
) -> None:
    ann = await enter(await person("ann"))
    await ann.next("ready")
    await app.settings["session_store"].revoke_user(1)
    await ann.say("ghost")
    assert await ann.is_closed() == 4401
    assert await app.settings["storage"].messages("lobby") == []


@pytest.mark.gen_test
async def test_locked_database_asks_to_wait_until_it_is_free(
    config: Config, person: Visit, enter: Enter
) -> None:
    ann = await enter(await person("ann"))
    await ann.next("ready")
    other = sqlite3.connect(config.data / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await ann.say("kept", "key")
    await ann.is_asked_to_wait()
    other.execute("COMMIT")
    other.close()
    await ann.say("kept", "key")
    assert await ann.hears() == "kept"
