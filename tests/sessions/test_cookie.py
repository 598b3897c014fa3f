"""The session's cookie: its settings, what is read of it, and what a browser is sent."""

from collections.abc import Callable
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application

from tests.sessions.acting import Do, put, show, shown
from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions import MemoryStore, Record, StoreUnavailable
from tornado_ext.sessions.cookie import SessionCookie
from tornado_ext.testing import Client

ID, OTHER = "A" * 43, "b_-4" * 10 + "xyz"


def attributes(header: str) -> set[str]:
    return {part.strip() for part in header.split(";")[1:]}


# What is sent.


@pytest.mark.gen_test
async def test_cookie_has_safe_attributes(do: Do) -> None:
    header = (await do(put(a=1))).headers["Set-Cookie"]
    assert attributes(header) == {"HttpOnly", "Max-Age=7776000", "Path=/", "SameSite=Lax"}


@pytest.mark.gen_test
async def test_cookie_is_secure_on_https(do: Do, http_server: HTTPServer) -> None:
    http_server.xheaders = True
    header = (await do(put(a=1), headers={"X-Scheme": "https"})).headers["Set-Cookie"]
    assert "Secure" in attributes(header)


@pytest.mark.gen_test
async def test_cookie_follows_the_settings(do: Do, app: Application, client: Client) -> None:
    app.settings.update(
        session_cookie_name="sid",
        session_lifetime=1000,
        session_cookie_kwargs={"samesite": "Strict", "path": "/do"},
    )
    header = (await do(put(a=1))).headers["Set-Cookie"]
    assert header.startswith("sid=")
    assert "Max-Age=1000; Path=/do; SameSite=Strict" in header
    assert (await shown(do))["a"] == 1
    await do(lambda h: h.session.logout())
    assert client.cookie("sid") is None


@pytest.mark.gen_test
async def test_cookie_with_a_prefix_is_always_secure(do: Do, app: Application) -> None:
    app.settings["session_cookie_name"] = "__Host-session"
    header = (await do(put(a=1))).headers["Set-Cookie"]
    assert attributes(header) >= {"Secure", "Path=/"}
    assert "Domain" not in header
    brought = {"Cookie": header.partition(";")[0]}
    gone = (await do(lambda h: h.session.logout(), headers=brought)).headers["Set-Cookie"]
    assert attributes(gone) >= {"Secure", "Path=/"}


@pytest.mark.gen_test
async def test_cookie_can_be_partitioned(do: Do, app: Application) -> None:
    app.settings["session_cookie_kwargs"] = {
        "secure": True,
        "samesite": "None",
        "partitioned": True,
    }
    header = (await do(put(a=1))).headers["Set-Cookie"]
    assert attributes(header) == {
        "HttpOnly",
        "Max-Age=7776000",
        "Partitioned",
        "Path=/",
        "SameSite=None",
        "Secure",
    }
    brought = {"Cookie": header.partition(";")[0]}
    gone = (await do(lambda h: h.session.logout(), headers=brought)).headers["Set-Cookie"]
    assert attributes(gone) >= {"Max-Age=0", "Partitioned", "Path=/", "Secure"}


@pytest.mark.gen_test
async def test_cookie_is_sent_only_when_an_id_was_made_or_ended(do: Do) -> None:
    assert "Set-Cookie" in (await do(put(a=1))).headers
    assert "Set-Cookie" not in (await do(put(a=2))).headers
    assert "Set-Cookie" not in (await do(show)).headers


class Unending(MemoryStore):
    """Can't end the record whose place another takes."""

    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        if replaced_for:
            raise StoreUnavailable("away")
        return await super().delete(key)


@pytest.mark.gen_test
@pytest.mark.parametrize("partitioned", [True, False])
async def test_new_id_is_sent_with_the_error_page_if_the_old_one_may_have_ended(
    do: Do, app: Application, partitioned: bool
) -> None:
    app.settings.update(
        session_store=Unending(),
        session_cookie_kwargs={"secure": True, "partitioned": partitioned},
    )
    made = (await do(put(a=1))).headers["Set-Cookie"].partition(";")[0]
    reply = await do(lambda h: h.session.regenerate(), headers={"Cookie": made})
    assert reply.code == 503
    (sent,) = reply.headers.get_list("Set-Cookie")
    assert sent.partition(";")[0] != made
    assert ("Partitioned" in attributes(sent)) is partitioned
    assert (reply.headers["Vary"], reply.headers["Cache-Control"]) == ("Cookie", "private")


# What is read.


@pytest.mark.parametrize(
    ("header", "ids"),
    [
        (f"session={ID}", [ID]),
        (f"a=b;session={ID};c=d", [ID]),
        (f"a=b; session={ID} ; c=d", []),
        (f"session={ID}; session={OTHER}; session={ID}", [ID, OTHER]),
        (f"xsession={ID}", []),
        (f"session={ID}x", []),
        (f"session={ID[1:]}", []),
        (f'session="{ID}"', []),
        (f"Session={ID}", []),
        (f"a=session={ID}", []),
        ("session=" + "é" * 43, []),
        ("session=" + "٣" * 43, []),
        ("session", []),
        ("session=" + "A" * 60_000, []),
        (";" * 60_000, []),
        ("session=;" * 6_000, []),
    ],
)
def test_only_what_may_be_an_id_is_read(header: str, ids: list[str]) -> None:
    assert SessionCookie("session", {}).ids([header]) == ids


def test_cookies_in_several_headers_are_read() -> None:
    assert SessionCookie("session", {}).ids(["a=b", f"session={ID}"]) == [ID]


def test_name_is_taken_as_it_is() -> None:
    cookie = SessionCookie("a.b*", {})
    assert cookie.ids([f"aab={ID}"]) == []
    assert cookie.ids([f"a.b*={ID}"]) == [ID]


# What contradicts itself.

HOST = "__Host-session"


@pytest.mark.parametrize(
    ("name", "kwargs", "sentence"),
    [
        (None, {}, "'session_cookie_name' is no name: None"),
        ("a b", {}, "'session_cookie_name' is no name: 'a b'"),
        ("path", {}, "'session_cookie_name' is no name: 'path'"),
        ("s", [], "'session_cookie_kwargs' must be a dict"),
        ("s", {"max_age": 1}, "'session_cookie_kwargs' has 'max_age'"),
        ("s", {"domain": 5}, "domain can't be 5"),
        ("s", {"domain": "münchen.de"}, "domain can't be 'münchen.de'"),
        ("s", {"path": "/; Secure"}, "path can't be '/; Secure'"),
        ("s", {"path": "app"}, "browsers ignore a path without a slash"),
        ("s", {"secure": "no"}, "secure can't be 'no'"),
        ("s", {"samesite": "lax"}, "samesite is Lax, Strict or None"),
        ("s", {"samesite": "None"}, "samesite=None without secure=True"),
        ("s", {"partitioned": True}, "partitioned=True without secure=True"),
        (HOST, {"secure": False}, "a cookie named __Host-session without secure=True"),
        ("__secure-s", {"secure": False}, "a cookie named __secure-s without secure=True"),
        (HOST, {"domain": "example.com"}, "named __Host-session with a domain or a path"),
        ("__HOST-s", {"path": "/app"}, "named __HOST-s with a domain or a path"),
    ],
)
def test_what_browsers_would_refuse_is_refused_at_start(
    name: Any, kwargs: Any, sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SessionCookie(name, kwargs)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        (HOST, {"path": "/", "secure": True}),
        (HOST, {"partitioned": True, "samesite": "None"}),
        ("__Secure-s", {"domain": "example.com", "path": "/app"}),
        ("s", {"partitioned": False, "domain": ""}),
    ],
)
def test_what_fits_together_is_taken(name: str, kwargs: dict[str, Any]) -> None:
    SessionCookie(name, kwargs)


# Caches.


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (None, "private"),
        ("no-store", "no-store,private"),
        ("public, max-age=5", "public, max-age=5,private"),
    ],
)
async def test_new_cookie_is_kept_out_of_shared_caches(do: Do, said: str | None, sent: str) -> None:
    def action(handler: Any) -> None:
        handler.session["a"] = 1
        if said is not None:
            handler.set_header("Cache-Control", said)

    assert (await do(action)).headers["Cache-Control"] == sent


@pytest.mark.gen_test
async def test_cache_control_is_the_handlers_where_no_cookie_is_sent(do: Do) -> None:
    await do(put(a=1))
    assert "Cache-Control" not in (await do(put(a=2))).headers
    reply = await do(lambda h: (h.set_header("Cache-Control", "public"), show(h))[1])
    assert reply.headers["Cache-Control"] == "public"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "look",
    [
        lambda h: h.session.get("a"),
        lambda h: h.write(str("a" in h.session)),
        lambda h: h.write(str(len(h.session))),
        lambda h: h.write(str(h.session.is_new)),
        lambda h: h.write(str(h.session.created_at)),
        lambda h: h.write(str(h.current_user)),
    ],
)
async def test_reply_varies_once_the_session_was_looked_at(
    do: Do, look: Callable[[Any], object]
) -> None:
    for _ in range(2):  # as a visitor, and with a session
        reply = await do(lambda h: (look(h), None)[1])
        assert reply.headers.get_list("Vary") == ["Cookie"]
        await do(put(a=1))


@pytest.mark.gen_test
async def test_reply_does_not_vary_if_nobody_looked(do: Do) -> None:
    await do(put(a=1))
    assert "Vary" not in (await do(lambda h: h.write("hello"))).headers


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("said", "sent"),
    [("Accept", "Accept,Cookie"), ("*", "*,Cookie")],
)
async def test_vary_of_the_handler_is_added_to(do: Do, said: str, sent: str) -> None:
    reply = await do(lambda h: (h.set_header("Vary", said), show(h))[1])
    assert reply.headers["Vary"] == sent


@pytest.mark.gen_test
async def test_reply_whose_headers_were_cleared_varies_once(do: Do) -> None:
    reply = await do(lambda h: (h.session.get("a"), h.clear(), show(h))[2])
    assert reply.headers["Vary"] == "Cookie"


@pytest.mark.gen_test
async def test_error_page_of_a_failed_save_varies_too(do: Do) -> None:
    reply = await do(put(tags={1, 2}))
    assert (reply.code, reply.headers["Vary"]) == (500, "Cookie")
