"""What a database URL and its options say, checked."""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from ssl import SSLContext, create_default_context
from urllib.parse import parse_qsl, unquote, urlsplit

from tornado_ext.errors import ConfigurationError

DEFAULT_PORT = 3306
MAX_CONNECTIONS = 1000
MAX_SECONDS = 86_400

_FORM = "mysql://user:password@host:3306/database"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is, and who connects to it."""

    scheme: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    tls: SSLContext | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{self.user}@{host}:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes of the pool, in connections, and times, in seconds."""

    min_size: int = 1
    max_size: int = 10
    timeout: float = 30.0
    connect_timeout: float = 0.8  # leaves time for an error page within a second
    acquire_timeout: float = 5.0
    max_idle: float = 300.0
    max_age: float = 3600.0
    slow_query: float = 1.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not name.endswith("size"):
                check_seconds(name, value)
            elif type(value) is not int or not 0 <= value <= MAX_CONNECTIONS:
                raise ConfigurationError(
                    f"{name}={value!r} is not a number of connections from 0 to {MAX_CONNECTIONS}"
                )
        if not self.min_size <= self.max_size != 0:
            raise ConfigurationError(
                f"max_size={self.max_size} is 0 or less than min_size={self.min_size}"
            )


def check_seconds(name: str, value: object) -> None:
    """Raise `ConfigurationError` unless the value is a usable number of seconds."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not 0 < value <= MAX_SECONDS
    ):
        raise ConfigurationError(
            f"{name}={value!r} is not a number of seconds above 0 and up to {MAX_SECONDS}"
        )


def parse(
    url: str, options: Mapping[str, object], schemes: Collection[str]
) -> tuple[Address, Options]:
    """Read ``scheme://user:password@host:port/database?option=value``.

    An option that is also given as an argument is taken from there. Raises `ConfigurationError`,
    never with the password in its message.
    """
    try:
        parts = urlsplit(str(url))  # None has no scheme
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.fragment or "@" in parts.path + parts.query:
        raise ConfigurationError(
            f"the database URL is not like {_FORM}; the port is 1 to 65535, and special characters"
            " in user name and password are percent-encoded (urllib.parse.quote)"
        )
    if parts.scheme not in schemes:
        known = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ConfigurationError(f"the database URL does not start with {known}")
    values = {**_query(parts.query), **options}
    address = Address(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.removeprefix("/")),
        tls=_tls(values.pop("ssl", None)),
    )
    for name in ("host", "user", "database"):
        if not getattr(address, name):
            raise ConfigurationError(f"the database URL has no {name}: it is like {_FORM}")
    return address, _options(values)


def _tls(value: object) -> SSLContext | None:
    """Make the context that checks the server's certificate and name."""
    if value is None or isinstance(value, SSLContext):
        return value
    try:
        return create_default_context(cafile=None if value == "system" else str(value))
    except OSError as exc:
        raise ConfigurationError(
            f"ssl={value!r} is not an ssl.SSLContext, a file of CA certificates, or 'system': {exc}"
        ) from None


def _query(text: str) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in values:
            raise ConfigurationError(f"the database URL has {name} twice")
        values[name] = _number(value)
    return values


def _options(values: Mapping[str, object]) -> Options:
    known = list(Options.__dataclass_fields__)
    for name in values:
        if name not in known:
            raise ConfigurationError(
                f"{name} is not a database option; those are {[*known, 'ssl']}"
            )
    return Options(**values)  # type: ignore[arg-type]  # __post_init__ checks what came


def _number(text: str) -> float | str:
    """Make a number of what can be one; the rest fails the check of its option, with its name."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return text
    return float(text) if "." in text else int(text)
