"""Checks of one value, each a callable that also knows the HTML attributes that say the same.

A validator takes a value and raises `ValidationError`, or returns None or an awaitable that does
so. A plain function is one. If it has a mapping ``attrs``, the field's control gets these.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Context, Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, Generic, TypeAlias, TypeVar

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.html import Attrs, to_text
from tornado_ext.forms.messages import ValidationError

T = TypeVar("T")

Validator: TypeAlias = Callable[[T], Awaitable[None] | None]


@dataclass(frozen=True)
class Length:
    """Require a number of characters; codes ``min_length`` and ``max_length``."""

    min_length: int | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        limits = {"min_length": self.min_length, "max_length": self.max_length}
        for name, limit in limits.items():
            if limit is not None and type(limit) is not int:
                raise ConfigurationError(f"{name} must be a whole number, not {limit!r}")
            if limit is not None and limit < 0:
                raise ConfigurationError(f"{name} can't be negative")
        _check_order(**limits)

    def __call__(self, value: str) -> None:
        if self.max_length is not None and len(value) > self.max_length:
            raise ValidationError(code="max_length", params={"limit": self.max_length})
        if self.min_length is not None and len(value) < self.min_length:
            raise ValidationError(code="min_length", params={"limit": self.min_length})

    @property
    def attrs(self) -> Attrs:
        return {"minlength": self.min_length, "maxlength": self.max_length}


@dataclass(frozen=True)
class Range(Generic[T]):
    """Require a value between two others, both included; ``codes`` are those of the two errors."""

    min_value: T | None = None
    max_value: T | None = None
    codes: tuple[str, str] = ("min_value", "max_value")

    def __post_init__(self) -> None:
        _check_order(min_value=self.min_value, max_value=self.max_value)

    def __call__(self, value: Any) -> None:
        if self.min_value is not None and value < self.min_value:
            raise ValidationError(code=self.codes[0], params={"limit": self.min_value})
        if self.max_value is not None and value > self.max_value:
            raise ValidationError(code=self.codes[1], params={"limit": self.max_value})

    @property
    def attrs(self) -> Attrs:
        attrs = {"min": to_text(self.min_value) or None, "max": to_text(self.max_value) or None}
        # On phones: keys without a minus sign.
        if isinstance(self.min_value, int | float | Decimal) and self.min_value >= 0:
            attrs["inputmode"] = "numeric" if isinstance(self.min_value, int) else "decimal"
        return attrs


# Python's own 28 digits are too few to divide by a small step.
_WIDE = Context(prec=128)


@dataclass(frozen=True)
class Step:
    """Require a multiple of ``step``, counted from ``base``, as HTML does; code ``step``."""

    step: int | Decimal
    base: int | Decimal = 0

    def __post_init__(self) -> None:
        if type(self.step) not in (int, Decimal) or not self.step > 0:
            raise ConfigurationError(f"step must be an int or a Decimal above 0, not {self.step!r}")

    def __call__(self, value: int | Decimal) -> None:
        distance = _WIDE.subtract(Decimal(value), Decimal(self.base))
        if _WIDE.remainder(distance, Decimal(self.step)):
            raise ValidationError(code="step", params={"step": self.step, "base": self.base})

    @property
    def attrs(self) -> Attrs:
        return {"step": str(self.step)}


@dataclass(frozen=True)
class Pattern:
    r"""Require that the whole value matches a regular expression; by default code ``pattern``.

    A string is read as HTML reads it, where ``\w`` and ``\d`` are ASCII, and becomes the control's
    ``pattern``. A compiled one is used as it is, and by the server alone.
    """

    pattern: str | re.Pattern[str]
    code: str = "pattern"
    _match: Callable[[str], object] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            compiled = re.compile(self.pattern, re.ASCII if isinstance(self.pattern, str) else 0)
        except (re.error, TypeError, OverflowError, RecursionError) as exc:
            raise ConfigurationError(
                f"pattern is not a regular expression: {self.pattern!r}: {exc}"
            ) from exc
        if not isinstance(compiled.pattern, str):
            raise ConfigurationError(f"pattern must be for text, not for bytes: {self.pattern!r}")
        # fullmatch: with match, "$" lets a trailing newline pass.
        object.__setattr__(self, "_match", compiled.fullmatch)

    def __call__(self, value: str) -> None:
        if not self._match(value):
            raise ValidationError(code=self.code)

    @property
    def attrs(self) -> Attrs:
        return {"pattern": self.pattern if isinstance(self.pattern, str) else None}


# Possessive, and bounded where one repetition is inside another, so the time is linear.
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
# HTML section 4.10.5.1.5, with a dot required in the domain.
_EMAIL = re.compile(rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]++@{_LABEL}(?:\.{_LABEL})++")
email: Final = Pattern(_EMAIL, code="email")
# The hyphen is escaped: browsers compile patterns with the flag "v", and refuse a bare one.
slug: Final = Pattern(r"[A-Za-z0-9_\-]+", code="slug")

MAX_PORT: Final = 65535
_URL = re.compile(
    r"(?i:https?)://"
    r"(?:([^\s\x00-,/:-@\[-^`{-\x7f]{1,253})|\[([0-9A-Fa-f:.]{2,45})\])"
    r"(?::([0-9]{1,5}))?(?:[/?#]\S*)?"
)


def url(value: str) -> None:
    """Require an absolute address, http or https, without a user's name in it; code ``url``."""
    match = _URL.fullmatch(value)
    try:
        if not match or int(match[3] or 0) > MAX_PORT:
            raise ValueError
        _check_host(match[1], match[2])
    except ValueError:
        raise ValidationError(code="url") from None


def _check_host(name: str | None, ipv6: str | None) -> None:
    if name is None:
        IPv6Address(ipv6 or "")
    elif name.rpartition(".")[2].isdecimal():
        IPv4Address(name)
    else:
        name.encode("idna")  # no empty label, none too long


def _check_order(**limits: Any) -> None:
    (low_name, low), (high_name, high) = limits.items()
    if low is not None and high is not None and low > high:
        raise ConfigurationError(f"{low_name} ({low}) is greater than {high_name} ({high})")
