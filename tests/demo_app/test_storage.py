"""The storage: one suite, which SQLite and MySQL through both drivers pass."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from demo_app.storage import LOBBY, Message, NameTaken, Room, Storage, User
from demo_app.storage.mysql import MySQLStorage
from demo_app.storage.sqlite import SQLiteStorage
from tornado_ext.errors import Unavailable
from tornado_ext.mysql import Database
from tornado_ext.testing import MariaDBServer

EVERYTHING = "<script>alert(1)</script> é 茶 🌪 '\"\\%s%% \n\t end"


class StorageSuite:
    @pytest.mark.gen_test
    async def test_lobby_is_there_from_the_start(self, storage: Storage) -> None:
        assert await names(storage) == [LOBBY]
        assert await storage.has_room(LOBBY)
        assert await storage.health() == {"ok": True}

    @pytest.mark.gen_test
    async def test_starting_again_changes_nothing(self, storage: Storage) -> None:
        user = await storage.add_user("ann", "hash")
        await storage.start()
        assert await storage.find_user("ann") == user
        assert await names(storage) == [LOBBY]

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
            await storage.add_user(other, "other hash")

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
        assert sorted(await names(storage)) == sorted([LOBBY, "茶室"])

    @pytest.mark.gen_test
    @pytest.mark.parametrize("other", ["Tea", "tea ", " tea", "té", "te"])
    async def test_room_is_there_under_its_own_name_alone(
        self, storage: Storage, other: str
    ) -> None:
        await storage.add_room("tea")
        assert not await storage.has_room(other)

    @pytest.mark.gen_test
    async def test_rooms_with_the_newest_messages_come_first(self, storage: Storage) -> None:
        ann = await storage.add_user("ann", "hash")
        for room in ("old", "silent", "new"):
            await storage.add_room(room)
        await say(storage, ann, "1", "old")
        await say(storage, ann, "2", "new")
        assert await names(storage) == ["new", "old", LOBBY, "silent"]
        assert await names(storage, limit=2) == ["new", "old"]

    @pytest.mark.gen_test
    async def test_message_comes_back_as_it_was(self, storage: Storage) -> None:
        ann = await storage.add_user("<b>ann</b>", "hash")
        before = time.time()
        message = await storage.add_message(LOBBY, ann.id, ann.name, EVERYTHING, "key")
        assert (message.author_id, message.author, message.text) == (ann.id, ann.name, EVERYTHING)
        assert before <= message.sent_at <= time.time()
        assert await storage.messages(LOBBY) == [message]

    @pytest.mark.gen_test
    async def test_ids_of_a_room_have_no_gap(self, storage: Storage) -> None:
        ann, ben = [await storage.add_user(name, "hash") for name in ("ann", "ben")]
        await storage.add_room("other")
        said = (
            say(storage, author, str(number), room)
            for number in range(5)
            for room in (LOBBY, "other")
            for author in (ann, ben)
        )
        messages = await asyncio.gather(*said)
        assert sorted(message.id for message in messages) == sorted([*range(1, 11)] * 2)
        assert [message.id for message in await storage.messages(LOBBY)] == [*range(1, 11)]

    @pytest.mark.gen_test
    async def test_what_is_sent_again_is_stored_once(self, storage: Storage) -> None:
        ann = await storage.add_user("ann", "hash")
        first = await storage.add_message(LOBBY, ann.id, ann.name, "hello", "key")
        await say(storage, ann, "next")
        again = await asyncio.gather(
            *(storage.add_message(LOBBY, ann.id, ann.name, "hello", "key") for _ in range(3))
        )
        assert again == [first] * 3
        assert [message.text for message in await storage.messages(LOBBY)] == ["hello", "next"]
        assert (await say(storage, ann, "end")).id == 3

    @pytest.mark.gen_test
    async def test_same_key_of_another_author_is_another_message(self, storage: Storage) -> None:
        ann, ben = [await storage.add_user(name, "hash") for name in ("ann", "ben")]
        for author in (ann, ben):
            await storage.add_message(LOBBY, author.id, author.name, author.name, "key")
        assert [message.text for message in await storage.messages(LOBBY)] == ["ann", "ben"]

    @pytest.mark.gen_test
    async def test_same_key_in_another_room_is_another_message(self, storage: Storage) -> None:
        ann = await storage.add_user("ann", "hash")
        await storage.add_room("other")
        for room in (LOBBY, "other"):
            message = await storage.add_message(room, ann.id, ann.name, f"in {room}", "key")
            assert await storage.messages(room) == [message]
            assert message.text == f"in {room}"

    @pytest.mark.gen_test
    async def test_newest_messages_of_the_room_oldest_first(self, storage: Storage) -> None:
        ann = await storage.add_user("ann", "hash")
        await storage.add_room("other")
        await say(storage, ann, "elsewhere", "other")
        for number in range(5):
            await say(storage, ann, str(number))
        messages = await storage.messages(LOBBY, limit=3)
        assert [message.text for message in messages] == ["2", "3", "4"]
        older = await storage.messages(LOBBY, before=messages[0].id)
        assert [message.text for message in older] == ["0", "1"]

    @pytest.mark.gen_test
    async def test_messages_after_one_begin_with_the_next(self, storage: Storage) -> None:
        ann = await storage.add_user("ann", "hash")
        first = await say(storage, ann, "0")
        for number in range(1, 4):
            await say(storage, ann, str(number))
        later = await storage.messages_after(LOBBY, first.id, limit=2)
        assert [message.text for message in later] == ["1", "2"]
        last = await storage.messages_after(LOBBY, later[-1].id)
        assert [message.text for message in last] == ["3"]

    @pytest.mark.gen_test
    async def test_member_has_unread_messages_until_he_has_read_them(
        self, storage: Storage
    ) -> None:
        ann, ben = [await storage.add_user(name, "hash") for name in ("ann", "ben")]
        await say(storage, ann, "before")
        await storage.join_room(LOBBY, ben.id)
        assert await storage.rooms(ben.id) == [Room(LOBBY, True, 0)]
        for text in ("one", "two"):
            await say(storage, ann, text)
        await storage.join_room(LOBBY, ben.id)
        assert await storage.rooms(ben.id) == [Room(LOBBY, True, 2)]
        assert await storage.rooms(ann.id) == [Room(LOBBY, False, 0)]
        for last, unread in ((2, 1), (1, 1), (10**18, 0)):
            await storage.mark_read(LOBBY, ben.id, last)
            assert await storage.rooms(ben.id) == [Room(LOBBY, True, unread)]
        await say(storage, ann, "three")
        assert await storage.rooms(ben.id) == [Room(LOBBY, True, 1)]
        await storage.leave_room(LOBBY, ben.id)
        assert await storage.rooms(ben.id) == [Room(LOBBY, False, 0)]

    @pytest.mark.gen_test
    async def test_ones_own_rooms_come_first(self, storage: Storage) -> None:
        ann = await storage.add_user("ann", "hash")
        await storage.add_room("own")
        await say(storage, ann, "1")
        await storage.join_room("own", ann.id)
        assert [room.name for room in await storage.rooms(ann.id)] == ["own", LOBBY]

    @pytest.mark.gen_test
    async def test_new_password_replaces_the_old_one(self, storage: Storage) -> None:
        ann, ben = [await storage.add_user(name, "old") for name in ("ann", "ben")]
        await storage.set_password(ann.id, "new")
        assert (await storage.find_user("ann")).password_hash == "new"  # type: ignore[union-attr]
        assert await storage.find_user("ben") == ben


async def names(storage: Storage, limit: int = 100) -> list[str]:
    return [room.name for room in await storage.rooms(0, limit)]


async def say(storage: Storage, author: User, text: str, room: str = LOBBY) -> Message:
    return await storage.add_message(room, author.id, author.name, text, f"{room} {text}")


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
        said = (say(storage, ann, f"lost {number}") for number in range(8))
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
            await storage.has_room(LOBBY)
        mariadb_server.restart()
        assert await names(storage) == [LOBBY]


class TestOnAsyncmy(MySQLStorageSuite):
    scheme = "mysql"


class TestOnTornadoMySQL(MySQLStorageSuite):
    scheme = "mysql+tornado"
