"""A field as HTML, read back with an HTML parser: exactly the elements that were meant."""

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from xml.etree.ElementTree import Element

import html5lib
import pytest

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import (
    BooleanField,
    BoundField,
    ChoiceField,
    DateTimeField,
    DecimalField,
    EmailField,
    Field,
    Form,
    Input,
    IntegerField,
    JSONField,
    PasswordField,
    StringField,
    TimeField,
    Widget,
    to_html,
)

EVIL = "</label><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\0"
EVIL_SHOWN = EVIL.replace("\0", "\ufffd")


def make(field: Field, *sent: str, **options: object) -> Form:
    """Return a form of one field ``x``, unbound unless something was sent."""

    class OneField(Form):
        x = field

    return OneField({"x": list(sent)} if sent else None, **options)


def bind(field: Field, *sent: str, **options: object) -> BoundField:
    return make(field, *sent, **options)["x"]


async def invalid(field: Field, *sent: str) -> BoundField:
    form = make(field, *sent)
    assert not await form.is_valid()
    return form["x"]


def parse(html: str) -> Element:
    """Return the body; a parse error fails the test."""
    document = f"<!DOCTYPE html><html><head><title>x</title></head><body>{html}</body></html>"
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(document).find("body")


def control(field: BoundField) -> Element:
    (element,) = parse(field.render_control())
    return element


@pytest.mark.parametrize(
    ("microsecond", "shown"),
    [(0, "01:02:03"), (4, "01:02:03"), (4000, "01:02:03.004"), (123456, "01:02:03.123")],
)
def test_a_time_is_drawn_as_exactly_as_browsers_take_it(microsecond: int, shown: str) -> None:
    at = time(1, 2, 3, microsecond)
    moment = datetime.combine(date(2026, 1, 1), at)
    element = control(bind(TimeField(initial=at, min_value=at, max_value=at)))
    assert [element.get(name) for name in ("value", "min", "max")] == [shown] * 3
    assert bind(DateTimeField(initial=moment)).value == f"2026-01-01T{shown}"


@pytest.mark.gen_test
@pytest.mark.parametrize("value", ["123", "hello", "", [1], {"a": "é"}])
async def test_an_initial_json_value_comes_back_as_it_was(value: object) -> None:
    field = JSONField(initial=value)
    form = make(field, bind(field).value)
    assert await form.is_valid()
    assert form.cleaned_data["x"] == value


def test_json_text_is_shown_again_as_it_was_sent() -> None:
    assert bind(JSONField(), '{"a"').value == '{"a"'


@pytest.mark.parametrize(
    ("field", "shown", "step"),
    [
        (IntegerField(step=10), "", "10"),
        (IntegerField(step=10), "20", "10"),
        (IntegerField(step=10), "5", "any"),
        (IntegerField(step=10, min_value=5), "6", "10"),
        (IntegerField(), "1", None),
        (IntegerField(), "1.5", "any"),
        (DecimalField(step=Decimal("0.1")), "0.25", "any"),
        (DecimalField(), "1", "any"),
    ],
)
def test_a_browser_does_not_count_steps_from_a_value_that_is_none(
    field: Field, shown: str, step: str | None
) -> None:
    assert control(bind(field, shown)).get("step") == step


def test_the_label_belongs_to_the_control() -> None:
    body = parse(bind(StringField(label="User name")).render())
    (label,), (element,) = body.iter("label"), body.iter("input")
    assert label.text == "User name"
    assert label.get("for") == element.get("id") == "id_x"
    assert element.get("name") == "x"


def test_a_label_is_made_from_the_name() -> None:
    class Named(Form):
        first_name = StringField()

    assert Named()["first_name"].label == "First name"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (StringField(), {"type": "text", "required": ""}),
        (StringField(required=False), {"type": "text"}),
        (
            StringField(min_length=3, max_length=20, pattern=r"\d<&\""),
            {"type": "text", "required": "", "minlength": "3", "maxlength": "20"}
            | {"pattern": r"\d<&\""},
        ),
        (
            EmailField(),
            {"type": "email", "required": "", "maxlength": "254", "autocomplete": "email"},
        ),
        (
            IntegerField(min_value=0, max_value=9),
            {"type": "number", "required": "", "min": "0", "max": "9", "inputmode": "numeric"},
        ),
        (StringField(disabled=True, required=False), {"type": "text", "disabled": ""}),
        (StringField(widget=Input("search")), {"type": "search", "required": ""}),
        (
            StringField(attrs={"autocomplete": "username", "REQUIRED": None, "data-x": EVIL}),
            {"type": "text", "autocomplete": "username", "data-x": EVIL_SHOWN},
        ),
        (StringField(max_length=9, attrs={"maxlength": 5}), {"type": "text", "required": ""}
         | {"maxlength": "5"}),
        (StringField(widget=Input(EVIL)), {"type": EVIL_SHOWN, "required": ""}),
    ],
)  # fmt: skip
def test_rules_become_attributes(field: Field, expected: dict[str, str]) -> None:
    expected = {"name": "x", "id": "id_x", "value": ""} | expected
    assert control(bind(field)).attrib == expected


def test_a_checkbox_has_its_label_after_it_and_shows_what_was_sent() -> None:
    body = parse(bind(BooleanField(), "true").render())
    assert [element.tag for element in body.find("div")] == ["input", "label"]
    assert body.find("div/input").attrib == {
        "type": "checkbox", "name": "x", "id": "id_x", "required": "", "value": "on", "checked": "",
    }  # fmt: skip
    assert "checked" not in control(bind(BooleanField(initial=True), "off")).attrib
    assert "checked" in control(bind(BooleanField(initial=True))).attrib


def test_a_select_offers_nothing_first_and_then_each_choice() -> None:
    field = ChoiceField(choices=[(1, "Small"), (2, "Large")], empty_label="Size?", initial=2)
    select = control(bind(field))
    assert [(option.get("value"), option.text) for option in select] == [
        ("", "Size?"),
        ("1", "Small"),
        ("2", "Large"),
    ]
    assert [option.get("value") for option in select if "selected" in option.attrib] == ["2"]


def test_a_choice_that_cannot_be_written_is_shown_as_chosen_all_the_same() -> None:
    bound = bind(ChoiceField(choices=[("a\ud800", "A"), ("b", "B")]), "a\ud800")
    assert [text for text, _ in bound.options] == ["", "a\ufffd", "b"]
    assert "selected" in control(bound)[1].attrib


def test_a_choice_that_means_nothing_needs_no_other() -> None:
    select = control(bind(ChoiceField(choices=[("", "Any"), ("a", "A")], required=False), "a"))
    assert [option.text for option in select] == ["Any", "A"]
    assert "selected" in select[1].attrib


@pytest.mark.gen_test
async def test_errors_and_help_are_read_out_with_the_control() -> None:
    bound = await invalid(StringField(help_text="Only digits.", pattern=r"\d+"), "abc")
    body = parse(bound.render())
    element = body.find("div/input")
    assert element.get("aria-invalid") == "true"
    described = element.get("aria-describedby").split()
    by_id = {each.get("id"): "".join(each.itertext()) for each in body.iter() if each.get("id")}
    assert [by_id[each] for each in described] == ["Only digits.", bound.errors[0]]


def test_without_errors_only_the_help_is_read_out() -> None:
    element = control(bind(StringField(help_text="Only digits."), "abc"))
    assert element.get("aria-describedby") == "id_x-help"
    assert "aria-invalid" not in element.attrib


@pytest.mark.gen_test
async def test_a_description_of_ones_own_comes_first() -> None:
    bound = await invalid(StringField(attrs={"aria-describedby": "mine"}), "")
    assert control(bound).get("aria-describedby") == "mine id_x-errors"


def test_an_id_of_ones_own_is_the_labels_too() -> None:
    body = parse(bind(StringField(attrs={"id": "login"})).render())
    assert body.find("div/label").get("for") == body.find("div/input").get("id") == "login"


@pytest.mark.gen_test
async def test_parts_make_up_the_whole() -> None:
    bound = await invalid(StringField(help_text="Help."), "")
    for part in (
        bound.render_label(),
        bound.render_control(),
        bound.render_help(),
        bound.render_errors(),
    ):
        assert part
        assert part in bound.render()


def test_no_help_and_no_errors_draw_nothing() -> None:
    bound = bind(StringField())
    assert bound.render_help() == bound.render_errors() == ""


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "field",
    [
        StringField(label=EVIL, help_text=EVIL, messages={"control": EVIL}),
        EmailField(label=EVIL, help_text=EVIL, messages={"control": EVIL}),
        IntegerField(label=EVIL, help_text=EVIL, messages={"integer": EVIL}),
        BooleanField(label=EVIL, help_text=EVIL, messages={"boolean": EVIL}),
        ChoiceField(
            choices=[(EVIL, EVIL)], empty_label=EVIL, label=EVIL, help_text=EVIL,
            messages={"choice": EVIL},
        ),
    ],
    ids=lambda field: type(field).__name__,
)  # fmt: skip
async def test_no_text_becomes_an_element(field: Field) -> None:
    body = parse((await invalid(field, f"{EVIL}!")).render())
    tags = {element.tag for element in body.iter()}
    assert tags <= {"body", "div", "label", "input", "select", "option", "p", "ul", "li"}
    texts = [element.text for element in body.iter() if element.tag in ("label", "p", "li")]
    assert texts == [EVIL_SHOWN] * 3


@pytest.mark.gen_test
async def test_what_was_sent_is_kept_after_an_error() -> None:
    for field in (StringField(max_length=3), EmailField(), IntegerField()):
        assert control(await invalid(field, EVIL)).get("value") == EVIL_SHOWN


def test_what_cannot_be_written_can_be_shown_by_a_template_too() -> None:
    assert bind(StringField(), "a\ud800\0b").value == "a\ufffdb"


def test_a_repeated_value_shows_the_first() -> None:
    assert bind(StringField(), "a", "b").value == "a"


@pytest.mark.gen_test
async def test_a_password_is_never_sent_back() -> None:
    for field in (
        PasswordField(initial="secret0"),
        PasswordField(min_length=50, attrs={"autocomplete": "off"}),
        StringField(min_length=50, widget=Input("password")),
        StringField(min_length=50, widget=Input("Password")),
        PasswordField(min_length=50, widget=Input("text")),
    ):
        assert (
            "secret0" not in (await invalid(field, "secret0" if field.min_length else "")).render()
        )
        assert "secret0" not in bind(field, initial={"x": "secret0"}).render()


def test_a_widget_of_ones_own_gets_the_attributes_and_the_field() -> None:
    class Stars(Widget):
        def render(self, field: BoundField, attrs: str) -> str:
            return f"<meter{attrs} title='{to_html(field.value)}'></meter>"

    element = control(bind(IntegerField(max_value=5, widget=Stars()), "3"))
    assert (element.tag, element.get("max"), element.get("title")) == ("meter", "5", "3")


@pytest.mark.parametrize(
    "name", ["_x", "_xsrf", "näme", "", "1a", "a b", "a\n", "a'", 'a"><script>alert(1)</script>']
)
def test_a_name_that_cannot_be_sent_or_could_break_out_is_refused(name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=re.escape(f"{name!r} can't be the name of a field")
    ):
        type("Bad", (Form,), {name: StringField()})


def test_a_name_may_have_hyphens_and_digits() -> None:
    form = type("Hyphens", (Form,), {"user-name_2": StringField()})()
    assert control(form["user-name_2"]).get("name") == "user-name_2"


@pytest.mark.parametrize(
    "declare",
    [
        lambda: bind(StringField(attrs={"a b": "x"})),
        lambda: bind(StringField(attrs={'x"><script>': "x"})),
    ],
)
def test_an_attribute_that_could_break_out_is_refused(declare: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError, match="can't be the name of an HTML attribute"):
        declare()
