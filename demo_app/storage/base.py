"""What the app keeps for ever: users, rooms and messages."""

import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass

LOBBY = "lobby"  # the room that is always there


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
    """The database, as the handlers see it.

    Every method raises a `tornado_ext.errors.Unavailable` when the database does not answer in
    time; it may have done what it was asked, and every method may be called again.
    """

    @abstractmethod
    async def start(self) -> None:
        """Create what is missing of the schema, and the lobby. May run in two processes at once."""

    @abstractmethod
    async def close(self) -> None:
        """Give back what is open."""

    async def health(self) -> dict[str, object]:
        """Ask the database something small."""
        return {"ok": await self.has_room(LOBBY)}

    # Users.

    @abstractmethod
    async def add_user(self, name: str, password_hash: str) -> User:
        """Store a new account, or raise `NameTaken`. Of two at the same moment one gets it."""

    @abstractmethod
    async def find_user(self, name: str) -> User | None:
        """Look up an account by its name, in whatever case it was typed."""

    @abstractmethod
    async def set_password(self, user_id: int, password_hash: str) -> None:
        """Replace an account's hash."""

    # Rooms.

    @abstractmethod
    async def add_room(self, name: str) -> None:
        """Make a room, unless it is there."""

    @abstractmethod
    async def has_room(self, name: str) -> bool:
        """Tell whether a room was made."""

    @abstractmethod
    async def rooms(self, user_id: int, limit: int = 100) -> list[Room]:
        """List rooms, the user's own first, then those with the newest messages."""

    @abstractmethod
    async def join_room(self, room: str, user_id: int) -> None:
        """Make the user a member, who has read what is there; does nothing if he is one."""

    @abstractmethod
    async def leave_room(self, room: str, user_id: int) -> None:
        """Make the user no member any more."""

    @abstractmethod
    async def mark_read(self, room: str, user_id: int, last: int) -> None:
        """Remember that a member has read up to the id ``last``; it never goes back."""

    # Messages.

    @abstractmethod
    async def add_message(
        self, room: str, author_id: int, author: str, text: str, key: str
    ) -> Message:
        """Store what was said, now and under the room's next id; or return what ``key`` has."""

    @abstractmethod
    async def messages(
        self, room: str, before: int | None = None, limit: int = 50
    ) -> list[Message]:
        """Return the newest messages of a room, or those before an id, oldest first."""

    @abstractmethod
    async def messages_after(self, room: str, last: int, limit: int = 50) -> list[Message]:
        """Return what follows the id ``last`` in a room, oldest first, ``limit`` at most."""


def user_key(name: str) -> str:
    """Return what is unique of a name: ``Ann``, ``ANN`` and full-width ``Ann`` are one person."""
    return tidy(name).casefold()


def tidy(name: str) -> str:
    """Return a name with one code point for those that look alike, and single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).split())
