"""One SQLite file, as the session store and the storage share it."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import aiosqlite

from tornado_ext.errors import Unavailable

LOCK_TIMEOUT = 0.3  # seconds to wait for another process to finish its write
TIMEOUT = 0.8  # seconds for one statement, with the queue before it


class FileUnavailable(Unavailable):
    """The SQLite file is locked, full, unreadable or gone. The next statement tries again."""


class FileTimeout(FileUnavailable):
    """The statement has not come to its end in time, and may yet do so."""


class SQLiteFile:
    """A connection to the file at ``path``, made on first use, with ``schema`` created in it.

    ``unavailable`` and ``timeout`` are what it raises.

    Statements run one after the other in a thread of their own, each in its own transaction.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        unavailable: type[Unavailable] = FileUnavailable,
        timeout: type[Unavailable] = FileTimeout,
    ) -> None:
        self._path = path
        self._schema = schema
        self._unavailable, self._timeout = unavailable, timeout
        self._connection: aiosqlite.Connection | None = None
        self._connecting = asyncio.Lock()
        self._turn = asyncio.Lock()

    async def fetch(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows. Raise `FileUnavailable`, `FileTimeout`.

        A change tells what it did by ``RETURNING``. `sqlite3.IntegrityError` is left to the caller.
        """
        try:
            connection = self._connection or await self._connect()
            # One at a time: what waits in the thread's own queue runs though its caller gave up.
            async with asyncio.timeout(TIMEOUT), self._turn:
                return [tuple(r) for r in await connection.execute_fetchall(sql, parameters)]
        except sqlite3.IntegrityError:
            raise
        except TimeoutError as exc:
            raise self._timeout(f"{self._path} takes longer than {TIMEOUT} s") from exc
        except (sqlite3.Error, OSError) as exc:
            raise self._unavailable(f"{self._path}: {exc}") from exc

    async def close(self) -> None:
        """Close the connection and end its thread."""
        async with self._connecting:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()

    async def _connect(self) -> aiosqlite.Connection:
        async with self._connecting:
            if self._connection is None:
                self._connection = await self._open()
            return self._connection

    async def _open(self) -> aiosqlite.Connection:
        # What fails, fails here: aiosqlite's thread would outlive its failure, and the event loop.
        sqlite3.connect(self._path).close()
        connection = await aiosqlite.connect(self._path, timeout=LOCK_TIMEOUT, isolation_level=None)
        try:
            # A write-ahead log lets readers go on while somebody writes, and survives a kill.
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA foreign_keys = ON")
            await connection.executescript(self._schema)
        except BaseException:
            await connection.close()
            raise
        return connection
