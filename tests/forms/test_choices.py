"""Where choices come from, and what a form does with them."""

import asyncio
import enum

import pytest

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import ChoiceField, ChoicesNotLoaded, Form, MultipleChoiceField, Radios


class Size(enum.IntEnum):
    SMALL = 1
    VERY_LARGE = 2


class SizeForm(Form):
    size = ChoiceField(choices=Size, initial=Size.SMALL)


@pytest.mark.gen_test
async def test_an_enum_gives_its_members_under_readable_names() -> None:
    form = SizeForm({"size": "2"})
    assert await form.is_valid()
    assert form.cleaned_data["size"] is Size.VERY_LARGE
    assert form["size"].options[1:] == (("1", "Small"), ("2", "Very large"))


def test_a_member_may_be_the_initial_value() -> None:
    assert SizeForm()["size"].value == "1"


def rooms_of(form: Form) -> list[tuple[str, str]]:
    return [(room, room.title()) for room in getattr(form, "rooms", ["lobby"])]


async def rooms_from_a_database(form: Form) -> list[tuple[str, str]]:
    await asyncio.sleep(0)
    return rooms_of(form)


class RoomForm(Form):
    room = ChoiceField(choices=rooms_of)

    def __init__(self, *args: object, rooms: list[str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.rooms = rooms


class AwaitedForm(Form):
    room = ChoiceField(choices=rooms_from_a_database)
    others = MultipleChoiceField(choices=rooms_from_a_database, required=False)


@pytest.mark.gen_test
async def test_a_function_gives_each_form_its_own_choices() -> None:
    ann, ben = RoomForm({"room": "den"}, rooms=["den"]), RoomForm({"room": "den"}, rooms=["attic"])
    assert await ann.is_valid()
    assert not await ben.is_valid()
    assert 'value="attic"' in ben.render()
    assert 'value="den"' in RoomForm(rooms=["den"]).render()


@pytest.mark.gen_test
async def test_choices_are_awaited_before_they_are_checked() -> None:
    form = AwaitedForm({"room": "lobby", "others": ["lobby"]})
    assert await form.is_valid()
    assert form.cleaned_data == {"room": "lobby", "others": ("lobby",)}
    assert 'value="lobby"' in form.render()


@pytest.mark.gen_test
async def test_a_form_is_drawn_with_awaited_choices_once_they_are_loaded() -> None:
    form = await AwaitedForm().load()
    assert form.render().count('value="lobby"') == 2


def test_a_form_is_not_drawn_without_choices_that_must_be_awaited() -> None:
    with pytest.raises(ChoicesNotLoaded, match=r"room has .*: await form\.load\(\) first"):
        AwaitedForm().render()


@pytest.mark.gen_test
@pytest.mark.parametrize("found", [None, ["lobby"], [("a", "A"), ("a", "B")]])
async def test_choices_that_a_function_gives_must_be_right(found: object) -> None:
    class Wrong(Form):
        room = ChoiceField(choices=lambda form: found)

    with pytest.raises(ConfigurationError, match="choices"):
        await Wrong({"room": "a"}).is_valid()


@pytest.mark.gen_test
async def test_of_no_choices_nothing_can_be_chosen() -> None:
    async def nothing(form: Form) -> list[tuple[str, str]]:
        return []

    class Empty(Form):
        room = ChoiceField(choices=nothing, required=False)
        others = MultipleChoiceField(choices=lambda form: [], required=False)

    assert await Empty({"room": "", "others": []}).is_valid()
    form = Empty({"room": "den", "others": ["den"]})
    assert not await form.is_valid()
    assert [error.code for errors in form.errors.values() for error in errors] == ["choice"] * 2
    assert form["room"].options == (("", "Choose…"),)


@pytest.mark.gen_test
async def test_empty_ones_are_not_counted_among_those_chosen() -> None:
    class Toppings(Form):
        on_top = MultipleChoiceField(choices=[("a", "A"), ("b", "B")])

    form = Toppings({"on_top": ["", "a", "b"]})
    assert await form.is_valid()
    assert form.cleaned_data["on_top"] == ("a", "b")


def test_several_initial_values_are_shown_as_chosen() -> None:
    class Toppings(Form):
        on_top = MultipleChoiceField(choices=[(1, "One"), (2, "Two"), (3, "Three")], initial=(1, 3))

    assert Toppings().render().count(" selected") == 2
    assert Toppings(initial={"on_top": [2]}).render().count(" selected") == 1
    assert Toppings({"on_top": ["3", "1"]}).changed_data == []


def test_radio_buttons_offer_nothing_only_where_nothing_may_be_chosen() -> None:
    class Drinks(Form):
        must = ChoiceField(choices=[("t", "Tea")], widget=Radios())
        may = ChoiceField(choices=[("t", "Tea")], widget=Radios(), required=False, empty_label="-")

    form = Drinks()
    assert form["must"].render_control().count("<input") == 1
    assert form["may"].render_control().count("<input") == 2
