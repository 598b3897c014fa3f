"""Sessions in SQLite: the example of a session store of one's own.

Each change is one statement, so that no other request can come between its parts.
"""

import json
from pathlib import Path
from time import time

from demo_app.sqlite import SQLiteFile
from tornado_ext import sessions
from tornado_ext.sessions import Change, Limits, Record, SessionInfo

RECORD = "fields, created_at, seen_at, user_id, replaced, ends_at"  # in the order of `Record`
LIVE = "key = ?1 AND expires_at > ?2 AND NOT replaced"
OF_USER = "user_id = ? AND expires_at > ? AND NOT replaced"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, expires_at REAL, {RECORD},
    fence INTEGER DEFAULT 0, leased REAL DEFAULT 0, gone TEXT);
CREATE INDEX IF NOT EXISTS records_by_expiry ON records (expires_at);
CREATE INDEX IF NOT EXISTS records_by_user ON records (user_id);
"""
LOAD = f"SELECT {RECORD} FROM records WHERE key = ? AND expires_at > ?"
LIST = f"SELECT key, {RECORD} FROM records WHERE {OF_USER} ORDER BY seen_at DESC"
CREATE = f"""
INSERT INTO records (key, expires_at, {RECORD}) VALUES (?, ?, ?, ?, ?, ?, 0, ?)
ON CONFLICT DO NOTHING RETURNING key
"""
SAVE = f"""
UPDATE records SET fields = json_patch(fields, ?3), seen_at = ?4, expires_at = ?5, gone =
    (SELECT json_group_array(j.key) FROM json_each(fields) AS j
     WHERE j.key IN (SELECT key FROM json_each(?3) WHERE type = 'null'))
WHERE {LIVE} AND (?6 IS NULL OR fence = ?6 AND leased > ?2) AND
    (SELECT count() <= ?7 AND total(length(CAST(j.key || j.value AS BLOB))) <= ?8
     FROM json_each(json_patch(fields, ?3)) AS j) RETURNING gone
"""
WHY = f"SELECT ?3 IS NULL OR fence = ?3 AND leased > ?2 FROM records WHERE {LIVE}"
DELETE = f"DELETE FROM records WHERE {LIVE} AND ?3 RETURNING {RECORD}"
REPLACE = f"""
UPDATE records SET replaced = 1, expires_at = ?3 WHERE {LIVE}
RETURNING fields, created_at, seen_at, user_id, 0, ends_at
"""
LEASE = f"""
UPDATE records SET fence = fence + 1, leased = ?3 WHERE {LIVE} AND leased <= ?2 RETURNING fence
"""
REVOKE = f"DELETE FROM records WHERE {OF_USER} RETURNING key"


class SQLiteStore(sessions.SessionStore):
    """Keep sessions in the file at ``path``, where a restart finds them again."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self._file = SQLiteFile(path, SCHEMA, sessions.StoreUnavailable, sessions.StoreTimeout)
        self._fetch, self._limits = self._file.fetch, limits or Limits()

    async def load(self, key: str) -> Record | None:
        return await self._record(LOAD, key, time())

    async def create(self, key: str, record: Record, ttl: float) -> None:
        self._limits.check(record.fields)
        row = json.dumps(record.fields), record.created_at, record.seen_at, record.user_id
        await self._fetch("DELETE FROM records WHERE expires_at <= ?", time())
        if not await self._fetch(CREATE, key, time() + ttl, *row, record.ends_at):
            raise sessions.SessionGone("this session was ended before it was stored")

    async def save(self, key: str, change: Change) -> list[str] | None:
        patch = json.dumps({**dict.fromkeys(change.deleted), **change.fields})  # null: delete it
        when = time(), patch, change.seen_at, time() + change.ttl, change.fence
        limits = self._limits.max_keys, self._limits.max_bytes
        for (gone,) in await self._fetch(SAVE, key, *when, *limits):
            return list(json.loads(gone))
        for (leased,) in await self._fetch(WHY, key, time(), change.fence):
            raise self._limits.error() if leased else sessions.LeaseLost("it took too long")
        return None

    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        ended = REPLACE if replaced_for else DELETE
        return await self._record(ended, key, time(), time() + replaced_for) or await self.load(key)

    async def lease(self, key: str, seconds: float) -> int | None:
        fences = await self._fetch(LEASE, key, time(), time() + seconds)
        return fences[0][0] if fences else None

    async def release(self, key: str, fence: int) -> None:
        await self._fetch("UPDATE records SET leased = 0 WHERE key = ? AND fence = ?", key, fence)

    async def sessions_of(self, user_id: str | int) -> list[SessionInfo]:
        rows = await self._fetch(LIST, str(user_id), time())
        return [SessionInfo.of(key, Record(json.loads(text), *rest)) for key, text, *rest in rows]

    async def revoke_user(self, user_id: str | int) -> int:
        return len(await self._fetch(REVOKE, str(user_id), time()))

    async def close(self) -> None:
        await self._file.close()

    async def _record(self, sql: str, *parameters: object) -> Record | None:
        rows = await self._fetch(sql, *parameters)
        return next((Record(json.loads(text), *rest) for text, *rest in rows), None)
