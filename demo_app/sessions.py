"""Sessions in SQLite: the example of a session store of one's own.

Each change is one statement, so that no two requests can come between its parts. The fields of a
session are one JSON object, and ``json_patch`` (RFC 7396) changes only those that are named.
"""

import json
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from demo_app.sqlite import FileTimeout, FileUnavailable, SQLiteFile
from tornado_ext.sessions import Record, SessionStore, StoreTimeout, StoreUnavailable

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    key TEXT PRIMARY KEY,
    fields TEXT NOT NULL,
    created_at REAL NOT NULL,
    seen_at REAL NOT NULL,
    user_id TEXT,
    replaced INTEGER NOT NULL DEFAULT 0,
    expires_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires_at);
"""
LOAD = """
SELECT replaced, fields, created_at, seen_at, user_id FROM sessions
WHERE key = ? AND expires_at > ?
"""
CREATE = """
INSERT INTO sessions (key, fields, created_at, seen_at, user_id, expires_at)
VALUES (?, ?, ?, ?, ?, ?)
"""
SAVE = """
UPDATE sessions SET fields = json_patch(fields, ?), seen_at = ?, expires_at = ?
WHERE key = ? AND NOT replaced AND expires_at > ? RETURNING key
"""
REPLACE = """
UPDATE sessions SET replaced = 1, expires_at = ?
WHERE key = ? AND NOT replaced AND expires_at > ?
RETURNING fields, created_at, seen_at, user_id
"""
DELETE = """
DELETE FROM sessions WHERE key = ? AND NOT replaced AND expires_at > ?
RETURNING fields, created_at, seen_at, user_id
"""


class SQLiteStore(SessionStore):
    """Keep sessions in the file at ``path``, where a restart finds them again."""

    def __init__(self, path: Path) -> None:
        self._file = SQLiteFile(path, SCHEMA)

    async def load(self, key: str) -> Record | None:
        for replaced, fields, *rest in await self._fetch(LOAD, key, time.time()):
            return Record(replaced=True) if replaced else Record(json.loads(fields), *rest)
        return None

    async def create(self, key: str, record: Record, ttl: float) -> None:
        now = time.time()
        await self._fetch("DELETE FROM sessions WHERE expires_at <= ?", now)
        fields, times = json.dumps(record.fields), (record.created_at, record.seen_at)
        await self._fetch(CREATE, key, fields, *times, record.user_id, now + ttl)

    async def save(
        self,
        key: str,
        changed: Mapping[str, str],
        deleted: Collection[str],
        *,
        seen_at: float,
        ttl: float,
    ) -> bool:
        patch = json.dumps({**dict.fromkeys(deleted), **changed})  # null takes a field away
        now = time.time()
        return bool(await self._fetch(SAVE, patch, seen_at, now + ttl, key, now))

    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        now = time.time()
        if replaced_for:
            ended = await self._fetch(REPLACE, now + replaced_for, key, now)
        else:
            ended = await self._fetch(DELETE, key, now)
        for fields, *rest in ended:
            return Record(json.loads(fields), *rest)
        return await self.load(key)

    async def close(self) -> None:
        await self._file.close()

    async def _fetch(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        try:
            return await self._file.fetch(sql, *parameters)
        except FileUnavailable as exc:
            kind = StoreTimeout if isinstance(exc, FileTimeout) else StoreUnavailable
            raise kind(str(exc)) from exc
