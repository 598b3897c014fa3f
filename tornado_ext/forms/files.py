"""Uploaded files: their names, sizes, numbers and kinds."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

from tornado.httputil import HTTPFile

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import widgets
from tornado_ext.forms.fields import Field, T
from tornado_ext.forms.html import Attrs
from tornado_ext.forms.messages import ValidationError
from tornado_ext.forms.submission import Submission
from tornado_ext.forms.validators import Validator

MEGABYTE: Final = 1024 * 1024  # bytes
MAX_NAME: Final = 200  # bytes in UTF-8; file systems take 255
_MAX_EXTENSION: Final = 16  # characters that are kept when a name is cut

# What Windows can't have in a name, what can't be written, what can't be seen.
_UNSAFE = re.compile(
    '[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"|?*\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+'
)


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """Hold a file that was sent: ``body`` in memory, ``name`` without path and odd characters.

    Neither ``name`` nor ``content_type`` proves anything: both are what the client says. Store a
    file under a name of your own.
    """

    name: str
    content_type: str
    body: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.body)


def safe_name(sent: str) -> str:
    """Return the last part of a path, with _ for what is unsafe, cut to 200 bytes; or "file".

    It is no option of a command: it does not start with a hyphen. A shell may read more into it.
    """
    name = _UNSAFE.sub("_", sent.replace("\\", "/").rpartition("/")[2]).strip(". ").lstrip("-. ")
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > _MAX_EXTENSION:
        stem, dot, extension = name, "", ""
    room = MAX_NAME - len(f"{dot}{extension}".encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + extension or "file"


@dataclass(frozen=True)
class FileLimits:
    """Limit files in size (bytes), number and kind.

    Codes ``empty_file``, ``file_size``, ``total_size``, ``max_files``, ``file_type``.
    """

    max_size: int
    extensions: Sequence[str]
    content_types: Sequence[str]
    max_files: int = 1
    max_total: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_size", "max_files", "max_total"):
            limit = getattr(self, name)
            if limit is not None and (type(limit) is not int or limit < 1):
                raise ConfigurationError(f"{name} must be a whole number above 0, not {limit!r}")
        for name in ("extensions", "content_types"):
            given = getattr(self, name)
            if isinstance(given, str) or not all(isinstance(each, str) for each in given):
                raise ConfigurationError(f"{name} must be a list of texts, not {given!r}")
        extensions = tuple(f".{each.lower().removeprefix('.')}" for each in self.extensions)
        object.__setattr__(self, "extensions", extensions)
        content_types = tuple(each.lower() for each in self.content_types)
        object.__setattr__(self, "content_types", content_types)

    def __call__(self, value: UploadedFile | tuple[UploadedFile, ...]) -> None:
        files = value if isinstance(value, tuple) else (value,)
        if len(files) > self.max_files:
            raise ValidationError(code="max_files", params={"limit": self.max_files})
        for file in files:
            self._check(file)
        if self.max_total is not None and sum(file.size for file in files) > self.max_total:
            raise ValidationError(code="total_size", params={"limit": _readable(self.max_total)})

    def _check(self, file: UploadedFile) -> None:
        params: dict[str, object] = {"limit": _readable(self.max_size)}
        if not file.size:
            code = "empty_file"
        elif file.size > self.max_size:
            code = "file_size"
        elif not self._is_allowed(file):
            code = "file_type"
            params["allowed"] = ", ".join((*self.extensions, *self.content_types))
        else:
            return
        raise ValidationError(code=code, params={**params, "name": file.name})

    def _is_allowed(self, file: UploadedFile) -> bool:
        kind = file.content_type.partition(";")[0].strip().lower()
        group = f"{kind.partition('/')[0]}/*"
        return (not self.extensions or file.name.lower().endswith(tuple(self.extensions))) and (
            not self.content_types or kind in self.content_types or group in self.content_types
        )

    @property
    def attrs(self) -> Attrs:
        accepted = ",".join((*self.extensions, *self.content_types))
        return {"accept": accepted or None, "multiple": self.max_files > 1}


class UploadField(Field[T]):
    """Take files: base of the fields that take one or several. 10 MB are allowed for each.

    ``extensions``, such as "png", and ``content_types``, such as "image/png" or "image/*": if both
    are given, both must fit. A file of 0 bytes is refused.
    """

    many: ClassVar[bool] = True
    is_file: ClassVar[bool] = True

    max_size: int = 10 * MEGABYTE
    extensions: Sequence[str] = ()
    content_types: Sequence[str] = ()
    widget: widgets.Widget = widgets.FILE

    def files(self, submission: Submission, name: str) -> tuple[UploadedFile, ...]:
        """Return what was sent; of a form that is not multipart/form-data that is only a name."""
        sent: list[Any] = [each for each in submission.values_of(name) if each not in ("", None)]
        if not all(isinstance(each, HTTPFile) for each in sent):
            raise ValidationError(code="file")
        return tuple(
            UploadedFile(safe_name(each.filename), each.content_type, each.body) for each in sent
        )


class FileField(UploadField[UploadedFile]):
    """Take one file."""

    def read(self, submission: Submission, name: str) -> UploadedFile:
        files = self.files(submission, name)
        if len(files) > 1:
            raise ValidationError(code="repeated")
        return files[0] if files else cast(UploadedFile, self.empty)

    def own_rules(self) -> Iterable[Validator[Any]]:
        yield FileLimits(self.max_size, self.extensions, self.content_types)


class MultipleFileField(UploadField[tuple[UploadedFile, ...]]):
    """Take several files, as a tuple; each is checked, and all of them together."""

    empty: ClassVar[object] = ()

    max_files: int = 10
    max_total: int | None = None  # bytes

    def read(self, submission: Submission, name: str) -> tuple[UploadedFile, ...]:
        return self.files(submission, name)

    def own_rules(self) -> Iterable[Validator[Any]]:
        yield FileLimits(
            self.max_size, self.extensions, self.content_types, self.max_files, self.max_total
        )


def _readable(size: int) -> str:
    """Return a number of bytes as a person would say it."""
    if size < MEGABYTE:
        return f"{size / 1024:.3g} kB" if size >= 1024 else f"{size} B"
    return f"{size / MEGABYTE:.3g} MB"
