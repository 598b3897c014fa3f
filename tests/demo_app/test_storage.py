"""The storage: one suite, which SQLite and MySQL through both drivers pass."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from demo_app.storage import LOBBY, NameTaken, Storage
from demo_app.storage.mysql import MySQLStorage
from demo_app.storage.sqlite import SQLiteStorage
from tornado_ext.errors import Unavailable
from tornado_ext.mysql import Database
from tornado_ext.testing import MariaDBServer

EVERYTHING = "<script>alert(1)</script> é 茶 🌪 '\"\\%s%% \n\t end"


class StorageSuite:
    @pytest.mark.gen_test
    async def test_lobby_is_there_from_the_start(self, storage: Storage) -> None:
        assert await storage.rooms() == [LOBBY]
        assert await storage.has_room(LOBBY)

    @pytest.mark.gen_test
    async def test_starting_again_changes_nothing(self, storage: Storage) -> None:
        user = await storage.add_user("ann", "hash")
        await storage.start()
        assert await storage.find_user("ann") == user
        assert await storage.rooms() == [LOBBY]

    @pytest.mark.gen_test
    async def test_user_is_found_with_what_was_stored(self, storage: Storage) -> None:
        name = "<b>'\"\\ 茶 🌪"
        user = await storage.add_user(name, "$argon2id$v=19")
        assert (user.name, user.password_hash) == (name, "$argon2id$v=19")
        assert await storage.find_user(name) == user

    @pytest.mark.gen_test
    async def test_unknown_user_is_none(self, storage: Storage) -> None:
        assert await storage.find_user("nobody") is None

    @pytest.mark.gen_test
    @pytest.mark.parametrize("other", ["ANN", "\uff21nn"])
    async def test_name_in_other_letters_is_the_same(self, storage: Storage, other: str) -> None:
        user = await storage.add_user("Ann", "hash")
        assert await storage.find_user(other) == user
        with pytest.raises(NameTaken):
            await storage.add_user(other, "hash")

    @pytest.mark.gen_test
    async def test_accents_make_another_name(self, storage: Storage) -> None:
        await storage.add_user("Rene", "hash")
        await storage.add_user("René", "hash")
        assert await storage.find_user("rené") != await storage.find_user("rene")

    @pytest.mark.gen_test
    async def test_longest_name_fits(self, storage: Storage) -> None:
        name = "ΐ" * 32  # three characters each in lower case
        user = await storage.add_user(name, "hash")
        assert await storage.find_user(name) == user

    @pytest.mark.gen_test
    async def test_of_two_at_the_same_moment_one_gets_the_name(self, storage: Storage) -> None:
        made = await asyncio.gather(
            *(storage.add_user("ann", f"hash {number}") for number in range(4)),
            return_exceptions=True,
        )
        assert [type(each) for each in made].count(NameTaken) == 3

    @pytest.mark.gen_test
    async def test_room_is_made_once(self, storage: Storage) -> None:
        await storage.add_room("茶室")
        await storage.add_room("茶室")
        assert await storage.has_room("茶室")
        assert not await storage.has_room("tea")
        assert sorted(await storage.rooms()) == sorted([LOBBY, "茶室"])

    @pytest.mark.gen_test
    async def test_rooms_with_the_newest_messages_come_first(self, storage: Storage) -> None:
        ann = await storage.add_user("ann", "hash")
        for room in ("old", "silent", "new"):
            await storage.add_room(room)
        await storage.add_message("old", ann.id, ann.name, "1")
        await storage.add_message("new", ann.id, ann.name, "2")
        assert await storage.rooms() == ["new", "old", LOBBY, "silent"]
        assert await storage.rooms(limit=2) == ["new", "old"]

    @pytest.mark.gen_test
    async def test_message_comes_back_as_it_was(self, storage: Storage) -> None:
        ann = await storage.add_user("<b>ann</b>", "hash")
        before = time.time()
        message = await storage.add_message(LOBBY, ann.id, ann.name, EVERYTHING)
        assert (message.author_id, message.author, message.text) == (ann.id, ann.name, EVERYTHING)
        assert before <= message.sent_at <= time.time()
        assert await storage.messages(LOBBY) == [message]

    @pytest.mark.gen_test
    async def test_newest_messages_of_the_room_oldest_first(self, storage: Storage) -> None:
        ann = await storage.add_user("ann", "hash")
        await storage.add_room("other")
        await storage.add_message("other", ann.id, ann.name, "elsewhere")
        for number in range(5):
            await storage.add_message(LOBBY, ann.id, ann.name, str(number))
        messages = await storage.messages(LOBBY, limit=3)
        assert [message.text for message in messages] == ["2", "3", "4"]

    @pytest.mark.gen_test
    async def test_messages_after_one_begin_with_the_next(self, storage: Storage) -> None:
        ann = await storage.add_user("ann", "hash")
        first = await storage.add_message(LOBBY, ann.id, ann.name, "0")
        for number in range(1, 4):
            await storage.add_message(LOBBY, ann.id, ann.name, str(number))
        later = await storage.messages_after(LOBBY, first.id, limit=2)
        assert [message.text for message in later] == ["1", "2"]
        last = await storage.messages_after(LOBBY, later[-1].id)
        assert [message.text for message in last] == ["3"]


class TestSQLiteStorage(StorageSuite):
    @pytest.fixture
    def storage(self, io_loop: IOLoop, tmp_path: Path) -> Iterator[Storage]:
        storage = SQLiteStorage(tmp_path / "chat.db")
        io_loop.run_sync(storage.start)
        yield storage
        io_loop.run_sync(storage.close)

    @pytest.mark.gen_test
    async def test_locked_file_is_unavailable_until_it_is_free(
        self, storage: Storage, tmp_path: Path
    ) -> None:
        other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            await storage.add_user("ann", "hash")
        other.execute("COMMIT")
        other.close()
        await storage.add_user("ann", "hash")

    @pytest.mark.gen_test
    async def test_statement_that_was_given_up_in_the_queue_is_not_run(
        self, storage: Storage, tmp_path: Path
    ) -> None:
        ann = await storage.add_user("ann", "hash")
        other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        said = (storage.add_message(LOBBY, ann.id, ann.name, "lost") for _ in range(8))
        outcomes = await asyncio.gather(*said, return_exceptions=True)
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        other.execute("COMMIT")
        other.close()
        assert len(await storage.messages(LOBBY)) <= 1  # the one that had begun


class MySQLStorageSuite(StorageSuite):
    scheme = ""

    @pytest.fixture
    def storage(self, io_loop: IOLoop, mysql_url: str) -> Iterator[Storage]:
        storage = MySQLStorage(Database(self.scheme + mysql_url.removeprefix("mysql")))
        io_loop.run_sync(storage.start)
        yield storage
        io_loop.run_sync(storage.close)

    @pytest.mark.gen_test
    async def test_killed_server_is_unavailable_until_it_is_back(
        self, storage: Storage, mariadb_server: MariaDBServer
    ) -> None:
        mariadb_server.kill()
        with pytest.raises(Unavailable):
            await storage.rooms()
        mariadb_server.restart()
        assert await storage.rooms() == [LOBBY]


class TestOnAsyncmy(MySQLStorageSuite):
    scheme = "mysql"


class TestOnTornadoMySQL(MySQLStorageSuite):
    scheme = "mysql+tornado"
