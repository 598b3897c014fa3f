"""What was sent to a form: from a request, or from any mapping."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from tornado.httputil import HTTPServerRequest

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.messages import ValidationError


@dataclass(frozen=True, slots=True)
class Submission:
    """Hold the values that were sent, by name, as they came.

    A value is text (str or UTF-8 bytes), a list of such texts, or a Python value. ``typed``: the
    values are JSON, where text is not a number. ``error``: nothing could be read, and why.
    """

    values: Mapping[str, object] = field(default_factory=dict, repr=False)  # passwords
    typed: bool = False
    error: ValidationError | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.values, Mapping):
            raise ConfigurationError(
                f"data must be a mapping from names to values, not {type(self.values).__name__}"
            )

    def value(self, name: str) -> object:
        """Return the one value sent as ``name``, or None.

        Raises `ValidationError`, code ``repeated`` if there are several, ``invalid`` if it is not
        UTF-8.
        """
        value = self.values.get(name)
        if self.typed:
            return value
        if isinstance(value, list | tuple):
            if len(value) > 1:
                raise ValidationError(code="repeated")
            value = value[0] if value else None
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise ValidationError(code="invalid") from None
        return value

    def shown_value(self, name: str) -> object:
        """Return the same to show it again: the first of several, U+FFFD for what is not UTF-8."""
        value = self.values.get(name)
        if isinstance(value, list | tuple):
            value = value[0] if value else None
        return value.decode(errors="replace") if isinstance(value, bytes) else value


def from_request(request: HTTPServerRequest) -> Submission:
    """Read the query of a GET or HEAD request, and the body, form or JSON, of any other.

    The bytes are read here, because `RequestHandler.get_argument` answers 400 to what is not UTF-8
    and puts spaces in place of control characters.
    """
    if request.method in ("GET", "HEAD"):
        return Submission(request.query_arguments)
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type == "application/json" or content_type.endswith("+json"):
        return from_json(request.body)
    return Submission(request.body_arguments)


def from_json(text: str | bytes) -> Submission:
    """Read a JSON object (RFC 8259): UTF-8, no name twice, no NaN."""
    try:
        if isinstance(text, bytes):
            text = text.decode()  # json.loads would take UTF-16 too
        values = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refuse)
    except (ValueError, RecursionError):  # RecursionError: nested too deep
        values = None
    if not isinstance(values, dict):
        return Submission(typed=True, error=ValidationError(code="json"))
    return Submission(values, typed=True)


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name occurs twice")
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
