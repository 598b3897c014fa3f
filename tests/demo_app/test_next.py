"""Where `next` may lead: nowhere but to this site."""

import pytest

from demo_app.handlers.base import local_path

INSIDE = ["/", "/rooms/lobby", "/rooms/%E8%8C%B6?x=1&y=%2F%2Fevil.example#end", "/a:b@c"]

OUTSIDE = [
    "",
    " ",
    "rooms",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/rooms\\..\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\x00/evil.example",
    "/rooms\r\nSet-Cookie: a=b",
    "/rooms\n",
    "/.//evil.example",
    "/..//evil.example",
    "/rooms/..//evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https://evil.example",
    "HTTPS://evil.example",
    "http:///evil.example",
    "//user@evil.example",
    "https://127.0.0.1@evil.example",
    "https://127.0.0.1:8888/rooms",
    "//127.0.0.1.evil.example",
    "javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "/\u2028/evil.example",
    "\uff0f\uff0fevil.example",
    "/\uff0fevil.example",
    "//evil\u3002example",
    "?next=//evil.example",
    "#//evil.example",
]


@pytest.mark.parametrize("target", INSIDE)
def test_path_of_this_site_is_followed(target: str) -> None:
    assert local_path(target, "/otherwise") == target


@pytest.mark.parametrize("target", OUTSIDE)
def test_anything_else_is_not(target: str) -> None:
    assert local_path(target, "/otherwise") == "/otherwise"
