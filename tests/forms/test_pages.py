"""The code on the pages: it runs, and both sides of a comparison say the same."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypedDict

import django
import pytest
import tornado.locale
from django.conf import settings
from tornado.web import Application, RequestHandler

import tornado_ext.forms
from tornado_ext.forms import Form

DOCS = Path(__file__).parents[2] / "docs"


class Arguments(dict[str, list[str]]):
    """The multidict that WTForms asks for."""

    def getlist(self, name: str) -> list[str]:
        return self.get(name, [])


def blocks(page: str) -> list[str]:
    """Return the Python of a page, block by block."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


async def run(code: str, names: dict[str, Any]) -> None:
    """Run a block, in which `await` may stand outside of functions."""
    compiled = compile(code, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(compiled, names)
    if outcome is not None:
        await outcome


@pytest.mark.gen_test
@pytest.mark.parametrize("page", ["forms-from-django.md", "forms-from-wtforms.md"])
async def test_both_sides_of_a_comparison_run(page: str) -> None:
    if not settings.configured:
        settings.configure(USE_I18N=False)
        django.setup()
    theirs: dict[str, Any] = {"RequestHandler": RequestHandler, "Arguments": Arguments}
    ours: dict[str, Any] = {"RequestHandler": RequestHandler}
    code = blocks(page)
    assert len(code) >= 14
    for left, right in zip(code[::2], code[1::2], strict=True):
        await run(left, theirs)
        await run(right, ours)
        assert left.count("assert ") == right.count("assert ")
    assert not any("tornado_ext" in block for block in code[::2])


@pytest.mark.gen_test
async def test_the_page_about_forms_runs(tmp_path: Path) -> None:
    async def fetch_all(query: str, owner: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(id=1, name=f"{owner}'s room")]

    async def exists(name: str) -> bool:
        return name == "ann"

    names: dict[str, Any] = {
        **vars(tornado_ext.forms),
        "Application": Application,
        "RequestHandler": RequestHandler,
        "TypedDict": TypedDict,
        "database": SimpleNamespace(fetch_all=fetch_all),
        "tornado": tornado,
        "tornado_ext": tornado_ext,
        "users": SimpleNamespace(exists=exists),
    }
    for block in blocks("forms.md"):
        await run(block, names)
    tornado.locale.load_translations(str(tmp_path))  # none, as before

    sent = dict.fromkeys(("email", "password", "repeat"), "ann@example.com")
    taken, good = (
        names["TypedRegisterForm"]({"username": name, **sent}) for name in ("ann", "ben")
    )
    assert await good.is_valid()
    assert not await taken.is_valid()
    assert taken.errors == {"username": ["That name is taken."]}

    move = await names["MoveForm"](handler=SimpleNamespace(current_user="ann", locale=None)).load()
    assert "ann&#x27;s room</option>" in move["room"].render()

    hexadecimal = type("Hexadecimal", (Form,), {"x": names["HexField"](prefix="0x")})
    form = hexadecimal({"x": "0xff"})
    assert await form.is_valid()
    assert form.cleaned_data == {"x": 255}


def test_the_map_for_bootstrap_has_no_part_or_kind_that_there_is_not() -> None:
    names: dict[str, Any] = {"Form": Form}
    (block,) = [each for each in blocks("forms.md") if "BootstrapForm" in each]
    exec(block, names)
    parts = {"field", "label", "control", "help", "errors", "option", "option-label"}
    kinds = {"", "checkbox", "select", "radios", "checkboxes"}
    for key in names["BootstrapForm"].classes:
        part, _, kind = key.partition(":")
        assert part in parts | {"invalid", "summary"}
        assert kind in kinds
