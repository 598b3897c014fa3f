"""Password hashes, made and checked in threads, so that the event loop goes on meanwhile."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tornado_ext.errors import Unavailable

THREADS = 2  # one hash takes 64 MiB and some 50 ms: a crowd at the door must wait its turn
MAX_WAITING = 64  # hashes asked for and not yet done

T = TypeVar("T")


class TooBusy(Unavailable):
    """Too many people are logging in at this moment; the client may try again in a second."""


class Passwords:
    """Hash and verify passwords with argon2id (RFC 9106) at the library's own parameters."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._threads.submit(nobody)  # ready before anybody comes

    async def hash(self, password: str) -> str:
        """Return the text to store for ``password``. Raise `TooBusy` when the queue is full."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Tell whether ``password`` belongs to the ``stored`` hash.

        None, for a user who doesn't exist, takes as long as a wrong password: the time must not
        tell which names are registered. Raise `TooBusy` when the queue is full.
        """
        matches = await self._run(lambda: self._matches(stored or nobody(), password))
        return matches and stored is not None

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise TooBusy("too many passwords are being hashed")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


@cache
def nobody() -> str:
    """Return a hash that no password belongs to, made once in a process."""
    return PasswordHasher().hash(secrets.token_hex())
