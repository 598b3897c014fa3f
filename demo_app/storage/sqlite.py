"""The storage in one SQLite file: what ``python -m demo_app`` uses."""

from pathlib import Path
from typing import Any

from demo_app.sqlite import SQLiteFile
from demo_app.storage.base import LOBBY, Storage

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rooms (
    name TEXT PRIMARY KEY,
    last_id INTEGER NOT NULL DEFAULT 0,
    last_at REAL NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS members (
    room TEXT NOT NULL REFERENCES rooms (name),
    user_id INTEGER NOT NULL REFERENCES users (id),
    last_read INTEGER NOT NULL,
    PRIMARY KEY (room, user_id)
);
CREATE TABLE IF NOT EXISTS messages (
    room TEXT NOT NULL REFERENCES rooms (name),
    id INTEGER NOT NULL,
    author_id INTEGER NOT NULL REFERENCES users (id),
    message_key TEXT NOT NULL,
    text TEXT NOT NULL,
    sent_at REAL NOT NULL,
    PRIMARY KEY (room, id),
    UNIQUE (room, author_id, message_key)
);
CREATE TRIGGER IF NOT EXISTS counted AFTER INSERT ON messages BEGIN
    UPDATE rooms SET last_id = new.id, last_at = new.sent_at WHERE name = new.room;
END;
"""


class SQLiteStorage(Storage):
    """Keep users, rooms and messages in the file at ``path``; each change is one statement."""

    def __init__(self, path: Path) -> None:
        self._file = SQLiteFile(path, SCHEMA)

    async def start(self) -> None:
        await self.add_room(LOBBY)

    async def close(self) -> None:
        await self._file.close()

    async def fetch(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        sql = sql.replace("INSERT IGNORE", "INSERT OR IGNORE").replace("%s", "?")
        return await self._file.fetch(sql, *parameters)

    async def insert_message(
        self, room: str, author_id: int, text: str, key: str, sent_at: float
    ) -> int | None:
        sql = """INSERT INTO messages (room, id, author_id, message_key, text, sent_at)
                 SELECT name, last_id + 1, %s, %s, %s, %s FROM rooms WHERE name = %s
                 ON CONFLICT (room, author_id, message_key) DO NOTHING RETURNING id"""
        rows = await self.fetch(sql, author_id, key, text, sent_at, room)
        return rows[0][0] if rows else None
