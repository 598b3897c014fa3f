"""Forms in Chromium: read as they were meant, and nothing for axe-core to complain about."""

from collections.abc import Iterator
from pathlib import Path

import axe_core_python
import html5lib
import pytest
from selenium.webdriver import Chrome

from tests.demo_app.browser import chromium
from tests.forms.every import EveryForm, page, wrong
from tests.forms.hostile import TEXTS, hostile_form

AXE = Path(next(iter(axe_core_python.__path__)), "axe.min.js")
RUN_AXE = "const done = arguments[0]; axe.run().then(found => done(found.violations))"
# Each element of the form: its name, its attributes, and its own text.
ELEMENTS = """
return Array.from(document.querySelectorAll("form *"), e => [
  e.localName,
  Object.fromEntries(Array.from(e.attributes, a => [a.name, a.value])),
  Array.from(e.childNodes).filter(n => n.nodeType === 3).map(n => n.data).join(""),
])
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


def show(browser: Chrome, tmp_path: Path, html: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(html, encoding="utf-8")
    browser.get(file.as_uri())


@pytest.mark.gen_test
async def test_axe_finds_nothing_with_and_without_errors(browser: Chrome, tmp_path: Path) -> None:
    for form in (EveryForm(), await wrong()):
        show(browser, tmp_path, page(form))
        browser.execute_script(AXE.read_text(encoding="utf-8"))
        assert browser.execute_async_script(RUN_AXE) == []


def test_axe_would_find_a_control_without_a_label(browser: Chrome, tmp_path: Path) -> None:
    show(
        browser, tmp_path, page(EveryForm()).replace("<label", "<span").replace("</label", "</span")
    )
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    assert "label" in {found["id"] for found in browser.execute_async_script(RUN_AXE)}


def test_the_browser_refuses_what_the_rules_refuse(browser: Chrome, tmp_path: Path) -> None:
    form = EveryForm({"string": "Abc", "integer": "3", "slug": "a b", "email": "ann", "url": "x"})
    show(browser, tmp_path, page(form))
    script = "return Array.from(document.querySelectorAll(':invalid'), e => e.name)"
    assert {"string", "integer", "slug", "email", "url", "password"} <= set(
        browser.execute_script(script)
    )
    complaints = [entry["message"] for entry in browser.get_log("browser")]
    assert not [each for each in complaints if "regular expression" in each]


@pytest.mark.gen_test
@pytest.mark.parametrize("text", TEXTS)
async def test_text_never_becomes_an_element(browser: Chrome, tmp_path: Path, text: str) -> None:
    html, plain = page(await hostile_form(text)), page(await hostile_form("x"))
    show(browser, tmp_path, html)
    found = browser.execute_script(ELEMENTS)
    show(browser, tmp_path, plain)
    expected = browser.execute_script(ELEMENTS)
    assert [(tag, list(attrs)) for tag, attrs, _ in found] == [
        (tag, list(attrs)) for tag, attrs, _ in expected
    ]
    parsed = html5lib.parse(html, namespaceHTMLElements=False).find(".//form")
    ours = [(each.tag, dict(each.attrib)) for each in parsed.iter()][1:]
    assert [(tag, attrs) for tag, attrs, _ in found] == ours
