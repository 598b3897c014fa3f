"""What of a field's HTML is the same for every form of a class, prefix and language."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tornado.locale import Locale

from tornado_ext.forms.fields import Field
from tornado_ext.forms.html import (
    Attr,
    Attrs,
    attributes_to_html,
    checked_attributes,
    element,
    to_html,
)
from tornado_ext.forms.messages import translate

if TYPE_CHECKING:
    from tornado_ext.forms.form import Form

_Attrs: TypeAlias = dict[str, Attr]
_Options: TypeAlias = tuple[tuple[str, str, str], ...]  # text, and value and label as HTML

# Part of a field: CSS classes. "label:checkbox" goes before "label" where that is the widget.
CLASSES: Final[Mapping[str, str]] = {
    "field": "field",
    "help": "field-help",
    "errors": "field-errors",
    "option": "field-option",
    "summary": "form-errors",
}


@lru_cache(maxsize=512)
def drawings(form: "type[Form]", prefix: str, locale: Locale | None) -> Mapping[str, "Drawing"]:
    """Return what can be drawn of each field before there is a value."""
    classes = {**CLASSES, **form.classes}
    return {
        name: Drawing(name, f"{prefix}{name}", field, classes, locale)
        for name, field in form.fields.items()
    }


class Drawing:
    """Hold the HTML of a field, and draw the parts of it that a caller wants to be different."""

    def __init__(
        self,
        name: str,
        html_name: str,
        field: Field[Any],
        classes: Mapping[str, str],
        locale: Locale | None,
    ) -> None:
        label = name.replace("_", " ").capitalize() if field.label is None else field.label
        self.name: Final = html_name
        self.label: Final = translate(label, locale)
        self.help_text: Final = translate(field.help_text, locale)
        self.is_group: Final = bool(field.widget.group_role)
        self.is_hidden: Final = field.widget.kind == "hidden"
        self.field: Final = field
        self._classes = classes
        self._locale = locale
        self._attrs = self._attributes()
        self.id: Final = str(self._attrs["id"])
        self._help_id = f"{self.id}-help"
        self._errors_id = f"{self.id}-errors"

        self.options: Final = self.options_of(field)
        self.label_html: Final = self.draw_label({})
        self.help_html: Final = self.draw_help({})
        self.attrs_html: Final = (self.draw_attrs(False, {}), self.draw_attrs(True, {}))

    def css_class(self, part: str) -> str | None:
        """Return the CSS classes of a part: its own in this kind of widget, or else in any."""
        kind = self.field.widget.kind
        return self._classes.get(f"{part}:{kind}", self._classes.get(part))

    def options_of(self, field: Field[Any]) -> _Options:
        """Return the options of this field, or of what it is with the choices of one form."""
        return tuple(
            (text, to_html(text), to_html(translate(label, self._locale)))
            for text, label in field.options
        )

    def draw_label(self, attrs: Attrs) -> str:
        own: _Attrs = {"for": self.id, "class": self.css_class("label")}
        own |= checked_attributes(attrs)
        if self.is_group:
            own["for"] = None
        return element("legend" if self.is_group else "label", own, to_html(self.label))

    def draw_help(self, attrs: Attrs) -> str:
        if not self.help_text:
            return ""
        own: _Attrs = {"class": self.css_class("help"), "id": self._help_id}
        return element("p", own | checked_attributes(attrs), to_html(self.help_text))

    def draw_errors(self, messages: Sequence[str], attrs: Attrs) -> str:
        if not messages:
            return ""
        items = "".join([f"<li>{to_html(message)}</li>" for message in messages])
        own: _Attrs = {"class": self.css_class("errors"), "id": self._errors_id}
        return element("ul", own | checked_attributes(attrs), items)

    def draw_attrs(self, invalid: bool, attrs: Attrs) -> tuple[str, str]:
        """Return the attributes of the control, or each control, and of the element around it."""
        control: _Attrs = self._attrs | checked_attributes(attrs)
        invalid = invalid and not self.is_hidden  # who can't see it can't mend it
        around: _Attrs = {"class": self.css_class("field")}
        if invalid:
            control["class"] = _joined(control.get("class"), self.css_class("invalid"))
        # Help and errors are read out with the control; with a group, once.
        described = around if self.is_group else control
        described["aria-describedby"] = _joined(
            control.pop("aria-describedby", None),
            self._help_id if self.help_text else None,
            self._errors_id if invalid else None,
        )
        if self.is_group:
            control["id"] = None  # each has its own
            around["role"] = self.field.widget.group_role
        # ARIA 1.2 knows invalid checkboxes and invalid groups of radio buttons.
        marked = around if around.get("role") == "radiogroup" else control
        marked["aria-invalid"] = "true" if invalid else None
        return attributes_to_html(control), attributes_to_html(around)

    def _attributes(self) -> _Attrs:
        """Return the attributes of the control: its own go before those from rules."""
        field = self.field
        attrs: _Attrs = {
            "name": self.name,
            "id": f"id_{self.name}",
            # Of checkboxes, each would be required. HTML has no hidden and required control.
            "required": field.required
            and not self.is_hidden
            and not (field.many and self.is_group),
            "disabled": field.disabled,
            **field.kind_attrs,
        }
        for rule in field.rules():
            attrs |= checked_attributes(getattr(rule, "attrs", {}))
        attrs["class"] = self.css_class("control")
        return attrs | checked_attributes(field.attrs)


def _joined(*values: Attr) -> str | None:
    return " ".join([str(value) for value in values if value]) or None


def errors_to_html(items: Iterable[str], css_class: str | None) -> str:
    """Return a list that is read out as soon as it is there; ``items`` are HTML."""
    body = "".join([f"<li>{item}</li>" for item in items])
    return element("div", {"class": css_class, "role": "alert"}, f"<ul>{body}</ul>")
