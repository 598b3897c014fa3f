"""Every field: what passes, and each way to be wrong. ``python -m tests.forms.matrix`` prints it.

The page docs/forms-matrix.md is made of it, and a test runs each case.
"""

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from tornado.httputil import HTTPFile

from tornado_ext import forms
from tornado_ext.forms import Field, Form, UploadedFile
from tornado_ext.forms.submission import Submission


class Color(enum.Enum):
    RED = "r"
    DARK_GREEN = "g"


@dataclass(frozen=True)
class Json:
    """A value that came as JSON; everything else came as a form."""

    value: object


@dataclass(frozen=True)
class Case:
    field: str  # Python, as the page shows it
    sent: object
    expected: object  # the value, or the code of the error
    valid: bool

    @property
    def id(self) -> str:
        return f"{self.field} {shown(self.sent)}"

    async def outcome(self) -> tuple[bool, object]:
        """Return whether a form takes what was sent, and the value or the code."""
        field: Field[Any] = eval(self.field, {**vars(forms), **globals()})
        form = make(field, self.sent)
        if await form.is_valid():
            return True, form.cleaned_data["x"]
        assert form.render().encode()
        (message,) = form.errors["x"]
        return False, message.code


def field(source: str) -> Field[Any]:
    """Return the field that a line of Python makes."""
    made: Field[Any] = eval(source, {**vars(forms), **globals()})
    return made


def make(field: Field[Any], sent: object) -> Form:
    """Return a form of one field ``x`` to which ``sent`` was sent."""
    form = type("OneField", (Form,), {"x": field})
    if isinstance(sent, Json):
        return form(Submission({"x": sent.value}, typed=True))
    values = sent if isinstance(sent, list) else [sent]
    return form({"x": [each.encode() if isinstance(each, str) else each for each in values]})


def file(name: str, body: bytes = b"x", kind: str = "image/png") -> HTTPFile:
    return HTTPFile(filename=name, body=body, content_type=kind)


def uploaded(name: str, body: bytes = b"x", kind: str = "image/png") -> UploadedFile:
    return UploadedFile(name, kind, body)


PNG = "FileField(max_size=5, extensions=['png'], content_types=['image/*'])"
FILES = "MultipleFileField(max_size=5, max_total=8, max_files=3, extensions=['png'])"
LETTERS = "[('r', 'Red'), ('g', 'Green')]"
NUMBERS = "[(1, 'Small'), (2, 'Large')]"
ID = "12345678-1234-5678-1234-567812345678"

# A field, what passes and what comes of it, what does not and its code.
TABLE: list[tuple[str, list[tuple[object, object]], list[tuple[object, str]]]] = [
    (
        "StringField(min_length=3, max_length=5, pattern='[a-z]+')",
        [("ann", "ann"), (" ann ", "ann"), (Json("ann"), "ann")],
        [
            ("", "required"), ("   ", "required"), ("ab", "min_length"), ("abcdef", "max_length"),
            ("Ann", "pattern"), ("ann\n", "control"), ("a\0nn", "control"), (b"\xff", "invalid"),
            (["a", "b"], "repeated"), (Json(123), "invalid"), (Json(None), "required"),
            (file("a.png"), "invalid"),
        ],
    ),
    (
        "TextField(max_length=5)",
        [("a\r\nb", "a\nb"), ("a\tb", "a\tb"), (" a\nb ", "a\nb"), (Json("a\nb"), "a\nb")],
        [
            ("", "required"), ("abcdef", "max_length"), ("a\0b", "control"), (b"\xff", "invalid"),
            (["a", "b"], "repeated"), (Json(1), "invalid"),
        ],
    ),
    (
        "PasswordField(min_length=3)",
        [(" x y ", " x y "), (Json("correct"), "correct")],
        [
            ("", "required"), ("ab", "min_length"), ("x" * 1025, "max_length"),
            ("a\nbc", "control"), (b"\xff", "invalid"), (["abc", "abc"], "repeated"),
            (Json(1234), "invalid"),
        ],
    ),
    (
        "HiddenField()",
        [("token", "token")],
        [("", "required"), ("a\nb", "control"), (["a", "b"], "repeated"), (Json(1), "invalid")],
    ),
    (
        "EmailField()",
        [("ann@example.com", "ann@example.com"), (" a.b+c@x.example.org ", "a.b+c@x.example.org")],
        [
            ("", "required"), ("ann", "email"), ("ann@example", "email"), ("a b@x.org", "email"),
            ("ann@example.com\n", "control"), ("a" * 243 + "@example.com", "max_length"),
            (b"\xff@x.org", "invalid"), (["a@x.org", "b@x.org"], "repeated"), (Json(1), "invalid"),
        ],
    ),
    (
        "URLField()",
        [
            ("https://example.com/a?b#c", "https://example.com/a?b#c"),
            ("http://localhost:8888", "http://localhost:8888"),
            ("http://[::1]/", "http://[::1]/"), ("https://例え.jp/", "https://例え.jp/"),
        ],
        [
            ("", "required"), ("example.com", "url"), ("javascript:alert(1)", "url"),
            ("https://", "url"), ("https://a..b/", "url"), ("https://ann:pw@example.com/", "url"),
            ("http://1.2.3.400/", "url"), ("http://[::g]/", "url"), ("http://a:65536/", "url"),
            ("http://a/b c", "url"), ("http://a/\n", "control"),
            ("http://a/" + "b" * 2048, "max_length"), (["http://a", "http://b"], "repeated"),
            (Json(1), "invalid"),
        ],
    ),
    (
        "SlugField()",
        [("my-page_2", "my-page_2")],
        [
            ("", "required"), ("my page", "slug"), ("é", "slug"), ("a" * 51, "max_length"),
            ("a\n", "control"), (["a", "b"], "repeated"), (Json(1), "invalid"),
        ],
    ),
    (
        "UUIDField()",
        [(ID, UUID(ID)), (Json(ID), UUID(ID))],
        [
            ("", "required"), (ID[:-1], "uuid"), (f"{{{ID}}}", "uuid"),
            (ID.replace("-", ""), "uuid"), (f"{ID}\0", "uuid"), (b"\xff", "invalid"),
            ([ID, ID], "repeated"), (Json(1), "uuid"),
        ],
    ),
    (
        "IPAddressField()",
        [("192.0.2.1", "192.0.2.1"), ("2001:DB8:0:0::1", "2001:db8::1")],
        [
            ("", "required"), ("192.0.2.256", "ip"), ("192.0.2.01", "ip"), ("fe80::1%eth0", "ip"),
            ("1" * 100, "ip"), (["::1", "::1"], "repeated"), (Json(1), "ip"),
        ],
    ),
    (
        "IntegerField(min_value=0, max_value=30, step=5)",
        [("25", 25), (" +5 ", 5), (Json(0), 0)],
        [
            ("", "required"), ("4x", "integer"), ("4.0", "integer"), ("٣", "integer"),
            ("1_000", "integer"), ("NaN", "integer"), ("-5", "min_value"), ("35", "max_value"),
            ("7", "step"), (str(2**63), "too_large"), ("9" * 5000, "too_large"),
            ("1\0", "integer"), (b"\xff", "invalid"), (["1", "1"], "repeated"),
            (Json("5"), "integer"), (Json(5.0), "integer"), (Json(True), "integer"),
            (Json(10**5000), "too_large"),
        ],
    ),
    (
        "FloatField(min_value=-1.5, max_value=1e9)",
        [("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), (Json(1), 1.0), (Json(-1.5), -1.5)],
        [
            ("", "required"), ("1,5", "number"), ("NaN", "number"), ("inf", "number"),
            ("0x1p3", "number"), ("-1.6", "min_value"), ("1e10", "max_value"),
            ("1e999", "too_large"), ("9" * 5000, "too_large"), (["1", "1"], "repeated"),
            (Json("1.5"), "number"), (Json(math.nan), "number"), (Json(math.inf), "too_large"),
            (Json(10**5000), "too_large"), (Json(True), "number"),
        ],
    ),
    (
        "DecimalField(min_value=Decimal('0'), max_value=Decimal('100'), step=Decimal('0.01'))",
        [
            ("19.90", Decimal("19.90")), ("1e1", Decimal("1e1")), (Json("0.10"), Decimal("0.10")),
            (Json(0.1), Decimal("0.1")), (Json(5), Decimal(5)),
        ],
        [
            ("", "required"), ("1,50", "number"), ("NaN", "number"), ("Infinity", "number"),
            ("-0.01", "min_value"), ("100.01", "max_value"), ("0.005", "step"),
            ("1e28", "digits"), ("1e-999", "digits"), ("0." + "1" * 29, "digits"),
            ("9" * 5000, "digits"), (["1", "1"], "repeated"), (Json(True), "number"),
            (Json(math.nan), "number"), (Json(10**5000), "digits"),
        ],
    ),
    (
        "BooleanField()",
        [("on", True), ("True", True), ("1", True), (Json(True), True)],
        [
            ("", "required"), ("off", "required"), ("maybe", "boolean"), ("on\n", "boolean"),
            (["on", "on"], "repeated"), (Json(False), "required"), (Json("on"), "boolean"),
            (Json(1), "boolean"),
        ],
    ),
    (
        f"ChoiceField(choices={LETTERS})",
        [("g", "g"), (Json("g"), "g")],
        [
            ("", "required"), ("x", "choice"), ("Green", "choice"), (" g", "choice"),
            ("g\n", "choice"), (b"\xff", "invalid"), (["r", "g"], "repeated"), (Json(1), "choice"),
        ],
    ),
    (
        f"ChoiceField(choices={NUMBERS}, widget=Radios())",
        [("2", 2), (Json(2), 2)],
        [
            ("", "required"), ("3", "choice"), ("02", "choice"), (["1", "2"], "repeated"),
            (Json("2"), "choice"), (Json(2.0), "choice"), (Json(True), "choice"),
        ],
    ),
    (
        "ChoiceField(choices=Color)",
        [("r", Color.RED), (Json("g"), Color.DARK_GREEN)],
        [("", "required"), ("RED", "choice"), ("Color.RED", "choice"), (Json(1), "choice")],
    ),
    (
        f"MultipleChoiceField(choices={NUMBERS})",
        [("2", (2,)), (["1", "2"], (1, 2)), (["2", "2"], (2,)), (Json([2]), (2,))],
        [
            ("", "required"), ([], "required"), (["1", "3"], "choice"), (["1", "2", "1"], "choice"),
            (["1", b"\xff"], "invalid"), (Json(2), "invalid"), (Json(["2"]), "choice"),
            (Json([[2]]), "choice"),
        ],
    ),
    (
        "DateField(min_value=date(2000, 1, 1), max_value=date(2030, 12, 31))",
        [("2024-02-29", date(2024, 2, 29)), (Json("2024-02-29"), date(2024, 2, 29))],
        [
            ("", "required"), ("2023-02-29", "date"), ("2024-13-01", "date"), ("20240229", "date"),
            ("2024-W09-4", "date"), ("29.02.2024", "date"), ("0000-01-01", "date"),
            ("1999-12-31", "earliest"), ("2031-01-01", "latest"),
            (["2024-01-01", "2024-01-01"], "repeated"), (Json(20240229), "date"),
        ],
    ),
    (
        "TimeField(min_value=time(8), max_value=time(18))",
        [("08:30", time(8, 30)), ("08:30:15.5", time(8, 30, 15, 500000))],
        [
            ("", "required"), ("24:00", "time"), ("8:30", "time"), ("08:60", "time"),
            ("08:30Z", "time"), ("07:59", "earliest"), ("18:01", "latest"),
            (["09:00", "09:00"], "repeated"), (Json(9), "time"),
        ],
    ),
    (
        "DateTimeField(min_value=datetime(2000, 1, 1))",
        [
            ("2024-02-29T08:30", datetime(2024, 2, 29, 8, 30)),
            ("2024-02-29 08:30:15", datetime(2024, 2, 29, 8, 30, 15)),
        ],
        [
            ("", "required"), ("2024-02-29", "datetime"), ("2023-02-29T08:30", "datetime"),
            ("2024-02-29T24:00", "datetime"), ("2024-02-29T08:30+01:00", "datetime"),
            ("1999-12-31T23:59", "earliest"), (["2024-02-29T08:30"] * 2, "repeated"),
            (Json(0), "datetime"),
        ],
    ),
    (
        "JSONField(max_length=20)",
        [
            ('{"a": [1, null]}', {"a": [1, None]}), ("0", 0), ('""', ""),
            (Json({"a": 1}), {"a": 1}), (Json([]), []), (Json(False), False),
        ],
        [
            ("", "required"), ("null", "required"), ("{", "json_text"), ("NaN", "json_text"),
            ('{"a":1,"a":2}', "json_text"), (r'"\ud800"', "json_text"), ("[" * 19, "json_text"),
            ('"aaaaaaaaaaaaaaaaaaaa"', "max_length"), (b"\xff", "invalid"),
            (["1", "1"], "repeated"), (Json(None), "required"), (Json("\ud800"), "json_text"),
            (Json(math.nan), "json_text"), (Json(["aaaaaaaaaaaaaaaaaaaa"]), "max_length"),
        ],
    ),
    (
        PNG,
        [
            (file("a.png"), uploaded("a.png")), (file("A.PNG"), uploaded("A.PNG")),
            (file("../../x.png"), uploaded("x.png")), (file("C:\\a\\b.png"), uploaded("b.png")),
            (file("a.php\0.png"), uploaded("a.php_.png")),
        ],
        [
            ("", "required"), ([], "required"), ("a.png", "file"), (b"\xff", "invalid"),
            (file("a.png", b""), "empty_file"), (file("a.png", b"123456"), "file_size"),
            (file("a.png.exe"), "file_type"), (file("png"), "file_type"),
            (file("a.png", kind="text/html"), "file_type"),
            ([file("a.png"), file("b.png")], "repeated"), (Json("a.png"), "invalid"),
        ],
    ),
    (
        FILES,
        [
            (file("a.png"), (uploaded("a.png"),)),
            ([file("a.png"), file("b.png")], (uploaded("a.png"), uploaded("b.png"))),
        ],
        [
            ("", "required"), ([], "required"), ([file("a.png"), "b.png"], "file"),
            ([file("a.png"), file("b.exe")], "file_type"),
            ([file("b.exe"), file("a.png")], "file_type"),
            ([file("a.png"), file("b.png", b"")], "empty_file"),
            ([file("a.png"), file("b.png", b"123456")], "file_size"),
            ([file("a.png", b"12345"), file("b.png", b"12345")], "total_size"),
            ([file("a.png")] * 4, "max_files"), (Json(["a.png"]), "file"),
        ],
    ),
]  # fmt: skip


def cases() -> Iterator[Case]:
    for field, good, bad in TABLE:
        for sent, value in good:
            yield Case(field, sent, value, valid=True)
        for sent, code in bad:
            yield Case(field, sent, code, valid=False)


def shown(sent: object) -> str:
    """Return what was sent, short enough for a table."""
    if isinstance(sent, Json):
        return f"JSON {shown(sent.value)}"
    if isinstance(sent, list):
        return " and ".join(map(shown, sent)) or "nothing"
    if isinstance(sent, HTTPFile):
        return f"file {sent.filename!r} of {len(sent.body)} bytes, {sent.content_type}"
    if isinstance(sent, int) and sent > 10**50:
        return "10**5000"
    text = repr(sent)
    return text if len(text) <= 50 else f"{text[:20]}… ({len(text)} characters)"


def page() -> str:
    """Return docs/forms-matrix.md."""
    lines = [
        "# Every field, and each way to be wrong\n",
        "Each line was run by the tests, through a form with that one field. What stands after",
        '"JSON" came as a JSON value, everything else as text of a form. Made by',
        "`python -m tests.forms.matrix > docs/forms-matrix.md`.",
    ]
    for field, good, bad in TABLE:
        lines += [f"\n## {field.partition('(')[0]}\n", f"`{field}`\n"]
        lines += ["| sent | value, or code of the error |", "|---|---|"]
        lines += [f"| {_code(shown(sent))} | {_code(repr(value))} |" for sent, value in good]
        lines += [f"| {_code(shown(sent))} | {code} |" for sent, code in bad]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
