"""Checks of one value, each a callable that also knows the HTML attributes that say the same.

A validator takes a value and raises `ValidationError`, or returns None or an awaitable that does
so. A plain function is one. If it has a mapping ``attrs``, the field's control gets these.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.messages import ValidationError

T = TypeVar("T")

Validator: TypeAlias = Callable[[T], Awaitable[None] | None]
# HTML attributes: True stands for one without a value; None and False leave it out.
Attrs: TypeAlias = Mapping[str, str | int | bool | None]


@dataclass(frozen=True)
class Length:
    """Require a number of characters; codes ``min_length`` and ``max_length``."""

    min_length: int | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        _check_limits("min_length", self.min_length, "max_length", self.max_length)
        if (self.min_length or 0) < 0 or (self.max_length or 0) < 0:
            raise ConfigurationError("min_length and max_length can't be negative")

    def __call__(self, value: str) -> None:
        if self.max_length is not None and len(value) > self.max_length:
            raise ValidationError(code="max_length", params={"limit": self.max_length})
        if self.min_length is not None and len(value) < self.min_length:
            raise ValidationError(code="min_length", params={"limit": self.min_length})

    @property
    def attrs(self) -> Attrs:
        return {"minlength": self.min_length, "maxlength": self.max_length}


@dataclass(frozen=True)
class Range:
    """Require a number between two others, both included; codes ``min_value``, ``max_value``."""

    min_value: int | None = None
    max_value: int | None = None

    def __post_init__(self) -> None:
        _check_limits("min_value", self.min_value, "max_value", self.max_value)

    def __call__(self, value: int) -> None:
        if self.min_value is not None and value < self.min_value:
            raise ValidationError(code="min_value", params={"limit": self.min_value})
        if self.max_value is not None and value > self.max_value:
            raise ValidationError(code="max_value", params={"limit": self.max_value})

    @property
    def attrs(self) -> Attrs:
        return {"min": self.min_value, "max": self.max_value}


@dataclass(frozen=True)
class Pattern:
    r"""Require that the whole value matches a regular expression; code ``pattern``.

    A string is read as HTML reads it, where ``\w`` and ``\d`` are ASCII, and becomes the control's
    ``pattern``. A compiled one is used as it is, and by the server alone.
    """

    pattern: str | re.Pattern[str]
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
            raise ValidationError(code="pattern")

    @property
    def attrs(self) -> Attrs:
        return {"pattern": self.pattern if isinstance(self.pattern, str) else None}


# HTML section 4.10.5.1.5, with a dot required in the domain. Possessive, and bounded where one
# repetition is inside another, so the time is linear.
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_EMAIL = re.compile(rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]++@{_LABEL}(?:\.{_LABEL})++")


def email(value: str) -> None:
    """Require an e-mail address that a browser accepts and that has a dot; code ``email``."""
    if not _EMAIL.fullmatch(value):
        raise ValidationError(code="email")


def _check_limits(low_name: str, low: int | None, high_name: str, high: int | None) -> None:
    for name, limit in ((low_name, low), (high_name, high)):
        if limit is not None and type(limit) is not int:
            raise ConfigurationError(f"{name} must be a whole number, not {limit!r}")
    if low is not None and high is not None and low > high:
        raise ConfigurationError(f"{low_name} ({low}) is greater than {high_name} ({high})")
