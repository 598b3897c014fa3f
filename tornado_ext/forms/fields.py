"""Fields: what one value of a form must be, said once.

A field is immutable and knows neither a form nor a value, so one object serves every request. To
make a kind of your own, subclass the nearest one, override `Field.from_text`, a default or
what else differs, and annotate the arguments that you add: every subclass is a frozen dataclass.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import field as default
from typing import Any, ClassVar, Final, Generic, TypeVar, cast, dataclass_transform

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import html, widgets
from tornado_ext.forms import validators as checks
from tornado_ext.forms.html import Attrs
from tornado_ext.forms.messages import ValidationError
from tornado_ext.forms.submission import Submission, dumps, loads
from tornado_ext.forms.validators import Validator

T = TypeVar("T")

MAX_TEXT: Final = 1_000_000  # characters of a text without a max_length; some 10 ms of work

# Categories Cc and Cs of Unicode: control characters, NUL among them, and lone surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=False)
@dataclass(frozen=True, kw_only=True, eq=False)
class Field(Generic[T]):
    """Describe one value: its check, its messages and its HTML.

    ``required``: an empty value is an error. ``label``: made from the name if not given.
    ``initial``: shown by a form that nothing was sent to. ``validators``: run in order, after the
    field's own; the first that fails is the last that runs; none runs for an empty value.
    ``messages``: texts by code, in place of the package's. ``attrs``: more HTML attributes; None
    takes one away. ``disabled``: what is sent is ignored, the value is the initial one, unchecked,
    or else `empty`.

    Of the kind, not arguments: ``kind_attrs``, HTML attributes; ``kind_rules`` of text, its
    validators; ``many``, several values may be sent; ``is_file``.

    Raises `ConfigurationError` for arguments that can't be right.
    """

    empty: ClassVar[object] = None  # the value when nothing was sent; a T is promised otherwise
    kind_attrs: ClassVar[Attrs] = {}  # that follow from the kind
    many: ClassVar[bool] = False  # several values may be sent under the name
    is_file: ClassVar[bool] = False

    required: bool = True
    label: str | None = None
    help_text: str = ""
    initial: T | None = None
    validators: Sequence[Validator[T]] = ()
    messages: Mapping[str, str] = default(default_factory=dict)
    widget: widgets.Widget = widgets.TEXT
    attrs: Attrs = default(default_factory=dict)
    disabled: bool = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        # Without an annotation a dataclass would take no notice of a new default.
        inherited = {each.name: each.type for each in fields(cls) if each.name in own}
        cls.__annotations__ = inherited | cls.__annotations__
        dataclass(frozen=True, kw_only=True, eq=False)(cls)

    def __post_init__(self) -> None:
        if not isinstance(self.widget, widgets.Widget):
            raise ConfigurationError(f"widget must be a Widget, not {self.widget!r}")
        html.attributes_to_html(html.checked_attributes(self.attrs))
        for rule in self.rules():
            if not callable(rule):
                raise ConfigurationError(f"validators: {rule!r} is not callable")
            html.attributes_to_html(html.checked_attributes(getattr(rule, "attrs", {})))

    def read(self, submission: Submission, name: str) -> T:
        """Return the value that was sent under ``name``, or `empty`. Raises `ValidationError`."""
        sent = submission.value(name)
        if sent is None:
            return cast(T, self.empty)
        if isinstance(sent, str) and not submission.typed:
            return self.from_text(sent)
        return self.from_json(sent)

    def from_text(self, text: str) -> T:
        """Return the value that a form sent as ``text``; `empty` if that means nothing.

        Raises `ValidationError`.
        """
        raise NotImplementedError

    def from_json(self, value: object) -> T:
        """Return the value that JSON, or Python code, gave as ``value``; here a str alone will do.

        Raises `ValidationError`.
        """
        if not isinstance(value, str):
            raise ValidationError(code="invalid")
        return self.from_text(value)

    def to_text(self, value: object) -> str:
        """Return what a control shows for an initial value, or for one sent as JSON."""
        return html.to_text(value)

    def shown_again(self, text: str) -> str:
        """Return what a control shows for text that a form sent."""
        return self.to_text(text)

    def is_same(self, value: T, shown: T) -> bool:
        """Return whether a value that was sent is the one that was shown."""
        return value == shown

    def rules(self) -> tuple[Validator[T], ...]:
        """Return every validator, the field's own first. Called once for each class of forms."""
        return (*self.own_rules(), *self.validators)

    def own_rules(self) -> Iterable[Validator[T]]:
        """Return the validators that follow from the kind and its arguments."""
        return ()

    @property
    def longest(self) -> int:
        """Return how much of a text is looked at, or shown again, in characters."""
        return MAX_TEXT

    @property
    def options(self) -> Sequence[tuple[str, str]]:
        """Return (text, label) pairs for a widget that offers a choice."""
        return ()


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

    @property
    def longest(self) -> int:
        return max(MAX_TEXT, self.max_length or 0)

    def from_text(self, text: str) -> str:
        if len(text) > self.longest:
            raise ValidationError(code="max_length", params={"limit": self.max_length or MAX_TEXT})
        # Before strip, or a trailing newline would pass.
        if not text.isprintable() and _CONTROL.search(text):
            raise ValidationError(code="control")
        return text.strip() if self.strip else text

    def own_rules(self) -> Iterable[Validator[str]]:
        if self.min_length is not None or self.max_length is not None:
            yield checks.Length(self.min_length, self.max_length)
        if self.pattern is not None:
            yield checks.Pattern(self.pattern)
        yield from self.kind_rules


class TextField(StringField):
    """Take text of several lines, which end in "\\n"; tabs are allowed."""

    widget: widgets.Widget = widgets.TEXTAREA

    def from_text(self, text: str) -> str:
        # Browsers send "\r\n" and count one character for it, as maxlength does.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        super().from_text(text.replace("\n", " ").replace("\t", " "))
        return text.strip() if self.strip else text


class PasswordField(StringField):
    """Take a password, as it was typed. It is never sent back."""

    kind_attrs: ClassVar[Attrs] = {"autocomplete": "current-password"}

    max_length: int | None = 1024
    strip: bool = False
    widget: widgets.Widget = widgets.PASSWORD

    def to_text(self, value: object) -> str:  # noqa: ARG002 - whatever it is
        return ""


class HiddenField(StringField):
    """Take text that the page sends back and nobody sees. It can be tampered with all the same."""

    widget: widgets.Widget = widgets.HIDDEN


class EmailField(StringField):
    """Take an e-mail address; code ``email``."""

    kind_attrs: ClassVar[Attrs] = {"autocomplete": "email"}
    kind_rules: ClassVar[tuple[Validator[str], ...]] = (checks.email,)

    max_length: int | None = 254  # characters, RFC 5321 section 4.5.3.1.3
    widget: widgets.Widget = widgets.EMAIL


class URLField(StringField):
    """Take an absolute address, http or https, without a user's name in it; code ``url``."""

    kind_attrs: ClassVar[Attrs] = {"autocomplete": "url"}
    kind_rules: ClassVar[tuple[Validator[str], ...]] = (checks.url,)

    max_length: int | None = 2048
    widget: widgets.Widget = widgets.URL


class SlugField(StringField):
    """Take ASCII letters, digits, underscores and hyphens; code ``slug``."""

    kind_rules: ClassVar[tuple[Validator[str], ...]] = (checks.slug,)

    max_length: int | None = 50


class JSONField(Field[Any]):
    """Take any JSON value but null, which means nothing was sent; code ``json_text``.

    ``max_length``: in characters of its text.
    """

    max_length: int = 100_000
    widget: widgets.Widget = widgets.TEXTAREA

    def from_text(self, text: str) -> Any:
        text = text.strip()
        if not text:
            return None
        self._check_length(text)
        try:
            return self.from_json(loads(text))
        except ValidationError:
            raise
        except ValueError:
            raise ValidationError(code="json_text") from None

    def from_json(self, value: object) -> Any:
        try:
            text = dumps(value)
        except ValueError:
            raise ValidationError(code="json_text") from None
        self._check_length(text)
        return value

    def _check_length(self, text: str) -> None:
        if len(text) > self.max_length:
            raise ValidationError(code="max_length", params={"limit": self.max_length})

    def to_text(self, value: object) -> str:
        try:
            return "" if value is None else dumps(value)
        except ValueError:
            return ""

    def shown_again(self, text: str) -> str:
        return text

    def is_same(self, value: Any, shown: Any) -> bool:
        return _canonical(value) == _canonical(shown)  # to Python, 1 is True


def _canonical(value: object) -> str:
    return json.dumps(json.loads(dumps(value)), sort_keys=True)
