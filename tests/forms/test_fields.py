"""Each kind of field: what it makes of what was sent, bad input above all."""

import dataclasses
import enum
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

import pytest

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import (
    BooleanField,
    ChoiceField,
    DateField,
    DateTimeField,
    DecimalField,
    EmailField,
    Field,
    FloatField,
    Form,
    IntegerField,
    JSONField,
    PasswordField,
    Select,
    StringField,
    UUIDField,
    ValidationError,
)
from tornado_ext.forms.submission import Submission

UNREADABLE = [b"\xff", b"caf\xe9", b"\xed\xa0\x80", b"\xc0\x80"]
CONTROL = [
    "a\0b",
    "\0",
    "a\x07b",
    "a\x7fb",
    "a\x85b",
    "a\tb",
    "a\r\nb",
    "a\n",
    "\ud800",
    "a\udfffb",
]
HUGE = 10**5000
NESTED: list[object] = []
for _ in range(100):
    NESTED = [NESTED]

COLORS = [("r", "Red"), ("g", "Green")]
SIZES = [(1, "Small"), (2, "Large")]

FIELDS: list[Field] = [
    StringField(),
    PasswordField(),
    EmailField(),
    IntegerField(),
    BooleanField(),
    ChoiceField(choices=COLORS),
    ChoiceField(choices=SIZES),
]


class Color(enum.StrEnum):
    RED = "r"


each_field = pytest.mark.parametrize("field", FIELDS, ids=lambda field: type(field).__name__)


async def outcome(field: Field, sent: object, *, json: bool = False) -> object:
    """Return the value that passed, or the code of the error as {code}."""

    class OneField(Form):
        x = field

    form = OneField(Submission({"x": sent}, typed=json))
    if await form.is_valid():
        return form.cleaned_data["x"]
    assert form.render()  # what was sent can be shown again, whatever it was
    form.render().encode()
    return {message.code for message in form.errors["x"]}


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("field", "sent", "expected"),
    [
        (StringField(), "ann", "ann"),
        (StringField(), "  Ann Bell \u3000", "Ann Bell"),
        (StringField(), "名前 🦉 é", "名前 🦉 é"),
        (StringField(strip=False), " ann ", " ann "),
        (StringField(min_length=3, max_length=3), "🦉🦉🦉", "🦉🦉🦉"),
        (StringField(pattern="[a-z]+"), "ann", "ann"),
        (PasswordField(), " correct horse ", " correct horse "),
        (EmailField(), " ann@example.com ", "ann@example.com"),
        (IntegerField(), "42", 42),
        (IntegerField(), " -7 ", -7),
        (IntegerField(), "+0", 0),
        (IntegerField(), str(2**63 - 1), 2**63 - 1),
        (IntegerField(min_value=1, max_value=3), "3", 3),
        (BooleanField(), "on", True),
        (BooleanField(), "True", True),
        (BooleanField(required=False), "off", False),
        (ChoiceField(choices=COLORS), "g", "g"),
        (ChoiceField(choices=SIZES), "2", 2),
    ],
)
async def test_text_that_passes_becomes_a_value(field: Field, sent: str, expected: object) -> None:
    value = await outcome(field, [sent.encode()])
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("field", "sent", "code"),
    [
        (StringField(min_length=3), "ab", "min_length"),
        (StringField(max_length=3), "abcd", "max_length"),
        (StringField(max_length=3, pattern="[a-z]+"), "ABCD", "max_length"),
        (StringField(pattern="[a-z]+"), "Ann", "pattern"),
        (StringField(pattern="[a-z]+"), "ann\n", "control"),
        (StringField(pattern="[a-z]+", strip=False), "ann\u2028", "pattern"),
        (StringField(max_length=100), "x" * 10_000_000, "max_length"),
        (PasswordField(min_length=10), "short", "min_length"),
        (PasswordField(), "x" * 1025, "max_length"),
        (EmailField(), "ann", "email"),
        (EmailField(), "a@" * 4096, "max_length"),
        (EmailField(), f"{'a' * 243}@example.com", "max_length"),
        (IntegerField(), "4x", "integer"),
        (IntegerField(), "4.0", "integer"),
        (IntegerField(), "1_000", "integer"),
        (IntegerField(), "٣", "integer"),
        (IntegerField(), "0x10", "integer"),
        (IntegerField(), "nan", "integer"),
        (IntegerField(), "inf", "integer"),
        (IntegerField(), "1e3", "integer"),
        (IntegerField(), "-", "integer"),
        (IntegerField(), "1\0", "integer"),
        (IntegerField(), "9" * 5000, "too_large"),
        (IntegerField(), "9" * 10_000_000, "too_large"),
        (IntegerField(), str(2**63), "too_large"),
        (IntegerField(), str(-(2**63)), "too_large"),
        (IntegerField(min_value=18), "17", "min_value"),
        (IntegerField(max_value=3), "4", "max_value"),
        (BooleanField(), "off", "required"),
        (BooleanField(), "maybe", "boolean"),
        (ChoiceField(choices=COLORS), "x", "choice"),
        (ChoiceField(choices=COLORS), "R", "choice"),
        (ChoiceField(choices=COLORS), " r", "choice"),
        (ChoiceField(choices=COLORS), "Red", "choice"),
        (ChoiceField(choices=SIZES), "3", "choice"),
        (ChoiceField(choices=SIZES), "01", "choice"),
    ],
)
async def test_text_that_is_wrong_is_an_error(field: Field, sent: str, code: str) -> None:
    assert await outcome(field, [sent.encode()]) == {code}


@pytest.mark.gen_test
@each_field
@pytest.mark.parametrize("sent", [None, "", [], [""], [b""]])
async def test_nothing_is_an_error_if_required(field: Field, sent: object) -> None:
    assert await outcome(field, sent) == {"required"}


@pytest.mark.gen_test
@each_field
@pytest.mark.parametrize("sent", [None, "", [], [""], [b""]])
async def test_nothing_is_the_empty_value_if_not_required(field: Field, sent: object) -> None:
    optional = dataclasses.replace(field, required=False)
    assert await outcome(optional, sent) == field.empty


@pytest.mark.gen_test
async def test_no_validator_runs_for_an_empty_value() -> None:
    field = StringField(required=False, min_length=3, pattern="[a-z]+")
    assert await outcome(field, "   ") == ""


@pytest.mark.gen_test
@each_field
@pytest.mark.parametrize("sent", UNREADABLE)
async def test_bytes_that_are_not_utf8_are_an_error(field: Field, sent: bytes) -> None:
    assert await outcome(field, [sent]) == {"invalid"}


@pytest.mark.gen_test
@each_field
@pytest.mark.parametrize("sent", CONTROL)
async def test_control_characters_and_surrogates_are_an_error(field: Field, sent: str) -> None:
    codes = await outcome(field, [sent])
    assert codes == {"control"} or codes <= {"integer", "boolean", "choice"}


@pytest.mark.gen_test
@each_field
async def test_a_repeated_key_is_an_error_and_not_the_last_one(field: Field) -> None:
    assert await outcome(field, [b"1", b"1"]) == {"repeated"}


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("field", "sent"),
    [
        (StringField(), "ann"),
        (IntegerField(), 42),
        (BooleanField(), True),
        (ChoiceField(choices=COLORS), "g"),
        (ChoiceField(choices=SIZES), 2),
    ],
)
async def test_json_of_the_right_type_passes(field: Field, sent: object) -> None:
    assert await outcome(field, sent, json=True) == sent


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("field", "wrong", "code"),
    [
        (StringField(), (1, 1.5, True, ["a"], {"a": 1}, NESTED, HUGE), "invalid"),
        (EmailField(), (1, ["ann@example.com"]), "invalid"),
        (PasswordField(), (12345678901, ["x"]), "invalid"),
        (IntegerField(), ("42", 1.0, True, [1], {"a": 1}, NESTED, float("nan")), "integer"),
        (IntegerField(), (HUGE, -HUGE, 2**63), "too_large"),
        (BooleanField(), ("on", "true", 1, 0, [True], {}), "boolean"),
        (ChoiceField(choices=COLORS), (1, True, ["r"], {"r": 1}, NESTED, HUGE, "x"), "choice"),
        (ChoiceField(choices=SIZES), ("1", 1.0, True, [1], HUGE, 3), "choice"),
        (ChoiceField(choices=[("True", "Yes")]), (True,), "choice"),
    ],
)
async def test_json_of_another_type_is_an_error(
    field: Field, wrong: tuple[object, ...], code: str
) -> None:
    for sent in wrong:
        assert await outcome(field, sent, json=True) == {code}, sent


@pytest.mark.gen_test
@each_field
async def test_json_null_is_nothing(field: Field) -> None:
    assert await outcome(field, None, json=True) == {"required"}


@pytest.mark.gen_test
async def test_json_false_is_an_answer_but_not_consent() -> None:
    assert await outcome(BooleanField(), False, json=True) == {"required"}
    assert await outcome(BooleanField(required=False), False, json=True) is False


@pytest.mark.gen_test
async def test_a_plain_mapping_may_hold_python_values() -> None:
    assert await outcome(IntegerField(), 42) == 42
    assert await outcome(BooleanField(), True) is True
    assert await outcome(IntegerField(), HUGE) == {"too_large"}


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("field", "value"),
    [
        (DecimalField(), Decimal("1.5")),
        (DateField(), date(2024, 2, 29)),
        (DateTimeField(), datetime(2024, 2, 29, 12, 30)),
        (UUIDField(), UUID(int=1)),
        (JSONField(), {"a": [1]}),
        (ChoiceField(choices=[(Color.RED, "Red")]), Color.RED),
    ],
)
async def test_a_python_value_of_the_right_type_passes(field: Field, value: object) -> None:
    assert await outcome(field, value) is value


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        (DecimalField(), Decimal("NaN"), "number"),
        (DecimalField(), Decimal("Infinity"), "number"),
        (FloatField(), float("nan"), "number"),
        (DateField(), datetime(2024, 2, 29), "date"),
        (
            DateTimeField(min_value=datetime(2000, 1, 1)),
            datetime(2024, 1, 1, tzinfo=UTC),
            "datetime",
        ),
        (JSONField(), {1, 2}, "json_text"),
        (JSONField(), {"a": b"x"}, "json_text"),
    ],
)
async def test_a_python_value_that_cannot_be_used_is_an_error(
    field: Field, value: object, code: str
) -> None:
    assert await outcome(field, value) == {code}


@pytest.mark.gen_test
async def test_a_step_is_exact_for_numbers_of_many_digits() -> None:
    field = DecimalField(step=Decimal("1e-10"))
    assert await outcome(field, "1e27") == Decimal("1e27")
    assert await outcome(field, "123456789012345678.00000000005") == {"digits"}
    assert await outcome(field, "12345678901234567.00000000001") == {"step"}


@pytest.mark.gen_test
async def test_a_step_is_counted_from_the_least_value() -> None:
    field = IntegerField(min_value=1, step=5)
    assert await outcome(field, "6") == 6
    assert await outcome(field, "5") == {"step"}


@pytest.mark.gen_test
async def test_validators_run_in_order_and_stop_at_the_first_that_fails() -> None:
    ran: list[str] = []

    def first(value: str) -> None:
        ran.append("first")

    async def second(value: str) -> None:
        ran.append("second")
        raise ValidationError("No.", code="second")

    def third(value: str) -> None:
        ran.append("third")

    field = StringField(max_length=5, validators=[first, second, third])
    assert await outcome(field, "ann") == {"second"}
    assert ran == ["first", "second"]
    assert await outcome(field, "annabel") == {"max_length"}
    assert ran == ["first", "second"]


@pytest.mark.gen_test
async def test_a_validator_that_answers_true_or_false_is_not_taken_for_one_that_passes() -> None:
    async def is_digits(value: str) -> bool:
        return value.isdigit()

    for wrong in (lambda value: value.isdigit(), is_digits):
        with pytest.raises(ConfigurationError, match=r"must raise ValidationError .*, not bool"):
            await outcome(StringField(validators=[wrong]), "ann")


@pytest.mark.gen_test
async def test_a_kind_of_ones_own_has_its_own_reading() -> None:
    class HexField(IntegerField):
        def from_text(self, text: str) -> int | None:
            return self.from_json(int(text, 16)) if text else None

    assert await outcome(HexField(max_value=255), "ff") == 255
    assert await outcome(HexField(max_value=255), "100") == {"max_value"}


@pytest.mark.gen_test
async def test_a_kind_of_ones_own_has_its_own_defaults_annotated_or_not() -> None:
    class ShortField(StringField):
        max_length = 5
        required: bool = False

    assert await outcome(ShortField(), "x" * 6) == {"max_length"}
    assert await outcome(ShortField(max_length=6), "x" * 6) == "x" * 6
    assert await outcome(ShortField(), "") == ""


class Renamed:
    attrs: ClassVar[dict[str, str]] = {"Name": "evil"}

    def __call__(self, value: str) -> None: ...


@each_field
def test_a_field_cannot_be_changed(field: Field) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        field.required = False


@pytest.mark.gen_test
async def test_choices_that_are_changed_later_do_not_change_the_field() -> None:
    choices = [[1, "One"]]
    field = ChoiceField(choices=choices)
    choices[0][1] = "Uno"
    choices.append([2, "Two"])
    assert field.options[1:] == (("1", "One"),)
    assert await outcome(field, "2") == {"choice"}


def test_a_password_has_no_text_to_show() -> None:
    assert PasswordField(initial="secret").to_text("secret") == ""


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: StringField(min_length=5, max_length=3), "min_length"),
        (lambda: PasswordField(min_length=2000), r"min_length \(2000\) .* max_length \(1024\)"),
        (lambda: StringField(pattern="(["), "pattern is not a regular expression"),
        (lambda: StringField(pattern=re.compile(b"a")), "pattern must be for text"),
        (lambda: IntegerField(min_value=5, max_value=3), "min_value"),
        (lambda: IntegerField(max_value=True), "max_value of a IntegerField can't be True"),
        (lambda: IntegerField(step=0), "step must be .* above 0, not 0"),
        (lambda: DateField(min_value="soon"), "min_value of a DateField can't be 'soon'"),
        (lambda: StringField(validators=["x"]), "validators: 'x' is not callable"),
        (lambda: StringField(widget=Select), "widget must be a Widget, not <class"),
        (lambda: StringField(attrs={"Value": "x"}), "attrs can't set 'Value'"),
        (lambda: StringField(attrs={"id": None}), "attrs: id must be a text"),
        (lambda: StringField(validators=[Renamed()]), "attrs can't set 'Name'"),
        (lambda: ChoiceField(choices=[]), "choices must have at least one pair"),
        (lambda: ChoiceField(choices=None), "choices must be a list of"),
        (lambda: ChoiceField(choices={"r": "Red"}), "choices must be a list of"),
        (lambda: ChoiceField(choices=["red", "green"]), "choices must be a list of"),
        (lambda: ChoiceField(choices=[("r",)]), "choices must be a list of"),
        (lambda: ChoiceField(choices=[("r", 1)]), "choices must be a list of"),
        (lambda: ChoiceField(choices=[(None, "x")]), "choices must be a list of"),
        (lambda: ChoiceField(choices=[(True, "Yes")]), "choices must be a list of"),
        (lambda: ChoiceField(choices=[("1", "a"), (1, "b")]), "choices has the same value twice"),
    ],
)
def test_arguments_that_cannot_be_right_are_named(
    make: Callable[[], object], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        make()
