"""Session ids, keys and values as the text that stores keep."""

import hashlib
import json
from typing import Any

from tornado_ext.sessions.errors import SessionCorrupt, SessionValueError

RESERVED = "_session:"  # prefix of the fields that are no keys of the app's
FLASH = RESERVED + "flash:"  # prefix of those that hold a flash message each
NOTE = RESERVED + "note"  # holds what login() noted

# Made once: json.dumps() with arguments makes another at each call.
_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_from_json = json.JSONDecoder().raw_decode


def key_of(session_id: str) -> str:
    """Return the key under which a store keeps ``session_id``: its SHA-256, in hexadecimal."""
    return hashlib.sha256(session_id.encode()).hexdigest()


def check_text(what: str, text: object) -> None:
    """Refuse what can't be stored as text: no string, or one with half a surrogate pair."""
    if not isinstance(text, str):
        raise SessionValueError(f"{what} must be a string, not {text!r}")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise SessionValueError(f"{what} is no text: {text!r}") from exc


def encode(key: str, value: Any) -> str:
    """Return the JSON text of ``session[key]``, or raise `SessionValueError`."""
    if type(value) is int:  # json makes an encoder for it at each call
        return str(value)
    try:
        return _to_json(value)
    except (TypeError, ValueError, RecursionError) as exc:
        raise SessionValueError(
            f"session[{key!r}] holds a {type(value).__name__} that is no JSON: {exc}"
        ) from exc


def decode(fields: dict[str, str]) -> dict[str, Any]:
    """Return the values of a record's fields, or raise `SessionCorrupt`."""
    try:
        text = f"[{','.join(fields.values())}]"
        values, end = _from_json(text)
        if end < len(text):
            raise ValueError(f"there is more after {end} characters")
        return dict(zip(fields, values, strict=True))
    except (ValueError, RecursionError) as exc:
        raise SessionCorrupt(f"a session's record can't be decoded: {exc}") from exc
