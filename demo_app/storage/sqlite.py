"""The storage in one SQLite file: what ``python -m demo_app`` uses."""

import sqlite3
import time
from pathlib import Path

from demo_app.sqlite import FileTimeout, SQLiteFile
from demo_app.storage.base import LOBBY, Message, NameTaken, PerhapsStored, Storage, User, user_key

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rooms (
    name TEXT PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    room TEXT NOT NULL REFERENCES rooms (name),
    author_id INTEGER NOT NULL REFERENCES users (id),
    text TEXT NOT NULL,
    sent_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_of_room ON messages (room, id);
"""
MESSAGES = """
SELECT m.id, author_id, u.name, text, sent_at
FROM messages m JOIN users u ON u.id = author_id
"""


class SQLiteStorage(Storage):
    """Keep users, rooms and messages in the file at ``path``."""

    def __init__(self, path: Path) -> None:
        self._file = SQLiteFile(path, SCHEMA)

    async def start(self) -> None:
        await self.add_room(LOBBY)

    async def close(self) -> None:
        await self._file.close()

    async def add_user(self, name: str, password_hash: str) -> User:
        sql = "INSERT INTO users (name, name_key, password_hash) VALUES (?, ?, ?) RETURNING id"
        try:
            [(user_id,)] = await self._file.fetch(sql, name, user_key(name), password_hash)
        except sqlite3.IntegrityError as exc:
            raise NameTaken(name) from exc
        return User(user_id, name, password_hash)

    async def find_user(self, name: str) -> User | None:
        sql = "SELECT id, name, password_hash FROM users WHERE name_key = ?"
        rows = await self._file.fetch(sql, user_key(name))
        return User(*rows[0]) if rows else None

    async def add_room(self, name: str) -> None:
        await self._file.fetch("INSERT OR IGNORE INTO rooms (name) VALUES (?)", name)

    async def has_room(self, name: str) -> bool:
        return bool(await self._file.fetch("SELECT 1 FROM rooms WHERE name = ?", name))

    async def rooms(self, limit: int = 100) -> list[str]:
        sql = """SELECT name FROM rooms
                 ORDER BY (SELECT MAX(id) FROM messages WHERE room = name) DESC, name LIMIT ?"""
        return [name for (name,) in await self._file.fetch(sql, limit)]

    async def add_message(self, room: str, author_id: int, author: str, text: str) -> Message:
        sql = """INSERT INTO messages (room, author_id, text, sent_at) VALUES (?, ?, ?, ?)
                 RETURNING id"""
        now = time.time()
        try:
            [(message_id,)] = await self._file.fetch(sql, room, author_id, text, now)
        except FileTimeout as exc:
            raise PerhapsStored(str(exc)) from exc
        return Message(message_id, author_id, author, text, now)

    async def messages(self, room: str, limit: int = 50) -> list[Message]:
        sql = f"{MESSAGES} WHERE room = ? ORDER BY m.id DESC LIMIT ?"
        rows = await self._file.fetch(sql, room, limit)
        return [Message(*row) for row in reversed(rows)]

    async def messages_after(self, room: str, last: int, limit: int = 50) -> list[Message]:
        sql = f"{MESSAGES} WHERE room = ? AND m.id > ? ORDER BY m.id LIMIT ?"
        return [Message(*row) for row in await self._file.fetch(sql, room, last, limit)]
