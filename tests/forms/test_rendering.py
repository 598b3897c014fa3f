"""A whole form as HTML: groups, hidden fields, what a caller or a class of forms changes."""

from xml.etree.ElementTree import Element

import html5lib
import pytest

from tests.forms.every import EveryForm, wrong
from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import (
    BooleanField,
    Checkboxes,
    ChoiceField,
    EmailField,
    FloatField,
    Form,
    HiddenField,
    IntegerField,
    MultipleChoiceField,
    Radios,
    StringField,
    TextField,
    TimeField,
)

COLORS = [("r", "Red"), ("g", "Green")]


class PaintForm(Form):
    name = StringField(help_text="Any.")
    color = ChoiceField(choices=COLORS, widget=Radios(), help_text="One.")
    others = MultipleChoiceField(choices=COLORS, widget=Checkboxes())
    glossy = BooleanField()
    token = HiddenField(initial="t")


def parse(html: str) -> Element:
    """Return the body; a parse error fails the test."""
    document = f"<!DOCTYPE html><html><head><title>x</title></head><body>{html}</body></html>"
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(document).find("body")


async def sent(**values: str) -> PaintForm:
    form = PaintForm(values)
    await form.is_valid()
    return form


@pytest.mark.gen_test
async def test_the_link_to_a_field_leads_to_the_id_that_it_was_given() -> None:
    form = await sent()
    body = parse(form.render({"name": {"id": "mine"}}))
    assert "#mine" in [link.get("href") for link in body.iter("a")]


@pytest.mark.gen_test
async def test_no_two_elements_have_one_id_and_every_reference_leads_somewhere() -> None:
    for form in (EveryForm(), await wrong()):
        body = parse(form.render())
        ids = [element.get("id") for element in body.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        for element in body.iter():
            assert set(element.get("aria-describedby", "").split()) <= set(ids)
            assert element.get("for", ids[0]) in ids
            assert element.get("href", f"#{ids[0]}")[1:] in ids


@pytest.mark.gen_test
async def test_nothing_is_inline_and_no_class_is_a_frameworks() -> None:
    html = (await wrong()).render()
    assert "style" not in html
    assert "<script" not in html
    assert not any(f" on{event}=" in html for event in ("click", "change", "input", "submit"))


@pytest.mark.gen_test
async def test_radio_buttons_are_a_group_that_is_described_and_invalid_as_one() -> None:
    body = parse((await sent(color="x"))["color"].render())
    (fieldset,) = body
    assert fieldset.tag == "fieldset"
    assert fieldset[0].tag == "legend"
    assert fieldset[0].text == "Color"
    assert (fieldset.get("role"), fieldset.get("aria-invalid")) == ("radiogroup", "true")
    assert fieldset.get("aria-describedby") == "id_color-help id_color-errors"
    inputs = list(body.iter("input"))
    assert [each.get("id") for each in inputs] == ["id_color", "id_color-1"]
    assert all("required" in each.attrib for each in inputs)
    labels = [(each.get("for"), each.text) for each in body.iter("label")]
    assert labels == [("id_color", "Red"), ("id_color-1", "Green")]


@pytest.mark.gen_test
async def test_checkboxes_are_a_group_of_which_none_is_required_by_itself() -> None:
    body = parse((await sent(others="x"))["others"].render())
    assert body[0].get("role") == "group"
    assert "aria-invalid" not in body[0].attrib
    for each in body.iter("input"):
        assert each.get("aria-invalid") == "true"
        assert "required" not in each.attrib


def test_what_was_chosen_is_checked() -> None:
    form = PaintForm({"color": "g", "others": ["r", "g"], "glossy": "on"})
    checked = [each.get("value") for each in parse(form.render()).iterfind(".//input[@checked]")]
    assert checked == ["g", "r", "g", "on"]


@pytest.mark.gen_test
async def test_a_hidden_field_is_only_a_control_and_its_errors_are_the_forms() -> None:
    form = await sent(token="")
    assert form["token"].render() == form["token"].render_control()
    assert 'type="hidden"' in form["token"].render()
    items = [item.text for item in parse(form.render_errors()).iter("li")]
    assert "Token: This field is required." in items


@pytest.mark.gen_test
async def test_the_summary_has_the_forms_errors_and_links_to_fields_in_their_order() -> None:
    form = await sent(glossy="on", token="t")
    form.add_error(None, "No.")
    (summary,) = parse(form.render_errors())
    assert (summary.get("class"), summary.get("role")) == ("form-errors", "alert")
    links = [(link.get("href"), link.text) for link in summary.iter("a")]
    required = "This field is required."
    assert links == [
        ("#id_name", f"Name: {required}"),
        ("#id_color", f"Color: {required}"),
        ("#id_others", f"Others: {required}"),
    ]
    assert summary[0][0].text == "No."
    assert PaintForm().render_errors() == ""


def test_line_breaks_of_a_text_survive_even_the_first() -> None:
    class Letter(Form):
        text = TextField(strip=False)

    (area,) = parse(Letter({"text": "\r\n\r\nDear <b>\r\n"})["text"].render_control())
    assert area.text == "\n\nDear <b>\n"


def test_a_caller_changes_any_attribute_of_any_part() -> None:
    field = PaintForm()["name"]
    body = parse(field.render({"class": "wide", "placeholder": '"<', "required": None}))
    control = body.find(".//input")
    assert control.attrib == {
        "type": "text", "name": "name", "id": "id_name", "class": "wide", "placeholder": '"<',
        "aria-describedby": "id_name-help", "value": "",
    }  # fmt: skip
    assert parse(field.render_control({"data-x": 1}))[0].get("data-x") == "1"
    assert parse(field.render_label({"class": "big"}))[0].get("class") == "big"
    assert parse(field.render_help({"class": "small"}))[0].get("class") == "small"
    assert "wide" not in field.render()
    renamed = parse(field.render({"id": "other"}))
    assert renamed.find(".//label").get("for") == renamed.find(".//input").get("id") == "other"


@pytest.mark.gen_test
async def test_a_caller_changes_attributes_of_errors_and_of_fields_of_a_whole_form() -> None:
    form = await sent()
    assert parse(form["name"].render_errors({"class": "red"}))[0].get("class") == "red"
    html = form.render({"name": {"autofocus": True}})
    assert html.count("autofocus") == 1


def test_a_caller_cannot_change_what_follows_from_the_field() -> None:
    for name in ("name", "value", "TYPE", "disabled", "checked", "aria-invalid"):
        with pytest.raises(ConfigurationError, match=f"attrs can't set '{name}'"):
            PaintForm()["name"].render({name: "x"})
    with pytest.raises(ConfigurationError, match="can't be the name of an HTML attribute"):
        PaintForm()["name"].render({"a><b": "x"})


@pytest.mark.gen_test
async def test_classes_are_the_forms_by_part_and_kind_of_widget() -> None:
    class Bootstrap(PaintForm):
        classes = {
            "field": "mb-3", "field:checkbox": "form-check", "label": "form-label",
            "control": "form-control", "control:radios": "form-check-input",
            "option": "form-check", "option-label": "form-check-label",
            "invalid": "is-invalid", "errors": "invalid-feedback", "help": "form-text",
            "summary": "alert alert-danger",
        }  # fmt: skip

    form = Bootstrap({"name": "", "color": "x"})
    await form.is_valid()
    body = parse(form.render())

    def classes(path: str) -> set[str | None]:
        return {each.get("class") for each in body.iterfind(path)}

    assert classes("div") == {"alert alert-danger", "mb-3", "form-check"}
    assert classes("div/label") == {"form-label"}
    assert classes(".//input[@type='text']") == {"form-control is-invalid"}
    assert classes(".//input[@type='radio']") == {"form-check-input is-invalid"}
    assert classes("fieldset/div") == {"form-check"}
    assert classes("fieldset/div/label") == {"form-check-label"}
    assert classes(".//ul[@id]") == {"invalid-feedback"}
    assert classes(".//p") == {"form-text"}


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [
        (EmailField(), "autocomplete", "email"),
        (IntegerField(min_value=0), "inputmode", "numeric"),
        (IntegerField(min_value=-1), "inputmode", None),
        (IntegerField(step=5), "step", "5"),
        (FloatField(min_value=0.5), "inputmode", "decimal"),
        (FloatField(), "step", "any"),
        (TimeField(), "step", "any"),
        (EmailField(attrs={"autocomplete": "off"}), "autocomplete", "off"),
    ],
)
def test_kinds_and_rules_say_more_to_the_browser(field: object, name: str, value: str) -> None:
    form = type("OneField", (Form,), {"x": field})()
    assert parse(form["x"].render_control())[0].get(name) == value


@pytest.mark.gen_test
async def test_passwords_and_files_are_not_sent_back() -> None:
    form = EveryForm({"password": "correct horse", "file": "a.png"})
    await form.is_valid()
    html = form.render()
    assert "correct horse" not in html
    assert "a.png" not in html
