"""Controls: how the value of a field becomes HTML.

A widget holds no value: one instance serves every form. What it returns is plain HTML, without
inline style or script, and everything in it is escaped.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, ClassVar, Final

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.validators import Attrs

if TYPE_CHECKING:
    from tornado_ext.forms.boundfield import BoundField

# What HTML can't hold, or UTF-8 can't.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ATTRIBUTE = re.compile(r"[A-Za-z_:@][A-Za-z0-9_:.@-]*")


def writable(text: str) -> str:
    """Put U+FFFD in place of what HTML or UTF-8 can't hold."""
    return _UNWRITABLE.sub("\ufffd", text)


def to_html(text: str) -> str:
    """Escape text for a place between tags or inside a quoted attribute."""
    return escape(writable(text))


def attributes_to_html(attrs: Attrs) -> str:
    """Return `` name="value"`` for each attribute, with a space before it.

    Raises `ConfigurationError` for what can't be the name of an attribute.
    """
    parts = []
    for name, value in attrs.items():
        if not _ATTRIBUTE.fullmatch(name):
            raise ConfigurationError(f"attrs: {name!r} can't be the name of an HTML attribute")
        if value is True:
            parts.append(f" {name}")
        elif value is not None and value is not False:
            parts.append(f' {name}="{to_html(str(value))}"')
    return "".join(parts)


class Widget(ABC):
    """Draw the control of a field. Override `render`; keep nothing about one request."""

    label_after: ClassVar[bool] = False  # beside a checkbox the label comes second

    @abstractmethod
    def render(self, field: "BoundField", attrs: str) -> str:
        """Return the HTML of the control.

        ``attrs`` are its attributes, escaped, with a space before each: ``name``, ``id``, those
        from rules, ``aria-*``. The value, ``field.value``, must go through `to_html`.
        """


@dataclass(frozen=True)
class Input(Widget):
    """Draw an ``<input>`` of a type whose ``value`` is text; a password's value is left out."""

    type: str = "text"

    def render(self, field: "BoundField", attrs: str) -> str:
        if self.type.lower() == "password":
            return f'<input type="password"{attrs}>'
        return f'<input type="{to_html(self.type)}"{attrs} value="{to_html(field.value)}">'


@dataclass(frozen=True)
class Checkbox(Widget):
    """Draw an ``<input type="checkbox">``, checked when the field has a value."""

    label_after: ClassVar[bool] = True

    def render(self, field: "BoundField", attrs: str) -> str:
        checked = " checked" if field.value else ""
        return f'<input type="checkbox"{attrs} value="on"{checked}>'


@dataclass(frozen=True)
class Select(Widget):
    """Draw a ``<select>`` of the field's options."""

    def render(self, field: "BoundField", attrs: str) -> str:
        chosen = field.value
        options = "".join(
            f'<option value="{to_html(text)}"{" selected" if text == chosen else ""}>'
            f"{to_html(label)}</option>"
            for text, label in field.options
        )
        return f"<select{attrs}>{options}</select>"


TEXT: Final = Input()
PASSWORD: Final = Input("password")
EMAIL: Final = Input("email")
NUMBER: Final = Input("number")
CHECKBOX: Final = Checkbox()
SELECT: Final = Select()
