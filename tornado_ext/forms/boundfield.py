"""A field in a form: under a name (`NamedField`), and with the value of one form (`BoundField`)."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.fields import Field
from tornado_ext.forms.messages import Message
from tornado_ext.forms.widgets import attributes_to_html, to_html, writable

if TYPE_CHECKING:
    from tornado_ext.forms.form import Form

# It becomes part of ids. Tornado reads the names in a query as Latin-1, and "_xsrf" is taken.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

_Attrs: TypeAlias = dict[str, str | int | bool | None]


class NamedField:
    """Hold what follows from a field and the name that a class of forms gave it.

    Made once for each class, so that checking or drawing a form has only to look it up.
    """

    def __init__(self, name: str, field: Field[Any], hook: str | None) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} can't be the name of a field: it must be ASCII letters, "
                "digits, _ and -, the first a letter"
            )
        self.name: Final = name
        self.field: Final = field
        self.hook: Final = hook  # the form's method clean_<name>
        self.rules: Final = field.rules()
        label = name.replace("_", " ").capitalize() if field.label is None else field.label
        self.label: Final = label

        attrs = _attributes(name, field, self.rules)
        described_by = attrs.pop("aria-describedby", None)
        help_id = f"id_{name}-help" if field.help_text else None
        self.errors_id: Final = f"id_{name}-errors"
        self.attrs_html: Final = attributes_to_html(attrs | _described_by(described_by, help_id))
        self.invalid_attrs_html: Final = attributes_to_html(
            attrs | {"aria-invalid": "true"} | _described_by(described_by, help_id, self.errors_id)
        )
        label_attrs = attributes_to_html({"for": attrs["id"]})
        self.label_html: Final = f"<label{label_attrs}>{to_html(label)}</label>"
        help_html = f'<p class="field-help" id="{help_id}">{to_html(field.help_text)}</p>'
        self.help_html: Final = help_html if help_id else ""


class BoundField:
    """Show one field of one form: ``form["name"]``.

    Made anew each time it is asked for; it holds nothing of its own. What `render` and its parts
    return is HTML, everything in it escaped: ``{% raw form["name"].render() %}``.
    """

    __slots__ = ("_form", "_named")

    def __init__(self, form: "Form", named: NamedField) -> None:
        self._form = form
        self._named = named

    @property
    def name(self) -> str:
        return self._named.name

    @property
    def label(self) -> str:
        return self._named.label

    @property
    def help_text(self) -> str:
        return self._named.field.help_text

    @property
    def options(self) -> Sequence[tuple[str, str]]:
        """Return (text, label) pairs, none unless the field is a choice."""
        return self._named.field.options

    @property
    def errors(self) -> list[Message]:
        return self._form.errors.get(self._named.name, [])

    @property
    def value(self) -> str:
        """Return the text that the control shows: what was sent, else the initial value.

        U+FFFD stands for what HTML or UTF-8 can't hold.
        """
        return writable(self._named.field.to_text(self._form.shown_value(self._named.name)))

    def render(self) -> str:
        """Return label, control, help and errors, in a ``<div class="field">``."""
        label, control = self.render_label(), self.render_control()
        if self._named.field.widget.label_after:
            label, control = control, label
        return (
            f'<div class="field">\n{label}\n{control}\n'
            f"{self.render_help()}{self.render_errors()}</div>"
        )

    def render_label(self) -> str:
        return self._named.label_html

    def render_control(self) -> str:
        named = self._named
        invalid = named.name in self._form.errors
        attrs = named.invalid_attrs_html if invalid else named.attrs_html
        return named.field.widget.render(self, attrs)

    def render_help(self) -> str:
        """Return the help, or nothing if there is none; so does `render_errors`."""
        return self._named.help_html

    def render_errors(self) -> str:
        return errors_to_html(self.errors, f'class="field-errors" id="{self._named.errors_id}"')


def errors_to_html(messages: Iterable[str], attrs: str) -> str:
    """Return a list of messages, or nothing if there are none; ``attrs`` is HTML."""
    items = "".join(f"<li>{to_html(message)}</li>" for message in messages)
    return f"<ul {attrs}>{items}</ul>" if items else ""


def _attributes(name: str, field: Field[Any], rules: Iterable[object]) -> _Attrs:
    """Return the attributes of a field's control: its own go before those from rules."""
    attrs: _Attrs = {
        "name": name,
        "id": f"id_{name}",
        "required": field.required,
        "disabled": field.disabled,
    }
    for rule in rules:
        attrs |= getattr(rule, "attrs", {})
    return attrs | {key.lower(): value for key, value in field.attrs.items()}


def _described_by(*ids: object) -> _Attrs:
    """Return the attribute that points at help and errors, which are read out with the control."""
    return {"aria-describedby": " ".join(str(each) for each in ids if each) or None}
