"""What a form says when something is wrong: codes, their texts, and the errors that carry them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self

from tornado_ext.errors import TornadoExtError

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
        "integer": "Enter a whole number.",
        "too_large": "This number is too large.",
        "min_value": "Enter {limit} or more.",
        "max_value": "Enter {limit} or less.",
        "boolean": "Answer with yes or no.",
        "choice": "Choose one of the options.",
        "json": "The request is not a JSON object.",
    }
)

FORM_WIDE = "__all__"  # the key, in JSON, of the errors that belong to no field


class ValidationError(TornadoExtError):
    """Raise this in a validator, ``clean_<field>`` or ``clean`` to refuse a value.

    The text shown is the field's own for ``code`` (its ``messages``), else ``message``, else the
    one that this package has for ``code``. ``{name}`` in it is replaced by ``params["name"]``.
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

    def to_message(self, messages: Mapping[str, str]) -> "Message":
        """Return what to show; ``messages``, by code, go before this error's own text."""
        text = messages.get(self.code) or self.message
        if text is None:
            text = MESSAGES.get(self.code, MESSAGES["invalid"])
        # Not str.format(): a brace that means nothing must not fail while a request is answered.
        for name, value in self.params.items():
            text = text.replace(f"{{{name}}}", str(value))
        return Message(text, self.code)


class FormNotValidated(TornadoExtError, RuntimeError):
    """The result of a validation was used before there was one: ``await form.is_valid()`` first.

    Raised too when a form is to be validated by two at a time.
    """


class Message(str):
    """Text for the person who filled in the form, with the ``code`` of what is wrong."""

    code: str

    def __new__(cls, text: str, code: str) -> Self:
        message = super().__new__(cls, text)
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
