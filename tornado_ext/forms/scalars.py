"""Fields whose text has one syntax: numbers, dates, times, UUIDs, addresses."""

import re
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from ipaddress import ip_address
from math import isfinite, isnan
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast
from uuid import UUID

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import validators as checks
from tornado_ext.forms import widgets
from tornado_ext.forms.fields import Field
from tornado_ext.forms.html import Attrs
from tornado_ext.forms.messages import ValidationError
from tornado_ext.forms.validators import Validator

T = TypeVar("T")
N = TypeVar("N", bound=int | Decimal)

MAX_INTEGER: Final = 2**63 - 1  # what every database can hold
MAX_DIGITS: Final = 28  # of a Decimal, before and after the point; what Python's arithmetic keeps
_LONGEST: Final = 64  # characters; nothing here needs more, and int() of thousands is slow

_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,4})?")
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"


class Convert(Protocol):
    """Make a value of text. Raises ValueError for what has none."""

    def __call__(self, text: str, /) -> Any: ...


class ScalarField(Field[T]):
    """Take text that has ``syntax`` and that ``convert`` makes a value of; code ``code``.

    What ``convert`` refuses with a ValueError has that code too. ``types``: of JSON and Python
    values, that of this kind first. ``long_code``: of what is too large to read; else ``code``.
    """

    syntax: ClassVar[re.Pattern[str]]
    convert: ClassVar[Convert]
    types: ClassVar[tuple[type, ...]]
    code: ClassVar[str]
    long_code: ClassVar[str] = ""

    def from_text(self, text: str) -> T:
        text = text.strip()
        if not text:
            return cast(T, self.empty)
        if not self.syntax.fullmatch(text[:_LONGEST]):
            raise ValidationError(code=self.code)
        if len(text) > _LONGEST:
            raise ValidationError(code=self.long_code or self.code)
        try:
            value: T = self.convert(text)
        except ValueError:
            raise ValidationError(code=self.code) from None
        return self.accept(value)

    def from_json(self, value: object) -> T:
        if type(value) not in self.types:
            raise ValidationError(code=self.code)
        if type(value) is self.types[0] and not isinstance(value, str):
            return self.accept(cast(T, value))
        try:
            text = str(value)
        except ValueError:  # an int of thousands of digits
            raise ValidationError(code=self.long_code) from None
        return self.from_text(text)

    def accept(self, value: T) -> T:
        """Return a value of the right type. Raises `ValidationError` if it is not fit to use."""
        return value


class UUIDField(ScalarField[UUID]):
    """Take a UUID in its usual form, with hyphens; code ``uuid``."""

    syntax = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
    convert = UUID
    types = (UUID, str)
    code = "uuid"


class IPAddressField(ScalarField[str]):
    """Take an IPv4 or IPv6 address; a str in its shortest form, "" if empty. Code ``ip``."""

    empty: ClassVar[object] = ""
    syntax = re.compile(r"[0-9a-fA-F:.]+")
    convert = staticmethod(lambda text: str(ip_address(text)))
    types = (str,)
    code = "ip"


class OrderedField(ScalarField[T]):
    """Take a value from ``min_value`` to ``max_value``, both included; codes ``limit_codes``."""

    limit_codes: ClassVar[tuple[str, str]] = ("min_value", "max_value")

    min_value: T | None = None
    max_value: T | None = None

    def own_rules(self) -> Iterable[Validator[T]]:
        low, high = self.limit("min_value"), self.limit("max_value")
        if low is not None or high is not None:
            yield checks.Range(low, high, self.limit_codes)

    def limit(self, name: str) -> T | None:
        """Return an argument as a value of this kind. Raises `ConfigurationError`."""
        given = getattr(self, name)
        try:
            return None if given is None else self.from_json(given)
        except ValidationError:
            kind = type(self).__name__
            raise ConfigurationError(f"{name} of a {kind} can't be {given!r}") from None


class SteppedField(OrderedField[N]):
    """Take a multiple of ``step``, counted from ``min_value`` or else 0; code ``step``."""

    step: N | None = None
    widget: widgets.Widget = widgets.NUMBER

    def own_rules(self) -> Iterable[Validator[N]]:
        yield from super().own_rules()
        if (step := self.limit("step")) is not None:
            yield checks.Step(step, self.limit("min_value") or 0)

    def attrs_beside(self, text: str) -> Attrs:
        """Return attributes of a control that shows ``text``.

        Without a min, browsers count steps from what is shown, and would refuse a multiple.
        """
        if self.min_value is not None:
            return {}
        try:
            if (value := self.from_text(text)) is not None:
                checks.Step(self.limit("step") or 1)(value)
        except ValidationError:
            return {"step": "any"}
        return {}


class IntegerField(SteppedField[int]):
    """Take a whole number of at most 64 bits; codes ``integer`` and ``too_large``."""

    syntax = re.compile(r"[+-]?[0-9]+")
    convert = int
    types = (int,)
    code = "integer"
    long_code = "too_large"

    def accept(self, value: int) -> int:
        if abs(value) > MAX_INTEGER:
            raise ValidationError(code="too_large")
        return value


class DecimalField(SteppedField[Decimal]):
    """Take a number as it is written, of at most 28 digits; codes ``number`` and ``digits``.

    JSON may have it as a string, so that no digit is lost.
    """

    kind_attrs: ClassVar[Attrs] = {"step": "any"}
    syntax = _NUMBER
    convert = Decimal
    types = (Decimal, int, float, str)
    code = "number"
    long_code = "digits"

    def accept(self, value: Decimal) -> Decimal:
        if not value.is_finite():
            raise ValidationError(code="number")
        after_point = -int(value.as_tuple().exponent)
        if max(value.adjusted() + 1, 0) + max(after_point, 0) > MAX_DIGITS:
            raise ValidationError(code="digits")
        return value


class FloatField(OrderedField[float]):
    """Take a number as computers have it, neither NaN nor infinite; code ``number``."""

    kind_attrs: ClassVar[Attrs] = {"step": "any"}
    syntax = _NUMBER
    convert = float
    types = (float, int)
    code = "number"
    long_code = "too_large"
    widget: widgets.Widget = widgets.NUMBER

    def accept(self, value: float) -> float:
        if not isfinite(value):
            raise ValidationError(code="number" if isnan(value) else "too_large")
        return value


class MomentField(OrderedField[T]):
    """Take a day or a time, as HTML writes it; too early or late: ``earliest``, ``latest``."""

    limit_codes = ("earliest", "latest")

    def accept(self, value: T) -> T:
        if getattr(value, "tzinfo", None) is not None:  # cannot be compared with those without
            raise ValidationError(code=self.code)
        return value

    def is_same(self, value: T, shown: T) -> bool:
        return self.to_text(value) == self.to_text(shown)


class DateField(MomentField[date]):
    """Take a day that exists; code ``date``."""

    syntax = re.compile(_DAY)
    convert = date.fromisoformat
    types = (date, str)
    code = "date"
    widget: widgets.Widget = widgets.DATE


class TimeField(MomentField[time]):
    """Take a time of day, without a time zone; code ``time``."""

    kind_attrs: ClassVar[Attrs] = {"step": "any"}  # without it browsers refuse seconds
    syntax = re.compile(_CLOCK)
    convert = time.fromisoformat
    types = (time, str)
    code = "time"
    widget: widgets.Widget = widgets.TIME


class DateTimeField(MomentField[datetime]):
    """Take a day and a time, without a time zone; code ``datetime``."""

    kind_attrs: ClassVar[Attrs] = {"step": "any"}
    syntax = re.compile(f"{_DAY}[T ]{_CLOCK}")
    convert = datetime.fromisoformat
    types = (datetime, str)
    code = "datetime"
    widget: widgets.Widget = widgets.DATETIME
