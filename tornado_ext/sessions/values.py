"""A mapping of JSON values that knows what changed."""

from collections.abc import Iterator, MutableMapping
from typing import Any

from tornado_ext.sessions.codec import RESERVED, check_text, decode, encode
from tornado_ext.sessions.errors import SessionValueError


class Values(MutableMapping[str, Any]):
    """A mapping from strings to JSON values; changes inside a list or a dict are noticed."""

    def _hold(self, texts: dict[str, str]) -> None:
        """Take on what is stored, and forget every change."""
        self._values = decode(texts) if texts else {}
        self._texts = texts
        self._suspects: set[str] = set()  # keys whose value may differ from its stored text

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        if isinstance(value, (list, dict)):
            self._suspects.add(key)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        check_text("a session's key", key)
        if key.startswith(RESERVED):
            raise SessionValueError(f"session[{key!r}]: keys in {RESERVED!r} are its own")
        self._set(key, value)

    def _set(self, key: str, value: Any) -> None:
        self._values[key] = value
        self._suspects.add(key)

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._suspects.add(key)

    def __iter__(self) -> Iterator[str]:
        return iter([key for key in self._values if not key.startswith(RESERVED)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def clear(self) -> None:
        """Delete every key; flash messages stay, and so does the session."""
        for key in self:
            del self[key]

    def _changes(self) -> tuple[dict[str, str], list[str]]:
        """Return what would be stored, as JSON text by key, and the keys to delete."""
        if not self._suspects:
            return {}, []
        changed = {}
        for key in self._suspects & self._values.keys():
            text = encode(key, self._values[key])
            if text != self._texts.get(key):
                changed[key] = text
        return changed, [key for key in self._suspects - self._values.keys() if key in self._texts]
