"""The example of a session store of one's own, by the suite that every store passes."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from demo_app import sessions
from demo_app.sessions import SQLiteStore
from tornado_ext.sessions import Change, Limits, Record, SessionTooLarge, StoreUnavailable
from tornado_ext.testing.store_suite import StoreSuite

RECORD = Record({"a": "1"}, 1.5, 2.5, "7")


@pytest.fixture
def store(io_loop: IOLoop, tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "sessions.db")
    yield store
    io_loop.run_sync(store.close)


class TestSQLiteStore(StoreSuite):
    @pytest.fixture
    def store(self, store: SQLiteStore) -> SQLiteStore:
        return store


@pytest.mark.gen_test
async def test_sessions_outlive_the_process(store: SQLiteStore, tmp_path: Path) -> None:
    await store.create("key", RECORD, 60)
    await store.close()
    again = SQLiteStore(tmp_path / "sessions.db")
    assert await again.load("key") == RECORD
    await again.close()


@pytest.mark.gen_test
async def test_what_is_acknowledged_is_on_the_disk(store: SQLiteStore) -> None:
    assert await store._file.fetch("PRAGMA journal_mode") == [("wal",)]
    assert await store._file.fetch("PRAGMA synchronous") == [(2,)]  # FULL: synced at each commit


@pytest.mark.gen_test
async def test_limits_are_an_argument(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "small.db", Limits(max_bytes=10, max_keys=2))
    await store.create("key", Record({"a": "1", "b": "2"}), 60)
    for texts in ({"c": "3"}, {"a": "1" * 9}):
        with pytest.raises(SessionTooLarge, match="2 keys and 10 bytes"):
            await store.save("key", Change(texts, (), 0.0, 60))
    await store.close()


def test_example_is_short() -> None:
    assert len(Path(sessions.__file__).read_text().splitlines()) < 100


@pytest.mark.gen_test
async def test_expired_rows_are_deleted(store: SQLiteStore, tmp_path: Path) -> None:
    await store.create("old", RECORD, -1)
    await store.create("new", RECORD, 60)
    with sqlite3.connect(tmp_path / "sessions.db") as other:
        assert other.execute("SELECT key FROM records").fetchall() == [("new",)]
    other.close()


@pytest.mark.gen_test
async def test_locked_file_is_unavailable_until_it_is_free(
    store: SQLiteStore, tmp_path: Path
) -> None:
    await store.create("key", RECORD, 60)
    other = sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await store.save("key", Change({"a": "2"}, (), 3, 60))
    other.execute("COMMIT")
    other.close()
    assert await store.save("key", Change({"a": "2"}, (), 3, 60)) is not None


@pytest.mark.gen_test
async def test_file_in_no_directory_is_unavailable(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "missing" / "sessions.db")
    with pytest.raises(StoreUnavailable, match="unable to open"):
        await store.load("key")
    (tmp_path / "missing").mkdir()
    assert await store.load("key") is None
    await store.close()
