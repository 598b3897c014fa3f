"""What was sent to a form: from a request, or from any mapping."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NoReturn

from tornado.httputil import HTTPServerRequest

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.messages import ValidationError

MAX_TOKENS: Final = 60_000  # in JSON: texts, brackets, commas; ten megabytes may take a second
# A text ends at the latest where all ends, so that nothing is looked at twice.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{,]', re.DOTALL)


@dataclass(slots=True)
class Submission:
    """Hold the values that were sent, by name, as they came.

    A value is text (str or UTF-8 bytes), an `HTTPFile`, a list of such, or a Python value.
    ``typed``: the values are JSON, where text is not a number. ``error``: nothing could be read,
    and why.
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
        if isinstance(value, (list, tuple)):
            if len(value) > 1:
                raise ValidationError(code="repeated")
            value = value[0] if value else None
        return _decoded(value) if isinstance(value, bytes) else value

    def values_of(self, name: str) -> list[object]:
        """Return all values sent as ``name``. Raises `ValidationError` as `value` does."""
        value = self.values.get(name)
        if value is None:
            return []
        if self.typed and not isinstance(value, list):
            raise ValidationError(code="invalid")
        values = value if isinstance(value, list | tuple) else [value]
        return [_decoded(each) if isinstance(each, bytes) else each for each in values]

    def shown_values(self, name: str, many: bool) -> list[object]:
        """Return one value or all, to show them again; U+FFFD stands for what is not UTF-8."""
        value = self.values.get(name)
        if not isinstance(value, list | tuple) or (self.typed and not many):
            value = [value]
        return [
            each.decode(errors="replace") if isinstance(each, bytes) else each
            for each in (value if many else value[:1])
        ]


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
    values: dict[str, object] = dict(request.body_arguments)
    for name, files in request.files.items():
        values[name] = [*request.body_arguments.get(name, ()), *files]
    return Submission(values)


def from_json(text: str | bytes) -> Submission:
    """Read a JSON object."""
    try:
        values = loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        return Submission(typed=True, error=ValidationError(code="json"))
    return Submission(values, typed=True)


def loads(text: str | bytes) -> object:
    """Read JSON (RFC 8259): UTF-8, no name twice, no NaN, 60,000 tokens. Raises ValueError."""
    if isinstance(text, bytes):
        text = text.decode()  # json.loads would take UTF-16 too
    # Counting is fast, but counts what stands in texts too.
    if sum(map(text.count, '"[{,')) > MAX_TOKENS and any(
        islice(_TOKEN.finditer(text), MAX_TOKENS, None)
    ):
        raise ValueError("too many tokens")
    try:
        return json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def dumps(value: object) -> str:
    """Write a value as JSON. Raises ValueError for what is not JSON or not UTF-8."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, RecursionError) as exc:
        raise ValueError("not JSON") from exc
    text.encode()  # a lone surrogate can be in JSON, as an escape, and can't be stored
    return text


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValidationError(code="invalid") from None


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name occurs twice")
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
