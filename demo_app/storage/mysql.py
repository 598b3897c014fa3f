"""The storage in MySQL or MariaDB, on either driver of `tornado_ext.mysql`."""

import time

from demo_app.storage.base import LOBBY, Message, NameTaken, Room, Storage, User, user_key
from tornado_ext.mysql import Database, DuplicateKey

START_TIMEOUT = 10  # seconds to create a table
LATEST = 2**63 - 1  # no id is as high

# Names are compared bit by bit: what counts as the same name is decided in Python alone.
SCHEMA = [
    """CREATE TABLE IF NOT EXISTS users (
        id BIGINT PRIMARY KEY AUTO_INCREMENT,
        name VARCHAR(32) NOT NULL,
        name_key VARCHAR(96) COLLATE utf8mb4_bin NOT NULL UNIQUE,
        password_hash VARCHAR(255) NOT NULL
    ) CHARACTER SET utf8mb4""",
    """CREATE TABLE IF NOT EXISTS rooms (
        name VARCHAR(32) COLLATE utf8mb4_bin PRIMARY KEY,
        last_id BIGINT NOT NULL DEFAULT 0,
        last_at DOUBLE NOT NULL DEFAULT 0
    ) CHARACTER SET utf8mb4""",
    """CREATE TABLE IF NOT EXISTS members (
        room VARCHAR(32) COLLATE utf8mb4_bin NOT NULL,
        user_id BIGINT NOT NULL,
        last_read BIGINT NOT NULL,
        PRIMARY KEY (room, user_id),
        FOREIGN KEY (room) REFERENCES rooms (name),
        FOREIGN KEY (user_id) REFERENCES users (id)
    ) CHARACTER SET utf8mb4""",
    """CREATE TABLE IF NOT EXISTS messages (
        room VARCHAR(32) COLLATE utf8mb4_bin NOT NULL,
        id BIGINT NOT NULL,
        author_id BIGINT NOT NULL,
        message_key VARCHAR(40) COLLATE utf8mb4_bin NOT NULL,
        text TEXT NOT NULL,
        sent_at DOUBLE NOT NULL,
        PRIMARY KEY (room, id),
        UNIQUE (author_id, message_key),
        FOREIGN KEY (room) REFERENCES rooms (name),
        FOREIGN KEY (author_id) REFERENCES users (id)
    ) CHARACTER SET utf8mb4""",
]
MESSAGES = """
SELECT m.id, author_id, u.name AS author, text, sent_at, message_key AS `key`
FROM messages m JOIN users u ON u.id = author_id
"""


class MySQLStorage(Storage):
    """Keep users, rooms and messages in the database ``db``, which is closed with this."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def start(self) -> None:
        for table in SCHEMA:
            await self.db.execute(table, timeout=START_TIMEOUT)
        await self.add_room(LOBBY)

    async def close(self) -> None:
        await self.db.close()

    async def add_user(self, name: str, password_hash: str) -> User:
        sql = "INSERT INTO users (name, name_key, password_hash) VALUES (%s, %s, %s)"
        try:
            result = await self.db.execute(sql, name, user_key(name), password_hash)
        except DuplicateKey as exc:
            raise NameTaken(name) from exc
        return User(result.lastrowid, name, password_hash)

    async def find_user(self, name: str) -> User | None:
        sql = "SELECT id, name, password_hash FROM users WHERE name_key = %s"
        row = await self.db.fetch_one(sql, user_key(name))
        return User(**row) if row else None

    async def set_password(self, user_id: int, password_hash: str) -> None:
        sql = "UPDATE users SET password_hash = %s WHERE id = %s"
        await self.db.execute(sql, password_hash, user_id)

    async def add_room(self, name: str) -> None:
        await self.db.execute("INSERT IGNORE INTO rooms (name) VALUES (%s)", name)

    async def has_room(self, name: str) -> bool:
        return await self.db.fetch_value("SELECT 1 FROM rooms WHERE name = %s", name) is not None

    async def rooms(self, user_id: int, limit: int = 100) -> list[Room]:
        sql = """SELECT name, user_id IS NOT NULL AS joined,
                     COALESCE(last_id - last_read, 0) AS unread
                 FROM rooms LEFT JOIN members ON room = name AND user_id = %s
                 ORDER BY user_id IS NULL, last_at DESC, name LIMIT %s"""
        rows = await self.db.fetch_all(sql, user_id, limit)
        return [Room(row.name, bool(row.joined), row.unread) for row in rows]

    async def join_room(self, room: str, user_id: int) -> None:
        sql = "INSERT IGNORE INTO members SELECT name, %s, last_id FROM rooms WHERE name = %s"
        await self.db.execute(sql, user_id, room)

    async def leave_room(self, room: str, user_id: int) -> None:
        await self.db.execute("DELETE FROM members WHERE room = %s AND user_id = %s", room, user_id)

    async def mark_read(self, room: str, user_id: int, last: int) -> None:
        sql = """UPDATE members JOIN rooms ON name = room
                 SET last_read = GREATEST(last_read, LEAST(%s, last_id))
                 WHERE room = %s AND user_id = %s"""
        await self.db.execute(sql, last, room, user_id)

    async def add_message(
        self, room: str, author_id: int, author: str, text: str, key: str
    ) -> Message:
        # The room's row is locked until the end, so that ids become visible in their order.
        count = (
            "UPDATE rooms SET last_id = LAST_INSERT_ID(last_id + 1), last_at = %s WHERE name = %s"
        )
        insert = """INSERT INTO messages (room, id, author_id, message_key, text, sent_at)
                    VALUES (%s, %s, %s, %s, %s, %s)"""
        now = time.time()
        try:
            async with self.db.transaction() as tx:
                number = (await tx.execute(count, now, room)).lastrowid
                await tx.execute(insert, room, number, author_id, key, text, now)
        except DuplicateKey:
            sql = f"{MESSAGES} WHERE author_id = %s AND message_key = %s"
            row = await self.db.fetch_one(sql, author_id, key)
            if row is None:
                raise
            return Message(**row)
        return Message(number, author_id, author, text, now, key)

    async def messages(
        self, room: str, before: int | None = None, limit: int = 50
    ) -> list[Message]:
        sql = f"{MESSAGES} WHERE room = %s AND m.id < %s ORDER BY m.id DESC LIMIT %s"
        rows = await self.db.fetch_all(sql, room, LATEST if before is None else before, limit)
        return [Message(**row) for row in reversed(rows)]

    async def messages_after(self, room: str, last: int, limit: int = 50) -> list[Message]:
        sql = f"{MESSAGES} WHERE room = %s AND m.id > %s ORDER BY m.id LIMIT %s"
        return [Message(**row) for row in await self.db.fetch_all(sql, room, last, limit)]
