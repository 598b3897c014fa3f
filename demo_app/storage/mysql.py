"""The storage in MySQL or MariaDB, on either driver of `tornado_ext.mysql`."""

import time

from demo_app.storage.base import LOBBY, Message, NameTaken, PerhapsStored, Storage, User, user_key
from tornado_ext.mysql import ConnectionLost, Database, DuplicateKey, QueryTimeout

START_TIMEOUT = 10  # seconds to create a table

# Names are compared bit by bit: what counts as the same name is decided in Python alone.
SCHEMA = [
    """CREATE TABLE IF NOT EXISTS users (
        id BIGINT PRIMARY KEY AUTO_INCREMENT,
        name VARCHAR(32) NOT NULL,
        name_key VARCHAR(96) COLLATE utf8mb4_bin NOT NULL UNIQUE,
        password_hash VARCHAR(255) NOT NULL
    ) CHARACTER SET utf8mb4""",
    """CREATE TABLE IF NOT EXISTS rooms (
        name VARCHAR(32) COLLATE utf8mb4_bin PRIMARY KEY
    ) CHARACTER SET utf8mb4""",
    """CREATE TABLE IF NOT EXISTS messages (
        id BIGINT PRIMARY KEY AUTO_INCREMENT,
        room VARCHAR(32) COLLATE utf8mb4_bin NOT NULL,
        author_id BIGINT NOT NULL,
        text TEXT NOT NULL,
        sent_at DOUBLE NOT NULL,
        KEY messages_of_room (room, id),
        FOREIGN KEY (room) REFERENCES rooms (name),
        FOREIGN KEY (author_id) REFERENCES users (id)
    ) CHARACTER SET utf8mb4""",
]
MESSAGES = """
SELECT m.id, author_id, u.name AS author, text, sent_at
FROM messages m JOIN users u ON u.id = author_id
"""


class MySQLStorage(Storage):
    """Keep users, rooms and messages in the database ``db``, which is closed with this."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def start(self) -> None:
        for table in SCHEMA:
            await self._db.execute(table, timeout=START_TIMEOUT)
        await self.add_room(LOBBY)

    async def close(self) -> None:
        await self._db.close()

    async def add_user(self, name: str, password_hash: str) -> User:
        sql = "INSERT INTO users (name, name_key, password_hash) VALUES (%s, %s, %s)"
        try:
            result = await self._db.execute(sql, name, user_key(name), password_hash)
        except DuplicateKey as exc:
            raise NameTaken(name) from exc
        return User(result.lastrowid, name, password_hash)

    async def find_user(self, name: str) -> User | None:
        sql = "SELECT id, name, password_hash FROM users WHERE name_key = %s"
        row = await self._db.fetch_one(sql, user_key(name))
        return User(**row) if row else None

    async def add_room(self, name: str) -> None:
        await self._db.execute("INSERT IGNORE INTO rooms (name) VALUES (%s)", name)

    async def has_room(self, name: str) -> bool:
        return await self._db.fetch_value("SELECT 1 FROM rooms WHERE name = %s", name) is not None

    async def rooms(self, limit: int = 100) -> list[str]:
        sql = """SELECT name FROM rooms
                 ORDER BY (SELECT MAX(id) FROM messages WHERE room = name) DESC, name LIMIT %s"""
        return [row.name for row in await self._db.fetch_all(sql, limit)]

    async def add_message(self, room: str, author_id: int, author: str, text: str) -> Message:
        sql = "INSERT INTO messages (room, author_id, text, sent_at) VALUES (%s, %s, %s, %s)"
        now = time.time()
        try:
            result = await self._db.execute(sql, room, author_id, text, now)
        except (ConnectionLost, QueryTimeout) as exc:
            raise PerhapsStored(str(exc)) from exc
        return Message(result.lastrowid, author_id, author, text, now)

    async def messages(self, room: str, limit: int = 50) -> list[Message]:
        sql = f"{MESSAGES} WHERE room = %s ORDER BY m.id DESC LIMIT %s"
        rows = await self._db.fetch_all(sql, room, limit)
        return [Message(**row) for row in reversed(rows)]

    async def messages_after(self, room: str, last: int, limit: int = 50) -> list[Message]:
        sql = f"{MESSAGES} WHERE room = %s AND m.id > %s ORDER BY m.id LIMIT %s"
        return [Message(**row) for row in await self._db.fetch_all(sql, room, last, limit)]
