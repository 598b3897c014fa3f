"""Controls: how the value of a field becomes HTML.

A widget holds no value: one instance serves every form. What it returns is plain HTML, without
inline style or script, and everything in it is escaped.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from tornado_ext.forms.html import to_html

if TYPE_CHECKING:
    from tornado_ext.forms.boundfield import BoundField


class Widget(ABC):
    """Draw the control of a field. Override `render`; keep nothing about one request."""

    label_after: ClassVar[bool] = False  #: Beside a checkbox the label comes second
    group_role: ClassVar[str] = ""  #: ARIA's, of several controls in a fieldset with a legend

    @property
    def kind(self) -> str:
        """Return the name of the kind in a form's ``classes``: "select" in "control:select"."""
        return type(self).__name__.lower()

    @abstractmethod
    def render(self, field: "BoundField", attrs: str) -> str:
        """Return the HTML of the control.

        ``attrs`` are its attributes, escaped, with a space before each: ``name``, ``id``, those
        from rules, ``aria-*``. The value, ``field.value``, must go through `to_html`.
        """


@dataclass(frozen=True)
class Input(Widget):
    """Draw an ``<input>`` whose ``value`` is text; that of a password or a file is left out."""

    type: str = "text"

    @property
    def kind(self) -> str:
        return self.type.lower()

    def render(self, field: "BoundField", attrs: str) -> str:
        if self.kind in ("password", "file"):
            return f'<input type="{self.kind}"{attrs}>'
        return f'<input type="{to_html(self.type)}"{attrs} value="{to_html(field.value)}">'


@dataclass(frozen=True)
class Textarea(Widget):
    """Draw a ``<textarea>``; its size is a matter of ``attrs`` or of CSS."""

    def render(self, field: "BoundField", attrs: str) -> str:
        # HTML drops a line break at the start: one more than there is.
        return f"<textarea{attrs}>\n{to_html(field.value)}</textarea>"


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
        chosen = field.values
        options = [
            f'<option value="{value}"{" selected" if text in chosen else ""}>{label}</option>'
            for text, value, label in field.options_html
        ]
        multiple = " multiple" if field.field.many else ""
        return f"<select{attrs}{multiple}>{''.join(options)}</select>"


@dataclass(frozen=True)
class Radios(Widget):
    """Draw a radio button for each option, of which one can be chosen."""

    type: ClassVar[str] = "radio"
    group_role: ClassVar[str] = "radiogroup"

    def render(self, field: "BoundField", attrs: str) -> str:
        # That nothing is chosen needs no button where something must be.
        options = [each for each in field.options_html if each[0] or not field.field.required]
        return "\n".join(self._option(field, attrs, *each) for each in enumerate(options))

    def _option(
        self, field: "BoundField", attrs: str, number: int, option: tuple[str, str, str]
    ) -> str:
        text, value, label = option
        # The first has the id of the field: messages link to it.
        id_ = to_html(f"{field.id}-{number}" if number else field.id)
        checked = " checked" if text in field.values else ""
        return (
            f"<div{field.class_html('option')}>"
            f'<input type="{self.type}"{attrs} id="{id_}" value="{value}"{checked}> '
            f'<label{field.class_html("option-label")} for="{id_}">{label}</label></div>'
        )


@dataclass(frozen=True)
class Checkboxes(Radios):
    """Draw a checkbox for each option, of which some can be chosen."""

    type: ClassVar[str] = "checkbox"
    group_role: ClassVar[str] = "group"


TEXT: Final = Input()
PASSWORD: Final = Input("password")
HIDDEN: Final = Input("hidden")
EMAIL: Final = Input("email")
URL: Final = Input("url")
NUMBER: Final = Input("number")
DATE: Final = Input("date")
TIME: Final = Input("time")
DATETIME: Final = Input("datetime-local")
FILE: Final = Input("file")
TEXTAREA: Final = Textarea()
CHECKBOX: Final = Checkbox()
SELECT: Final = Select()
