"""A field with the value of one form."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tornado_ext.forms.drawing import Drawing
from tornado_ext.forms.fields import Field
from tornado_ext.forms.html import Attrs, attributes_to_html, writable
from tornado_ext.forms.messages import Message
from tornado_ext.forms.scalars import SteppedField

if TYPE_CHECKING:
    from tornado_ext.forms.form import Form


class BoundField:
    """Show one field of one form: ``form["name"]``.

    Made anew each time it is asked for; it holds nothing of its own. What `render` and its parts
    return is HTML, everything in it escaped: ``{% raw form["name"].render() %}``. They take HTML
    attributes that go before the field's own: ``render({"placeholder": "you@example.com"})``.
    """

    __slots__ = ("_drawing", "_form", "_key", "field")

    def __init__(self, form: "Form", key: str, field: Field[Any], drawing: Drawing) -> None:
        self.field = field
        self._form = form
        self._key = key
        self._drawing = drawing

    @property
    def name(self) -> str:
        """Return the name in HTML, with the form's prefix."""
        return self._drawing.name

    @property
    def id(self) -> str:
        """Return the id of the control in HTML; that of a part ends otherwise."""
        return self._drawing.id

    @property
    def label(self) -> str:
        """Return the label in the form's language, not escaped."""
        return self._drawing.label

    @property
    def help_text(self) -> str:
        """Return the help in the form's language, not escaped; "" if there is none."""
        return self._drawing.help_text

    @property
    def errors(self) -> list[Message]:
        """Return what is wrong with the value: texts that have a ``code``."""
        return self._form.errors.get(self._key, [])

    @property
    def is_hidden(self) -> bool:
        """Return whether nobody sees the control: then it has no label, and its errors no place."""
        return self._drawing.is_hidden

    @property
    def values(self) -> Sequence[str]:
        """Return the texts that are chosen or shown: those sent, else the initial ones.

        U+FFFD stands for what HTML or UTF-8 can't hold.
        """
        shown = self._form.shown_texts(self._key)
        return [writable(text[: self.field.longest]) for text in shown]

    @property
    def value(self) -> str:
        """Return the first of `values`, or ""."""
        return next(iter(self.values), "")

    @property
    def options(self) -> Sequence[tuple[str, str]]:
        """Return (text, label) pairs, none unless the field is a choice."""
        return self.field.options

    @property
    def options_html(self) -> Sequence[tuple[str, str, str]]:
        """Return the text of each option, and its value and its label as HTML."""
        drawing = self._drawing
        return drawing.options if self.field is drawing.field else drawing.options_of(self.field)

    def class_html(self, part: str) -> str:
        """Return `` class="..."`` as the form's ``classes`` have it for this kind of widget."""
        return attributes_to_html({"class": self._drawing.css_class(part)})

    def render(self, attrs: Attrs | None = None) -> str:
        """Return label, control, help and errors in one element, a fieldset for a group.

        ``attrs`` are the control's.
        """
        control_attrs, around = self._attrs_html(attrs)
        control = self.field.widget.render(self, control_attrs)
        if self.is_hidden:
            return control
        other_id = {"for": attrs["id"]} if attrs and "id" in attrs else None
        parts = [self.render_label(other_id), control]
        if self.field.widget.label_after:
            parts.reverse()
        tag = "fieldset" if self._drawing.is_group else "div"
        body = "\n".join([*parts, self.render_help() + self.render_errors()])
        return f"<{tag}{around}>\n{body}</{tag}>"

    def render_label(self, attrs: Attrs | None = None) -> str:
        """Return the label, a legend for a group."""
        return self._drawing.draw_label(attrs) if attrs else self._drawing.label_html

    def render_control(self, attrs: Attrs | None = None) -> str:
        """Return the control alone, with the value and what its rules say in HTML."""
        return self.field.widget.render(self, self._attrs_html(attrs)[0])

    def render_help(self, attrs: Attrs | None = None) -> str:
        """Return the help, or nothing if there is none; so does `render_errors`."""
        return self._drawing.draw_help(attrs) if attrs else self._drawing.help_html

    def render_errors(self, attrs: Attrs | None = None) -> str:
        """Return the list of `errors`."""
        return self._drawing.draw_errors(self.errors, attrs or {})

    def _attrs_html(self, attrs: Attrs | None) -> tuple[str, str]:
        invalid = bool(self.errors)
        if isinstance(self.field, SteppedField):
            attrs = {**self.field.attrs_beside(self.value), **(attrs or {})}
        return (
            self._drawing.draw_attrs(invalid, attrs) if attrs else self._drawing.attrs_html[invalid]
        )
