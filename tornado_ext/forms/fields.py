"""Fields: what one value of a form must be, said once.

A field is immutable and knows neither a form nor a value, so one object serves every request. To
make a kind of your own, subclass the nearest one and override `Field.from_text`; if it takes
arguments, decorate it with ``@dataclass(frozen=True, kw_only=True, eq=False)``.
"""

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, Generic, TypeVar

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import validators as checks
from tornado_ext.forms import widgets
from tornado_ext.forms.messages import ValidationError
from tornado_ext.forms.validators import Attrs, Validator

T = TypeVar("T")
ChoiceT = TypeVar("ChoiceT", bound=str | int)

MAX_INTEGER: Final = 2**63 - 1  # what every database can hold
_INTEGER = re.compile(r"[+-]?[0-9]+")
_INTEGER_LENGTH: Final = 20  # characters; int() of thousands of digits is slow and then raises

# Categories Cc and Cs of Unicode: control characters, NUL among them, and lone surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# Attributes that follow from the field's name, widget, value and arguments.
_RESERVED: Final = {"name", "type", "value", "checked", "disabled", "aria-invalid"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Field(ABC, Generic[T]):
    """Describe one value: its check, its messages and its HTML.

    ``required``: an empty value is an error. ``label``: made from the name if not given.
    ``initial``: shown by a form that nothing was sent to. ``validators``: run in order, after the
    field's own; the first that fails is the last that runs; none runs for an empty value.
    ``messages``: texts by code, in place of the package's. ``attrs``: more HTML attributes; None
    takes one away. ``disabled``: what is sent is ignored, the value is the initial one, unchecked,
    or else `empty`.

    Raises `ConfigurationError` for arguments that can't be right.
    """

    empty: ClassVar[object] = None  # the value when nothing was sent

    required: bool = True
    label: str | None = None
    help_text: str = ""
    initial: T | None = None
    validators: Sequence[Validator[T]] = ()
    messages: Mapping[str, str] = dataclasses.field(default_factory=dict)
    widget: widgets.Widget = widgets.TEXT
    attrs: Attrs = dataclasses.field(default_factory=dict)
    disabled: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.widget, widgets.Widget):
            raise ConfigurationError(f"widget must be a Widget, not {self.widget!r}")
        for name in self.attrs:
            if name.lower() in _RESERVED:
                raise ConfigurationError(f"attrs can't set {name!r}: it follows from the field")
        for rule in self.rules():
            if not callable(rule):
                raise ConfigurationError(f"validators: {rule!r} is not callable")

    @abstractmethod
    def from_text(self, text: str) -> T | None:
        """Return the value that a form sent as ``text``; `empty` if that means nothing.

        Raises `ValidationError`.
        """

    def from_json(self, value: object) -> T | None:
        """Return the value that JSON, or Python code, gave as ``value``; here a str alone will do.

        Raises `ValidationError`.
        """
        if not isinstance(value, str):
            raise ValidationError(code="invalid")
        return self.from_text(value)

    def to_text(self, value: object) -> str:
        """Return what a control shows for a value that was sent, or for an initial one."""
        if isinstance(value, str):
            return value
        # str() of an int of thousands of digits raises.
        return str(value) if isinstance(value, int) and abs(value) <= MAX_INTEGER else ""

    def rules(self) -> tuple[Validator[T], ...]:
        """Return every validator, the field's own first. Called once for each class of forms."""
        return tuple(self.validators)

    @property
    def options(self) -> Sequence[tuple[str, str]]:
        """Return (text, label) pairs for a widget that offers a choice."""
        return ()


@dataclass(frozen=True, kw_only=True, eq=False)
class StringField(Field[str]):
    """Take one line of text; "" if nothing was sent. Code ``control`` for control characters.

    ``min_length``, ``max_length``: in characters. ``pattern``: see `validators.Pattern`.
    ``strip``: take white space away from both ends.
    """

    empty: ClassVar[object] = ""
    kind_rules: ClassVar[tuple[Validator[str], ...]] = ()  # what makes it an e-mail address, ...

    min_length: int | None = None
    max_length: int | None = None
    pattern: str | re.Pattern[str] | None = None
    strip: bool = True

    def from_text(self, text: str) -> str:
        # Before strip, or a trailing newline would pass.
        if _CONTROL.search(text):
            raise ValidationError(code="control")
        return text.strip() if self.strip else text

    def rules(self) -> tuple[Validator[str], ...]:
        rules: list[Validator[str]] = []
        if self.min_length is not None or self.max_length is not None:
            rules.append(checks.Length(self.min_length, self.max_length))
        if self.pattern is not None:
            rules.append(checks.Pattern(self.pattern))
        return (*rules, *self.kind_rules, *super().rules())


@dataclass(frozen=True, kw_only=True, eq=False)
class PasswordField(StringField):
    """Take a password, as it was typed. It is never sent back."""

    max_length: int | None = 1024
    strip: bool = False
    widget: widgets.Widget = widgets.PASSWORD

    def to_text(self, value: object) -> str:  # noqa: ARG002 - whatever it is
        return ""


@dataclass(frozen=True, kw_only=True, eq=False)
class EmailField(StringField):
    """Take an e-mail address; code ``email``."""

    kind_rules: ClassVar[tuple[Validator[str], ...]] = (checks.email,)

    max_length: int | None = 254  # characters, RFC 5321 section 4.5.3.1.3
    widget: widgets.Widget = widgets.EMAIL


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerField(Field[int]):
    """Take a whole number of at most 64 bits; codes ``integer`` and ``too_large``.

    ``min_value``, ``max_value``: both included.
    """

    min_value: int | None = None
    max_value: int | None = None
    widget: widgets.Widget = widgets.NUMBER

    def from_text(self, text: str) -> int | None:
        text = text.strip()
        if not text:
            return None
        if not _INTEGER.fullmatch(text):
            raise ValidationError(code="integer")
        if len(text) > _INTEGER_LENGTH:
            raise ValidationError(code="too_large")
        return self.from_json(int(text))

    def from_json(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError(code="integer")
        if abs(value) > MAX_INTEGER:
            raise ValidationError(code="too_large")
        return value

    def rules(self) -> tuple[Validator[int], ...]:
        if self.min_value is None and self.max_value is None:
            return super().rules()
        return (checks.Range(self.min_value, self.max_value), *super().rules())


@dataclass(frozen=True, kw_only=True, eq=False)
class BooleanField(Field[bool]):
    """Take yes or no, by default from a checkbox; code ``boolean``.

    A browser sends nothing for a box that is not checked, so nothing means False. Like any field
    it is required unless told otherwise: then the answer must be yes.
    """

    empty: ClassVar[object] = False
    _TEXTS: ClassVar[Mapping[str, bool]] = {
        **dict.fromkeys(("on", "true", "1", "yes"), True),
        **dict.fromkeys(("off", "false", "0", "no", ""), False),
    }

    widget: widgets.Widget = widgets.CHECKBOX

    def from_text(self, text: str) -> bool:
        try:
            return self._TEXTS[text.lower()]
        except KeyError:
            raise ValidationError(code="boolean") from None

    def from_json(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValidationError(code="boolean")
        return value

    def to_text(self, value: object) -> str:
        if isinstance(value, str):
            value = self._TEXTS.get(value.lower())
        return "on" if value is True else ""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChoiceField(Field[ChoiceT]):
    """Take one of the values of ``choices``, pairs of a value and its label; code ``choice``.

    The values are str or int, no bool and no enum, and the one chosen comes out with its own type.
    A choice whose value is "" means that nothing is chosen; if there is none, ``empty_label``
    makes one.
    """

    choices: Sequence[tuple[ChoiceT, str]]
    empty_label: str = "Choose…"
    widget: widgets.Widget = widgets.SELECT

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _are_choices(self.choices):
            raise ConfigurationError(
                "choices must be a list of (value, label) pairs, at least one, the value a str or "
                f"an int, no bool and no enum, and the label a str, not {self.choices!r}"
            )
        # A list of the caller's may change.
        object.__setattr__(self, "choices", tuple((value, label) for value, label in self.choices))
        if len(self._values) != len(self.choices):
            raise ConfigurationError(f"choices has the same value twice: {self.choices!r}")

    def from_text(self, text: str) -> ChoiceT | None:
        if not text:
            return None
        try:
            return self._values[text]
        except KeyError:
            raise ValidationError(code="choice") from None

    def from_json(self, value: object) -> ChoiceT | None:
        chosen = self.from_text(self.to_text(value))
        if chosen is None and value == "":
            return None
        if type(chosen) is not type(value):
            raise ValidationError(code="choice")
        return chosen

    @cached_property
    def _values(self) -> Mapping[str, ChoiceT]:
        return {str(value): value for value, label in self.choices}

    @cached_property
    def options(self) -> Sequence[tuple[str, str]]:
        given = tuple((widgets.writable(str(value)), label) for value, label in self.choices)
        return given if "" in self._values else (("", self.empty_label), *given)


def _are_choices(choices: object) -> bool:
    if not isinstance(choices, Sequence) or not choices:
        return False
    return all(
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and type(pair[0]) in (str, int)  # str() of a bool or an enum is not its value
        and isinstance(pair[1], str)
        for pair in choices
    )
