"""Text as HTML: everything escaped, and nothing in it that HTML or UTF-8 can't hold."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from html import escape
from typing import TypeAlias
from uuid import UUID

from tornado.web import RequestHandler

from tornado_ext.errors import ConfigurationError

# The value of an HTML attribute: True if it has none; None and False leave it out.
Attr: TypeAlias = str | int | bool | None
Attrs: TypeAlias = Mapping[str, Attr]

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]+")
_ATTRIBUTE = re.compile(r"[A-Za-z_:@][A-Za-z0-9_:.@-]*")

# What follows from a field's name, widget, arguments and value, and would break if it differed.
_RESERVED = frozenset({"name", "type", "value", "checked", "disabled", "aria-invalid"})


def writable(text: str) -> str:
    """Put one U+FFFD in place of any length of what HTML or UTF-8 can't hold."""
    return text if text.isprintable() else _UNWRITABLE.sub("\ufffd", text)


def to_html(text: str) -> str:
    """Escape text for a place between tags or inside a quoted attribute."""
    return escape(writable(text))


def to_text(value: object) -> str:
    """Return what a control shows for a value: dates as HTML has them, "" for what has no text."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return value
    if isinstance(value, Enum):
        return to_text(value.value)
    if isinstance(value, datetime | time):  # browsers refuse microseconds
        return value.isoformat(timespec="milliseconds" if value.microsecond >= 1000 else "seconds")
    if isinstance(value, date):
        return value.isoformat()
    try:
        return str(value) if isinstance(value, int | float | Decimal | UUID) else ""
    except ValueError:  # an int of thousands of digits
        return ""


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


def checked_attributes(attrs: Attrs) -> dict[str, Attr]:
    """Return attributes of a caller's, in lower case. Raises `ConfigurationError`."""
    for name, value in attrs.items():
        if name.lower() in _RESERVED:
            raise ConfigurationError(f"attrs can't set {name!r}: it follows from the field")
        if name.lower() == "id" and (not value or value is True):
            raise ConfigurationError(f"attrs: {name} must be a text: labels refer to it")
    return {name.lower(): value for name, value in attrs.items()}


def element(tag: str, attrs: Attrs, content: str) -> str:
    """Return an element; ``content`` is HTML."""
    return f"<{tag}{attributes_to_html(attrs)}>{content}</{tag}>"


def xsrf_html(handler: RequestHandler) -> str:
    """Return the hidden field with the XSRF token, if the application has ``xsrf_cookies``."""
    return handler.xsrf_form_html() if handler.settings.get("xsrf_cookies") else ""
