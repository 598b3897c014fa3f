"""Whatever is sent to any field: a value or a message, never an exception, and no endless work.

Time is limited generously: what grows with the square of 10 MB takes hours.
"""

import asyncio
import inspect
import math
import pkgutil
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module

import html5lib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.forms import matrix
from tests.forms.matrix import TABLE, Json, make
from tornado_ext import forms
from tornado_ext.forms import Field, Form, StringField
from tornado_ext.forms.files import MAX_NAME, safe_name
from tornado_ext.forms.validators import slug

FIELDS = {field: matrix.field(field) for field, *_ in TABLE}
LIMIT = 1.0  # seconds of CPU time

each_field = pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
examples = settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates too
alike = st.from_regex(r"\A[-+0-9.:eETZ/\\@a-f\n\0 ]{0,40}\Z")  # nearly a number, a date, ...
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(any_text, each, max_size=3),
    max_leaves=5,
)

NESTED: list[object] = []
for _ in range(10_000):
    NESTED = [NESTED]
HUGE = [10**5000, -(10**5000), math.nan, math.inf, -math.inf, NESTED, {"a": NESTED}, "\ud800"]


@contextmanager
def no_endless_work() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < LIMIT


def check(form: Form) -> None:
    """Validate and draw a form; its HTML has the elements that are meant."""
    asyncio.run(validated(form))
    html = form.render()
    html.encode()
    found = html5lib.parseFragment(html, namespaceHTMLElements=False)
    plain = type(form)({"x": []})
    asyncio.run(validated(plain))
    expected = html5lib.parseFragment(plain.render(), namespaceHTMLElements=False)
    assert tags(found) - {"p", "ul", "li", "a"} <= tags(expected)


async def validated(form: Form) -> bool:
    return await form.is_valid()


def tags(element: object) -> set[str]:
    return {each.tag for each in element.iter()}


@each_field
@examples
@given(sent=st.lists(any_text | alike | st.binary(), max_size=2))
def test_any_text_and_bytes_are_a_value_or_an_error(field: Field[object], sent: list) -> None:
    check(type("OneField", (Form,), {"x": field})({"x": sent}))


@each_field
@examples
@given(value=any_json)
def test_any_json_is_a_value_or_an_error(field: Field[object], value: object) -> None:
    check(make(field, Json(value)))


@each_field
def test_what_is_huge_or_nested_or_no_number_is_a_value_or_an_error(field: Field[object]) -> None:
    with no_endless_work():
        for value in HUGE:
            form = make(field, Json(value))
            asyncio.run(validated(form))
            form.render().encode()


@each_field
@pytest.mark.parametrize("each", ["9", "\u3000", "\ud800"], ids=ascii)
def test_ten_megabytes_are_an_error_soon(field: Field[object], each: str) -> None:
    text = each * (10_000_000 // len(each))
    form = type("OneField", (Form,), {"x": field})({"x": [text]})
    with no_endless_work():
        assert not asyncio.run(validated(form))
        assert len(form.render()) < 10_000_000


def test_a_limit_of_ones_own_may_be_higher_than_ten_megabytes() -> None:
    form = type("Long", (Form,), {"x": StringField(max_length=20_000_000)})({"x": "x" * 10_000_000})
    with no_endless_work():
        assert asyncio.run(validated(form))


@each_field
def test_a_key_that_is_repeated_a_thousand_times_is_an_error(field: Field[object]) -> None:
    form = type("OneField", (Form,), {"x": field})({"x": [b"1"] * 1000})
    with no_endless_work():
        assert not asyncio.run(validated(form))


def patterns() -> dict[str, re.Pattern[str]]:
    """Return every regular expression of the package, by its name."""
    names = [f"{forms.__name__}.{each.name}" for each in pkgutil.iter_modules(forms.__path__)]
    modules = [import_module(name) for name in names]
    classes = [
        each
        for module in modules
        for each in vars(module).values()
        if inspect.isclass(each) and each.__module__ == module.__name__
    ]
    found = {
        f"{place.__name__}.{name}": value
        for place in (*modules, *classes)
        for name, value in vars(place).items()
        if isinstance(value, re.Pattern)
    }
    written = sum(inspect.getsource(module).count("= re.compile(") for module in modules)
    assert len(set(found.values())) == written - 1  # and one that users give
    return {**found, "slug": re.compile(slug.pattern)}


REPLACED = ("_UNSAFE", "_UNWRITABLE", "_TOKEN")  # in these; others must match from the start
STARTS = ["", "a@", "http://", "https://a/", "+", "2024-01-01T00:00:00.", "{"]
REPEATED = ["a", "a-", "a.", "1", "1.", "1e", ":", "a{", "/", "\0", "é", "@a.a-"]


@pytest.mark.parametrize(("name", "pattern"), patterns().items(), ids=patterns())
def test_no_regular_expression_takes_more_than_its_share(
    name: str, pattern: re.Pattern[str]
) -> None:
    """Each with 100 kB of what could make it try again and again."""
    work = partial(pattern.sub, "") if name.endswith(REPLACED) else pattern.fullmatch
    for start in STARTS:
        for each in REPEATED:
            with no_endless_work():
                work(start + each * (100_000 // len(each)) + "!\n")


@examples
@given(any_text | st.from_regex(r"\A[./\\a\0 :]{0,300}\Z"))
def test_a_safe_name_is_a_name(sent: str) -> None:
    name = safe_name(sent)
    assert 0 < len(name.encode()) <= MAX_NAME
    assert not re.search(r'[\x00-\x1f/\\<>:"|?*]', name)
    assert name.strip(". ") == name
    assert safe_name(name) == name
