"""What a form says when something is wrong: codes, their texts, and the errors that carry them."""

import csv
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from tornado.locale import Locale

from tornado_ext.errors import TornadoExtError
from tornado_ext.forms.html import writable

# Code: text. {name} stands for a parameter; texts avoid plurals.
MESSAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "required": "This field is required.",
        "invalid": "Enter a valid value.",
        "repeated": "Only one value is allowed here.",
        "control": "Control characters are not allowed.",
        "min_length": "Use {limit} or more characters.",
        "max_length": "Use {limit} or fewer characters.",
        "pattern": "This does not have the expected format.",
        "email": "Enter an e-mail address, like name@example.com.",
        "url": "Enter a web address, like https://example.com/page.",
        "slug": "Use only letters, digits, underscores and hyphens.",
        "uuid": "Enter a UUID.",
        "ip": "Enter an IP address.",
        "integer": "Enter a whole number.",
        "number": "Enter a number.",
        "too_large": "This number is too large.",
        "digits": "This number has too many digits.",
        "min_value": "Enter {limit} or more.",
        "max_value": "Enter {limit} or less.",
        "step": "Enter a multiple of {step}, counted from {base}.",
        "date": "Enter a date, like 2026-12-31.",
        "time": "Enter a time, like 23:59.",
        "datetime": "Enter a date and a time, like 2026-12-31 23:59.",
        "earliest": "Enter {limit} or later.",
        "latest": "Enter {limit} or earlier.",
        "boolean": "Answer with yes or no.",
        "choice": "Choose one of the options.",
        "json_text": "Enter valid JSON.",
        "file": "Choose a file.",
        "empty_file": "{name} is empty.",
        "file_size": "{name} is larger than {limit}.",
        "total_size": "The files are larger than {limit} together.",
        "max_files": "Choose {limit} or fewer files.",
        "file_type": "{name} is not one of these: {allowed}.",
        "extra": "There is no field {name}.",
        "json": "The request is not a JSON object.",
    }
)

_PARAMETER: Final = re.compile(r"\{([^{}]*)\}")

FORM_WIDE = "__all__"  # the key, in JSON, of the errors that belong to no field
TRANSLATIONS: Final = Path(__file__).with_name("locale")  # <language>.csv, as tornado.locale reads


def translate(text: str, locale: Locale | None) -> str:
    """Return ``text`` as the application has it in this language, else as this package has it."""
    if locale is None or not text:
        return text
    translation = locale.translate(text)
    return _shipped(locale.code).get(text, text) if translation == text else translation


@cache
def _shipped(code: str) -> Mapping[str, str]:
    path = TRANSLATIONS / f"{code}.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return dict(csv.reader(file))


class ValidationError(TornadoExtError, ValueError):
    """A value is not accepted, or a form as a whole is not.

    Raise it in a validator, ``clean_<field>`` or ``clean`` to refuse a value.

    The text shown is the field's or the form's own for ``code`` (their ``messages``), else
    ``message``, else the one that this package has for ``code``. It is translated, and ``{name}``
    in it is replaced by ``params["name"]``.
    """

    status_code = 400

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str = "invalid",
        params: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message or code)
        self.message = message
        self.code = code
        self.params = params or {}

    def to_message(self, messages: Mapping[str, str], locale: Locale | None = None) -> "Message":
        """Return what to show; ``messages``, by code, go before this error's own text."""
        text = messages.get(self.code) or self.message or MESSAGES.get(self.code)
        text = translate(text or MESSAGES["invalid"], locale)
        # Not str.format(): a brace that means nothing must not fail while a request is answered.
        return Message(_PARAMETER.sub(self._parameter, text), self.code)

    def _parameter(self, found: re.Match[str]) -> str:
        # What a client sent may be among them, and not all of that is UTF-8.
        return writable(str(self.params[found[1]])) if found[1] in self.params else found[0]


class ChoicesNotLoaded(TornadoExtError, RuntimeError):
    """A form whose choices must be awaited was drawn without them: ``await form.load()`` first."""


class FormNotValidated(TornadoExtError, RuntimeError):
    """The result of a validation was used before there was one: ``await form.is_valid()`` first.

    Raised too when a form is to be validated by two at a time.
    """


class Message(str):
    """Text for the person who filled in the form, with the ``code`` of what is wrong."""

    __slots__ = ("code",)
    code: str

    def __new__(cls, text: str, code: str) -> Self:
        message = str.__new__(cls, text)
        message.code = code
        return message


class FormErrors(dict[str | None, list[Message]]):
    """Map the name of a field to its messages, and None to those about the form as a whole."""

    def as_json(self) -> dict[str, list[dict[str, str]]]:
        """Return what `RequestHandler.write` sends as JSON: messages with their codes.

        ``{"name": [{"message": "...", "code": "required"}], "__all__": [...]}``: form-wide errors
        are under ``__all__``, which can't be the name of a field.
        """
        return {
            FORM_WIDE if name is None else name: [
                {"message": str(message), "code": message.code} for message in messages
            ]
            for name, messages in self.items()
        }
