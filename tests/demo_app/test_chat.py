"""The WebSocket of a room."""

import json
import sqlite3

import pytest
from tornado.httpclient import HTTPClientError
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
    client = await person("ann")
    await client.post("/", {"room": "other"})
    lobby, other = await enter(client), await enter(client, "/rooms/other/socket")
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
    assert text_of(frame["html"], ".//span[@class='author']") == ["<b>eve</b>"]
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
    first = await app.settings["storage"].add_message("lobby", 1, "ann", "seen")
    await app.settings["storage"].add_message("lobby", 1, "ann", "missed")
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
        await app.settings["storage"].add_message("lobby", 1, "ann", text)
    ann = await enter(client, f"{SOCKET}?after=0")
    assert [await ann.hears() for _ in missed] == missed


@pytest.mark.gen_test
@pytest.mark.parametrize("after", ["", "-1", "x", "9" * 5000, "1e3", "%00"])
async def test_senseless_last_id_is_taken_for_none(person: Visit, enter: Enter, after: str) -> None:
    ann = await enter(await person("ann"), f"{SOCKET}?after={after}")
    await ann.say("hello")
    assert await ann.hears() == "hello"


LONG = json.dumps({"text": "x" * 4096})


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        ("no json", "The request is not a JSON object."),
        ("", "The request is not a JSON object."),
        ("[" * 4000, "The request is not a JSON object."),
        ('"text"', "The request is not a JSON object."),
        ("[1]", "The request is not a JSON object."),
        ("null", "The request is not a JSON object."),
        ('{"text": NaN}', "The request is not a JSON object."),
        ("{}", "The message is empty."),
        ('{"text": null}', "The message is empty."),
        ('{"text": ""}', "The message is empty."),
        ('{"text": " \\n\\t "}', "The message is empty."),
        ('{"text": 7}', "Enter a valid value."),
        ('{"text": ["x"]}', "Enter a valid value."),
        ('{"text": {"x": "y"}}', "Enter a valid value."),
        ('{"text": "\\u0000"}', "Control characters are not allowed."),
        ('{"text": "\\ud800"}', "Control characters are not allowed."),
        (json.dumps({"text": "x" * 1001}), "Use 1000 or fewer characters."),
        (LONG, "The message is longer than 4096 bytes."),
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
async def test_logging_out_ends_what_an_open_socket_may_say(
    app: Application, person: Visit, enter: Enter
) -> None:
    client = await person("ann")
    ann = await enter(client)
    await client.post("/logout")
    await ann.say("ghost")
    assert await ann.is_closed() == 4401
    assert await app.settings["storage"].messages("lobby") == []


@pytest.mark.gen_test
async def test_locked_database_is_a_complaint_until_it_is_free(
    config: Config, person: Visit, enter: Enter
) -> None:
    ann = await enter(await person("ann"))
    other = sqlite3.connect(config.data / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await ann.say("lost")
    assert "not stored" in await ann.is_told()
    other.execute("COMMIT")
    other.close()
    await ann.say("kept")
    assert await ann.hears() == "kept"
