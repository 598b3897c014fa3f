"""What mypy knows of a form: checked by test_types, each error where a comment expects it."""

import enum
from typing import TypedDict, assert_type

from tornado_ext.forms import (
    ChoiceField,
    FileField,
    Form,
    IntegerField,
    MultipleChoiceField,
    StringField,
    UploadedFile,
)


class Color(enum.Enum):
    RED = "r"


class Person(TypedDict):
    name: str
    age: int | None


def digits(value: str) -> None:
    """Stand for a validator of text."""


def numbers(form: Form) -> list[tuple[int, str]]:
    """Stand for choices."""
    return []


async def awaited(form: Form) -> list[tuple[int, str]]:
    """Stand for choices from a database."""
    return []


class PersonForm(Form):
    name = StringField(max_length=3, validators=[digits])
    age = IntegerField(required=False, validators=[digits])  # list-item
    cleaned_data: Person


assert_type(PersonForm().cleaned_data["age"], int | None)
PersonForm().cleaned_data["nmae"]  # typeddict-item

assert_type(StringField().initial, str | None)
assert_type(ChoiceField(choices=Color), ChoiceField[Color])
assert_type(ChoiceField(choices=[(1, "One")]), ChoiceField[int])
assert_type(ChoiceField(choices=numbers), ChoiceField[int])
assert_type(MultipleChoiceField(choices=awaited), MultipleChoiceField[int])
assert_type(FileField().initial, UploadedFile | None)

StringField(initial=4)  # arg-type
StringField(longest=4)  # call-arg
IntegerField(min_value="x")  # arg-type
StringField().strip = False  # misc


class HexField(IntegerField):
    prefix: str = ""


HexField(prefix="0x", min_value=0)
HexField(prefix=4)  # arg-type
