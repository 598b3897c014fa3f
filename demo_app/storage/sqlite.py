"""The storage in one SQLite file: what ``python -m demo_app`` uses."""

import sqlite3
import time
from pathlib import Path

from demo_app.sqlite import SQLiteFile
from demo_app.storage.base import LOBBY, Message, NameTaken, Room, Storage, User, user_key

LATEST = 2**63 - 1  # no id is as high

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
    key TEXT NOT NULL,
    text TEXT NOT NULL,
    sent_at REAL NOT NULL,
    PRIMARY KEY (room, id),
    UNIQUE (author_id, key)
);
CREATE TRIGGER IF NOT EXISTS counted AFTER INSERT ON messages BEGIN
    UPDATE rooms SET last_id = new.id, last_at = new.sent_at WHERE name = new.room;
END;
"""
MESSAGES = """
SELECT m.id, author_id, u.name, text, sent_at, key
FROM messages m JOIN users u ON u.id = author_id
"""


class SQLiteStorage(Storage):
    """Keep users, rooms and messages in the file at ``path``; each change is one statement."""

    def __init__(self, path: Path) -> None:
        self._file = SQLiteFile(path, SCHEMA)
        self._fetch = self._file.fetch

    async def start(self) -> None:
        await self.add_room(LOBBY)

    async def close(self) -> None:
        await self._file.close()

    async def add_user(self, name: str, password_hash: str) -> User:
        sql = "INSERT INTO users (name, name_key, password_hash) VALUES (?, ?, ?) RETURNING id"
        try:
            [(user_id,)] = await self._fetch(sql, name, user_key(name), password_hash)
        except sqlite3.IntegrityError as exc:
            raise NameTaken(name) from exc
        return User(user_id, name, password_hash)

    async def find_user(self, name: str) -> User | None:
        sql = "SELECT id, name, password_hash FROM users WHERE name_key = ?"
        rows = await self._fetch(sql, user_key(name))
        return User(*rows[0]) if rows else None

    async def set_password(self, user_id: int, password_hash: str) -> None:
        sql = "UPDATE users SET password_hash = ? WHERE id = ?"
        await self._fetch(sql, password_hash, user_id)

    async def add_room(self, name: str) -> None:
        await self._fetch("INSERT OR IGNORE INTO rooms (name) VALUES (?)", name)

    async def has_room(self, name: str) -> bool:
        return bool(await self._fetch("SELECT 1 FROM rooms WHERE name = ?", name))

    async def rooms(self, user_id: int, limit: int = 100) -> list[Room]:
        sql = """SELECT name, user_id IS NOT NULL, coalesce(last_id - last_read, 0)
                 FROM rooms LEFT JOIN members ON room = name AND user_id = ?
                 ORDER BY user_id IS NULL, last_at DESC, name LIMIT ?"""
        rows = await self._fetch(sql, user_id, limit)
        return [Room(name, bool(joined), unread) for name, joined, unread in rows]

    async def join_room(self, room: str, user_id: int) -> None:
        sql = "INSERT OR IGNORE INTO members SELECT name, ?, last_id FROM rooms WHERE name = ?"
        await self._fetch(sql, user_id, room)

    async def leave_room(self, room: str, user_id: int) -> None:
        await self._fetch("DELETE FROM members WHERE room = ? AND user_id = ?", room, user_id)

    async def mark_read(self, room: str, user_id: int, last: int) -> None:
        sql = """UPDATE members SET last_read =
                     max(last_read, min(?, (SELECT last_id FROM rooms WHERE name = room)))
                 WHERE room = ? AND user_id = ?"""
        await self._fetch(sql, last, room, user_id)

    async def add_message(
        self, room: str, author_id: int, author: str, text: str, key: str
    ) -> Message:
        sql = """INSERT INTO messages (room, id, author_id, key, text, sent_at)
                 SELECT name, last_id + 1, ?, ?, ?, ? FROM rooms WHERE name = ?
                 ON CONFLICT (author_id, key) DO NOTHING RETURNING id"""
        now = time.time()
        for (number,) in await self._fetch(sql, author_id, key, text, now, room):
            return Message(number, author_id, author, text, now, key)
        sql = f"{MESSAGES} WHERE author_id = ? AND key = ?"
        [row] = await self._fetch(sql, author_id, key)
        return Message(*row)

    async def messages(
        self, room: str, before: int | None = None, limit: int = 50
    ) -> list[Message]:
        sql = f"{MESSAGES} WHERE room = ? AND m.id < ? ORDER BY m.id DESC LIMIT ?"
        rows = await self._fetch(sql, room, LATEST if before is None else before, limit)
        return [Message(*row) for row in reversed(rows)]

    async def messages_after(self, room: str, last: int, limit: int = 50) -> list[Message]:
        sql = f"{MESSAGES} WHERE room = ? AND m.id > ? ORDER BY m.id LIMIT ?"
        return [Message(*row) for row in await self._fetch(sql, room, last, limit)]
