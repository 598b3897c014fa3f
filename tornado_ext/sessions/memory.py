"""Sessions in the memory of one process."""

import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from tornado_ext.sessions.store import Record, SessionStore

SWEEP_INTERVAL = 60  # seconds


class MemoryStore(SessionStore):
    """Keep sessions in this process, for development and tests: they end with it."""

    def __init__(self) -> None:
        self._records: dict[str, tuple[float, Record]] = {}  # with the time when it expires
        self._swept_at = time.time()

    async def load(self, key: str) -> Record | None:
        """Return a copy of the record."""
        record = self._live(key)
        return record and replace(record, fields=dict(record.fields))

    async def create(self, key: str, record: Record, ttl: float) -> None:
        """Keep a copy of the record."""
        self._sweep()
        self._keep(key, replace(record, fields=dict(record.fields)), ttl)

    async def save(
        self,
        key: str,
        changed: Mapping[str, str],
        deleted: Collection[str],
        *,
        seen_at: float,
        ttl: float,
    ) -> bool:
        """Change the record in place."""
        record = self._live(key)
        if record is None or record.replaced:
            return False
        record.fields.update(changed)
        for name in deleted:
            record.fields.pop(name, None)
        record.seen_at = seen_at
        self._keep(key, record, ttl)
        return True

    async def delete(self, key: str, *, replaced_for: float = 0) -> Record | None:
        """Take the record out."""
        record = self._live(key)
        if record is not None and not record.replaced:
            del self._records[key]
            if replaced_for:
                self._keep(key, Record(replaced=True), replaced_for)
        return record

    async def close(self) -> None:
        """Forget every session."""
        self._records.clear()

    def _live(self, key: str) -> Record | None:
        expires_at, record = self._records.get(key, (0.0, None))
        return record if expires_at > time.time() else None

    def _keep(self, key: str, record: Record, ttl: float) -> None:
        self._records[key] = (time.time() + ttl, record)

    def _sweep(self) -> None:
        now = time.time()
        if now - self._swept_at > SWEEP_INTERVAL:
            self._swept_at = now
            self._records = {key: kept for key, kept in self._records.items() if kept[0] > now}
