"""What the app keeps for ever: users, rooms and messages."""

import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass

from tornado_ext.errors import Unavailable

LOBBY = "lobby"  # the room that is always there


class NameTaken(Exception):
    """A user of that name exists, or was made a moment earlier."""


class PerhapsStored(Unavailable):
    """The database gave no answer in time, and may have done what it was asked, or do it yet."""


@dataclass(frozen=True, slots=True)
class User:
    """One account."""

    id: int
    name: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class Message:
    """What one person said in one room."""

    id: int  # ascending within the database
    author_id: int
    author: str
    text: str
    sent_at: float  # seconds since the epoch


class Storage(ABC):
    """The database, as the handlers see it.

    Every method raises a `tornado_ext.errors.Unavailable` when the database does not answer in
    time; nothing of ours retries.
    """

    @abstractmethod
    async def start(self) -> None:
        """Create what is missing of the schema, and the lobby. May run in two processes at once."""

    @abstractmethod
    async def close(self) -> None:
        """Give back what is open."""

    @abstractmethod
    async def add_user(self, name: str, password_hash: str) -> User:
        """Store a new account, or raise `NameTaken`. Of two at the same moment one gets it."""

    @abstractmethod
    async def find_user(self, name: str) -> User | None:
        """Look up an account by its name, in whatever case it was typed."""

    @abstractmethod
    async def add_room(self, name: str) -> None:
        """Make a room, unless it is there."""

    @abstractmethod
    async def has_room(self, name: str) -> bool:
        """Tell whether a room was made."""

    @abstractmethod
    async def rooms(self, limit: int = 100) -> list[str]:
        """List rooms by name, those with the newest messages first."""

    @abstractmethod
    async def add_message(self, room: str, author_id: int, author: str, text: str) -> Message:
        """Store what was said; the time is now. Raise `PerhapsStored` when it can't be known."""

    @abstractmethod
    async def messages(self, room: str, limit: int = 50) -> list[Message]:
        """Return the newest messages of a room, oldest first."""

    @abstractmethod
    async def messages_after(self, room: str, last: int, limit: int = 50) -> list[Message]:
        """Return what follows the id ``last`` in a room, oldest first, ``limit`` at most."""


def user_key(name: str) -> str:
    """Return what is unique of a name: ``Ann``, ``ANN`` and full-width ``Ann`` are one person."""
    return tidy(name).casefold()


def tidy(name: str) -> str:
    """Return a name with one code point for those that look alike, and single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).split())
