"""What people typed, made safe to show."""

import time

import pytest
from html5lib import parseFragment

from demo_app.text import browser_name, can_be_seen, is_blank, linked

LINKS = [
    ("https://example.com", "https://example.com", ""),
    ("http://example.com/a?b=1&c=2#d", "http://example.com/a?b=1&c=2#d", ""),
    ("https://example.com.", "https://example.com", "."),
    ("https://example.com/a_(b)!", "https://example.com/a_", "(b)!"),
    ("https://example.com,", "https://example.com", ","),
    ("https://example.com/茶", "https://example.com/", "茶"),
    ("https://ex\u202eample.com", "https://ex", "\u202eample.com"),
    ("https://пример.example", None, "https://пример.example"),
    ('https://a"onmouseover="x', "https://a", '"onmouseover="x'),
    ("https://a'b", "https://a", "'b"),
    ("https://a<b>c</b>", "https://a", "<b>c</b>"),
    ("javascript://alert(1)", None, "javascript://alert(1)"),
    ("data:text/html,https:", None, "data:text/html,https:"),
    ("ftp://example.com", None, "ftp://example.com"),
    ("https://", None, "https://"),
    ("<script>alert(1)</script>", None, "<script>alert(1)</script>"),
    ("a & b &amp; c", None, "a & b &amp; c"),
]


@pytest.mark.parametrize(("text", "href", "rest"), LINKS)
def test_text_stays_text_and_links_are_links(text: str, href: str | None, rest: str) -> None:
    fragment = parseFragment(linked(text), namespaceHTMLElements=False)
    elements = list(fragment)
    assert [element.tag for element in elements] == ([] if href is None else ["a"])
    assert "".join(fragment.itertext()) == text
    for link in elements:
        assert link.get("href") == href
        assert set(link.attrib) == {"href", "target", "rel"}
        assert link.tail or rest == ""


def test_a_long_text_is_quick() -> None:
    began = time.process_time()
    for text in ("http://" * 150, "https://" + "a." * 500, "https://" + "!" * 1000):
        linked(text)
    assert time.process_time() - began < 1


LINUX, IPHONE = (
    "Mozilla/5.0 (X11; Linux x86_64)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)",
)
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (f"{LINUX} Gecko/20100101 Firefox/140.0", "Firefox · Linux"),
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36", "Chrome · Windows"),
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge · Windows"),
        (f"{IPHONE} AppleWebKit/605.1.15 Version/18.5 Mobile Safari/604.1", "Safari · iPhone"),
        (f"{IPHONE} AppleWebKit/605.1.15 CriOS/140.0 Mobile Safari/604.1", "Chrome · iPhone"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
    ],
)
def test_browser_has_the_name_that_people_know(agent: str, name: str) -> None:
    assert browser_name(agent) == name


@pytest.mark.parametrize("name", ["ann", "<b>", "茶", "🌪", "é", "e\u0301"])
def test_a_name_that_shows(name: str) -> None:
    assert can_be_seen(name)


@pytest.mark.parametrize(
    "name", ["\u202eann", "a\u200bb", "\u0301a", "\u3164", "a\u2066b", "a\ufeff", "a\nb"]
)
def test_a_name_that_hides_something(name: str) -> None:
    assert not can_be_seen(name)


@pytest.mark.parametrize("text", ["", " \n", "\u200b\u200d", "\u202e", "\u2800\u3164", "\ufe0f"])
def test_a_text_that_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(text + "x")
