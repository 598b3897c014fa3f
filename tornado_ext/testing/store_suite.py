"""The suite that every session store passes: derive from `StoreSuite`, and give it a store."""

import asyncio

import pytest

from tornado_ext.sessions import Record, SessionStore

TTL = 60.0  # seconds
SHORT = 0.05  # seconds
NOW = 1_700_000_000.25


class StoreSuite:
    """Derive a test class from it, with a ``store`` fixture that gives an empty store.

    Each test runs on pytest-tornado's ``io_loop``; the fixture closes the store on it::

        class TestMyStore(StoreSuite):
            @pytest.fixture
            def store(self, io_loop):
                store = MyStore()
                yield store
                io_loop.run_sync(store.close)
    """

    @pytest.mark.gen_test
    async def test_unknown_key_is_a_miss(self, store: SessionStore) -> None:
        """A miss is None, and no error."""
        assert await store.load("unknown") is None

    @pytest.mark.gen_test
    async def test_record_comes_back_as_it_was(self, store: SessionStore) -> None:
        """Values, times and user are kept exactly."""
        fields = {"name": '"\\u00e9\\ud800"', "": "1", "a:b \n\0'\"": "[1,{}]", "created": '"x"'}
        record = Record(fields, created_at=NOW, seen_at=NOW + 1, user_id="7 é")
        await store.create("key", record, TTL)
        assert await store.load("key") == record

    @pytest.mark.gen_test
    async def test_record_without_values_or_user_comes_back(self, store: SessionStore) -> None:
        """An empty record is not a miss."""
        await store.create("key", Record(created_at=NOW, seen_at=NOW), TTL)
        assert await store.load("key") == Record(created_at=NOW, seen_at=NOW)

    @pytest.mark.gen_test
    async def test_save_changes_only_what_it_names(self, store: SessionStore) -> None:
        """Other fields, the time of making and the user stay."""
        await store.create("key", Record({"a": "1", "b": "2", "c": "3"}, NOW, NOW, "7"), TTL)
        assert await store.save("key", {"b": "20", "d": "4"}, ["c", "none"], seen_at=NOW + 5, ttl=9)
        expected = Record({"a": "1", "b": "20", "d": "4"}, NOW, NOW + 5, "7")
        assert await store.load("key") == expected

    @pytest.mark.gen_test
    async def test_writers_of_different_fields_both_win(self, store: SessionStore) -> None:
        """No write of one field undoes that of another."""
        await store.create("key", Record({}, NOW, NOW), TTL)
        names = [f"field{number}" for number in range(16)]
        saves = [store.save("key", {name: "1"}, (), seen_at=NOW, ttl=TTL) for name in names]
        assert all(await asyncio.gather(*saves))
        record = await store.load("key")
        assert record is not None
        assert record.fields == dict.fromkeys(names, "1")

    @pytest.mark.gen_test
    async def test_save_of_many_large_fields(self, store: SessionStore) -> None:
        """Nothing is cut or refused for its size alone."""
        fields = {f"field{number}": f'"{"x" * 100}"' for number in range(3000)}
        await store.create("key", Record(fields, NOW, NOW), TTL)
        changed = dict.fromkeys(fields, f'"{"y" * 200}"')
        assert await store.save("key", changed, (), seen_at=NOW, ttl=TTL)
        assert await store.load("key") == Record(changed, NOW, NOW)

    @pytest.mark.gen_test
    async def test_save_never_makes_a_record(self, store: SessionStore) -> None:
        """A session that was ended meanwhile stays ended."""
        assert not await store.save("key", {"a": "1"}, (), seen_at=NOW, ttl=TTL)
        await store.create("key", Record({"a": "1"}, NOW, NOW), TTL)
        await store.delete("key")
        assert not await store.save("key", {"a": "2"}, (), seen_at=NOW, ttl=TTL)
        assert await store.load("key") is None

    @pytest.mark.gen_test
    async def test_record_expires(self, store: SessionStore) -> None:
        """Past its time a record is a miss, for every verb."""
        await store.create("key", Record({"a": "1"}, NOW, NOW), SHORT)
        await asyncio.sleep(SHORT * 2)
        assert await store.load("key") is None
        assert not await store.save("key", {"a": "2"}, (), seen_at=NOW, ttl=TTL)
        assert await store.delete("key", replaced_for=TTL) is None
        assert await store.load("key") is None

    @pytest.mark.gen_test
    async def test_save_renews_the_expiry(self, store: SessionStore) -> None:
        """The time to live counts from the last save, also from one that changes nothing."""
        await store.create("key", Record({"a": "1"}, NOW, NOW), SHORT)
        assert await store.save("key", {}, (), seen_at=NOW + 1, ttl=TTL)
        await asyncio.sleep(SHORT * 2)
        assert await store.load("key") == Record({"a": "1"}, NOW, NOW + 1)

    @pytest.mark.gen_test
    async def test_delete_returns_what_it_ended(self, store: SessionStore) -> None:
        """What was there at that moment comes back, once."""
        await store.create("key", Record({"a": "1"}, NOW, NOW, "7"), TTL)
        assert await store.delete("key") == Record({"a": "1"}, NOW, NOW, "7")
        assert await store.delete("key") is None
        assert await store.load("key") is None

    @pytest.mark.gen_test
    async def test_replaced_record_leaves_a_tombstone(self, store: SessionStore) -> None:
        """A tombstone takes no save, and a second end leaves it where it is."""
        await store.create("key", Record({"a": "1"}, NOW, NOW), TTL)
        assert await store.delete("key", replaced_for=TTL) == Record({"a": "1"}, NOW, NOW)
        assert not await store.save("key", {"a": "2"}, (), seen_at=NOW, ttl=TTL)
        for ended in (await store.delete("key"), await store.load("key")):
            assert ended is not None
            assert ended.replaced
            assert ended.fields == {}

    @pytest.mark.gen_test
    async def test_tombstone_expires(self, store: SessionStore) -> None:
        """After its time nothing is left."""
        await store.create("key", Record({"a": "1"}, NOW, NOW), TTL)
        await store.delete("key", replaced_for=SHORT)
        await asyncio.sleep(SHORT * 2)
        assert await store.load("key") is None

    @pytest.mark.gen_test
    async def test_tombstone_is_left_only_where_a_record_was(self, store: SessionStore) -> None:
        """Made-up keys leave nothing behind."""
        assert await store.delete("key", replaced_for=TTL) is None
        assert await store.load("key") is None

    @pytest.mark.gen_test
    async def test_records_do_not_share_anything(self, store: SessionStore) -> None:
        """What a caller does to a record that it gave or got changes no stored one."""
        given = Record({"a": "1"}, NOW, NOW)
        await store.create("key", given, TTL)
        await store.create("other", Record({"a": "2"}, NOW, NOW), TTL)
        given.fields["a"] = "3"
        got = await store.load("key")
        assert got is not None
        got.fields["a"] = "4"
        assert await store.load("key") == Record({"a": "1"}, NOW, NOW)
        assert await store.load("other") == Record({"a": "2"}, NOW, NOW)
