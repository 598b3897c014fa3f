"""Fields whose answers are known beforehand: yes or no, one of several, some of several."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum, EnumType
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeAlias, TypeVar, cast

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import html, widgets
from tornado_ext.forms.fields import Field
from tornado_ext.forms.messages import ValidationError
from tornado_ext.forms.submission import Submission

if TYPE_CHECKING:
    from tornado_ext.forms.form import Form

C = TypeVar("C", bound=str | int | Enum)
V = TypeVar("V")

Pairs: TypeAlias = Sequence[tuple[C, str]]
Choices: TypeAlias = Pairs[C] | type[C] | Callable[["Form"], Pairs[C] | Awaitable[Pairs[C]]]


class _Found(tuple[tuple[Any, str], ...]):
    """Hold the pairs that a function gave, which may be none."""

    __slots__ = ()


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
        answer = self._TEXTS.get(text[:6].lower())
        if answer is None:
            raise ValidationError(code="boolean")
        return answer

    def from_json(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValidationError(code="boolean")
        return value

    def to_text(self, value: object) -> str:
        if isinstance(value, str):
            value = self._TEXTS.get(value[:6].lower())
        return "on" if value is True else ""


class ChoicesField(Field[V], Generic[V, C]):
    """Know which choices there are: base of the fields that take one or several.

    ``choices``: pairs of a value and its label; or an `Enum`, whose members are the values; or a
    function of the form that returns pairs, or an awaitable of pairs, for each form anew. A value
    is a str, an int or a member of an enum, no bool, and comes out with its own type.
    """

    choices: Choices[C]
    widget: widgets.Widget = widgets.SELECT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.is_dynamic:
            return
        pairs = self.choices if isinstance(self.choices, _Found) else _pairs(self.choices)
        if not pairs and not isinstance(pairs, _Found):
            raise ConfigurationError(f"choices must have at least one pair: {self.choices!r}")
        # A list of the caller's may change.
        object.__setattr__(self, "choices", pairs)
        if len(self._values) != len(pairs):
            raise ConfigurationError(f"choices has the same value twice: {self.choices!r}")

    @property
    def is_dynamic(self) -> bool:
        """Return whether each form has to ask for its choices."""
        return callable(self.choices) and not isinstance(self.choices, EnumType)

    def choices_for(self, form: "Form") -> object:
        """Return what the function gives for a form: pairs, or an awaitable of them."""
        return cast(Callable[["Form"], object], self.choices)(form)

    def with_choices(self, pairs: object) -> Self:
        """Return this field with the choices of one form; of none, nothing can be chosen."""
        return replace(self, choices=_Found(_pairs(pairs)))

    def choice(self, text: str) -> C:
        """Return the value of a choice by its text in HTML. Raises `ValidationError`."""
        chosen = self._values.get(text)
        if chosen is None:
            raise ValidationError(code="choice")
        return chosen

    def json_choice(self, value: object) -> C:
        """Return the same by its value in JSON, an enum's member by the value that it has."""
        chosen = self.choice(html.to_text(value))
        own = chosen.value if isinstance(chosen, Enum) else chosen
        if value is not chosen and type(value) is not type(own):
            raise ValidationError(code="choice")
        return chosen

    @property
    def _known(self) -> Pairs[C]:
        return () if self.is_dynamic else cast(Pairs[C], self.choices)

    @cached_property
    def _values(self) -> Mapping[str, C]:
        return {html.to_text(value): value for value, _ in self._known}

    @cached_property
    def options(self) -> Sequence[tuple[str, str]]:
        return tuple((html.writable(html.to_text(value)), label) for value, label in self._known)


class ChoiceField(ChoicesField[C, C]):
    """Take one of ``choices``; code ``choice``.

    A choice whose value is "" means that nothing is chosen; if there is none, ``empty_label``
    makes one. ``widget=Radios()`` shows them all.
    """

    empty_label: str = "Choose…"

    def from_text(self, text: str) -> C:
        return self.choice(text) if text else cast(C, self.empty)

    def from_json(self, value: object) -> C:
        return cast(C, self.empty) if value == "" else self.json_choice(value)

    @cached_property
    def options(self) -> Sequence[tuple[str, str]]:
        given = super().options
        return given if "" in self._values else (("", self.empty_label), *given)


class MultipleChoiceField(ChoicesField[tuple[C, ...], C]):
    """Take some of ``choices``, as a tuple; code ``choice``. ``widget=Checkboxes()`` shows all."""

    empty: ClassVar[object] = ()
    many: ClassVar[bool] = True

    def read(self, submission: Submission, name: str) -> tuple[C, ...]:
        sent = [each for each in submission.values_of(name) if each != ""]
        if len(sent) > len(self._values):  # no page sends so many, and each costs time
            raise ValidationError(code="choice")
        chosen = [
            self.choice(each)
            if isinstance(each, str) and not submission.typed
            else self.json_choice(each)
            for each in sent
        ]
        return tuple(dict.fromkeys(chosen))

    def is_same(self, value: tuple[C, ...], shown: tuple[C, ...]) -> bool:
        return set(value) == set(shown)


def _pairs(choices: Any) -> tuple[tuple[Any, str], ...]:
    """Return checked (value, label) pairs. Raises `ConfigurationError`."""
    if isinstance(choices, EnumType):
        members: Iterable[Enum] = choices
        choices = [(each, each.name.replace("_", " ").capitalize()) for each in members]
    if not isinstance(choices, Sequence) or not all(map(_is_pair, choices)):
        raise ConfigurationError(
            "choices must be a list of (value, label) pairs, the value a str, an int or a member "
            f"of an enum of these, no bool, and the label a str, not {choices!r}"
        )
    return tuple((value, label) for value, label in choices)


def _is_pair(pair: Any) -> bool:
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[1], str):
        return False
    value = pair[0].value if isinstance(pair[0], Enum) else pair[0]
    return type(value) in (str, int)  # str() of a bool is not its value
