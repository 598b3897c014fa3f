"""What the app keeps for ever: users, rooms and messages."""

import time
import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

LOBBY = "lobby"  # the room that is always there
LATEST = 2**63 - 1  # no id is as high
MESSAGES = """
SELECT m.id, author_id, u.name, text, sent_at, message_key
FROM messages m JOIN users u ON u.id = author_id
"""


class NameTaken(Exception):
    """A user of that name exists, or was made a moment earlier."""


@dataclass(frozen=True, slots=True)
class User:
    """One account."""

    id: int
    name: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class Message:
    """What one person said in one room."""

    id: int  # 1, 2, 3 ... in its room, without a gap: who has 7 and gets 9 knows what he missed
    author_id: int
    author: str
    text: str
    sent_at: float  # seconds since the epoch
    key: str  # the author's browser made it: what is sent again under the same is stored once


@dataclass(frozen=True, slots=True)
class Room:
    """A room, as one person sees it."""

    name: str
    joined: bool
    unread: int


class Storage(ABC):
    """The database, as the handlers see it: the statements that SQLite and MySQL have in common.

    Every method raises a `tornado_ext.errors.Unavailable` when the database does not answer in
    time; it may have done what it was asked, and every method may be called again.
    """

    @abstractmethod
    async def start(self) -> None:
        """Create what is missing of the schema, and the lobby. May run in two processes at once."""

    @abstractmethod
    async def close(self) -> None:
        """Give back what is open."""

    @abstractmethod
    async def fetch(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement of MySQL's, each ``%s`` of which is a parameter; return its rows.

        ``INSERT IGNORE`` passes over a row that is there.
        """

    @abstractmethod
    async def insert_message(
        self, room: str, author_id: int, text: str, key: str, sent_at: float
    ) -> int | None:
        """Store a message and return its id, the room's next; None if its ``key`` is stored."""

    async def health(self) -> dict[str, object]:
        """Ask the database something small."""
        return {"ok": await self.has_room(LOBBY)}

    # Users.

    async def add_user(self, name: str, password_hash: str) -> User:
        """Store a new account, or raise `NameTaken`. Of two at the same moment one gets it."""
        sql = "INSERT IGNORE INTO users (name, name_key, password_hash) VALUES (%s, %s, %s)"
        await self.fetch(sql, name, user_key(name), password_hash)
        user = await self.find_user(name)
        if user is None or user.password_hash != password_hash:  # no two hashes are the same
            raise NameTaken(name)
        return user

    async def find_user(self, name: str) -> User | None:
        """Look up an account by its name, in whatever case it was typed."""
        sql = "SELECT id, name, password_hash FROM users WHERE name_key = %s"
        rows = await self.fetch(sql, user_key(name))
        return User(*rows[0]) if rows else None

    async def set_password(self, user_id: int, password_hash: str) -> None:
        """Replace an account's hash."""
        await self.fetch(
            "UPDATE users SET password_hash = %s WHERE id = %s", password_hash, user_id
        )

    # Rooms.

    async def add_room(self, name: str) -> None:
        """Make a room, unless it is there."""
        await self.fetch("INSERT IGNORE INTO rooms (name) VALUES (%s)", name)

    async def has_room(self, name: str) -> bool:
        """Tell whether a room was made."""
        # Compared here too: to MySQL, a name with a space at its end is the same.
        return (name,) in await self.fetch("SELECT name FROM rooms WHERE name = %s", name)

    async def rooms(self, user_id: int, limit: int = 100) -> list[Room]:
        """List rooms, the user's own first, then those with the newest messages."""
        sql = """SELECT name, user_id IS NOT NULL, COALESCE(last_id - last_read, 0)
                 FROM rooms LEFT JOIN members ON room = name AND user_id = %s
                 ORDER BY user_id IS NULL, last_at DESC, name LIMIT %s"""
        rows = await self.fetch(sql, user_id, limit)
        return [Room(name, bool(joined), unread) for name, joined, unread in rows]

    async def join_room(self, room: str, user_id: int) -> None:
        """Make the user a member, who has read what is there; does nothing if he is one."""
        sql = "INSERT IGNORE INTO members SELECT name, %s, last_id FROM rooms WHERE name = %s"
        await self.fetch(sql, user_id, room)

    async def leave_room(self, room: str, user_id: int) -> None:
        """Make the user no member any more."""
        await self.fetch("DELETE FROM members WHERE room = %s AND user_id = %s", room, user_id)

    async def mark_read(self, room: str, user_id: int, last: int) -> None:
        """Remember that a member has read up to the id ``last``; it never goes back."""
        sql = """UPDATE members SET last_read =
                     (SELECT CASE WHEN last_id < %s THEN last_id ELSE %s END
                      FROM rooms WHERE name = room)
                 WHERE room = %s AND user_id = %s AND last_read < %s"""
        await self.fetch(sql, last, last, room, user_id, last)

    # Messages.

    async def add_message(
        self, room: str, author_id: int, author: str, text: str, key: str
    ) -> Message:
        """Store what was said, now and under the room's next id; or return what ``key`` has."""
        now = time.time()
        number = await self.insert_message(room, author_id, text, key, now)
        if number is not None:
            return Message(number, author_id, author, text, now, key)
        sql = f"{MESSAGES} WHERE room = %s AND author_id = %s AND message_key = %s"
        [row] = await self.fetch(sql, room, author_id, key)
        return Message(*row)

    async def messages(
        self, room: str, before: int | None = None, limit: int = 50
    ) -> list[Message]:
        """Return the newest messages of a room, or those before an id, oldest first."""
        sql = f"{MESSAGES} WHERE room = %s AND m.id < %s ORDER BY m.id DESC LIMIT %s"
        rows = await self.fetch(sql, room, LATEST if before is None else before, limit)
        return [Message(*row) for row in reversed(rows)]

    async def messages_after(self, room: str, last: int, limit: int = 50) -> list[Message]:
        """Return what follows the id ``last`` in a room, oldest first, ``limit`` at most."""
        sql = f"{MESSAGES} WHERE room = %s AND m.id > %s ORDER BY m.id LIMIT %s"
        return [Message(*row) for row in await self.fetch(sql, room, last, limit)]


def user_key(name: str) -> str:
    """Return what is unique of a name: ``Ann``, ``ANN`` and full-width ``Ann`` are one person."""
    return tidy(name).casefold()


def tidy(name: str) -> str:
    """Return a name with one code point for those that look alike, and single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).split())
