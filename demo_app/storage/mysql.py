"""The storage in MySQL or MariaDB, on either driver of `tornado_ext.mysql`."""

from typing import Any

from demo_app.storage.base import LOBBY, Storage
from tornado_ext.mysql import Database, DuplicateKey

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
        UNIQUE (room, author_id, message_key),
        FOREIGN KEY (room) REFERENCES rooms (name),
        FOREIGN KEY (author_id) REFERENCES users (id)
    ) CHARACTER SET utf8mb4""",
]

# The first locks the room's row until the end, so that ids become visible in their order.
NUMBER = "UPDATE rooms SET last_id = LAST_INSERT_ID(last_id + 1), last_at = %s WHERE name = %s"
INSERT = """
INSERT INTO messages (room, id, author_id, message_key, text, sent_at)
VALUES (%s, %s, %s, %s, %s, %s)
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

    async def fetch(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in await self.db.fetch_all(sql, *parameters)]

    async def insert_message(
        self, room: str, author_id: int, text: str, key: str, sent_at: float
    ) -> int | None:
        try:
            async with self.db.transaction() as tx:
                number = (await tx.execute(NUMBER, sent_at, room)).lastrowid
                await tx.execute(INSERT, room, number, author_id, key, text, sent_at)
        except DuplicateKey:
            return None
        return number
