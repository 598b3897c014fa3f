"""The suite that every session store passes: derive from `StoreSuite`, and give it a store."""

import asyncio
from typing import Any

import pytest

from tornado_ext.sessions import (
    Change,
    LeaseLost,
    Limits,
    Record,
    SessionGone,
    SessionInfo,
    SessionStore,
    SessionTooLarge,
)
from tornado_ext.sessions.codec import NOTE

TTL = 60.0  # seconds
SHORT = 0.05  # seconds
NOW = 1_700_000_000.25
END = NOW + 1e9
LIMITS = Limits()


def record_of(user_id: str | None = None, *, seen_at: float = NOW, **texts: str) -> Record:
    """Return a record with these fields."""
    return Record(texts, NOW, seen_at, user_id, ends_at=END)


def change(*deleted: str, ttl: float = TTL, fence: int | None = None, **texts: str) -> Change:
    """Return a change that sets and deletes fields."""
    return Change(texts, deleted, NOW, ttl, fence)


async def lease(store: SessionStore, seconds: float = TTL) -> int:
    """Return the fence of a lease of ``key``, which is free."""
    fence = await store.lease("key", seconds)
    assert fence is not None
    return fence


class StoreSuite:
    """Derive a test class from it, with a ``store`` fixture that gives an empty store.

    The store has the default `Limits`. Each test runs on pytest-tornado's ``io_loop``; the fixture
    closes the store on it::

        class TestMyStore(StoreSuite):
            @pytest.fixture
            def store(self, io_loop):
                store = MyStore()
                yield store
                io_loop.run_sync(store.close)
    """

    # Records.

    @pytest.mark.gen_test
    async def test_unknown_key_is_a_miss(self, store: SessionStore) -> None:
        """A miss is None for every verb, and no error."""
        assert await store.load("key") is None
        assert await store.save("key", change(a="1")) is None
        assert await store.delete("key", replaced_for=TTL) is None
        assert await store.lease("key", TTL) is None
        assert await store.load("key") is None

    @pytest.mark.gen_test
    async def test_record_comes_back_as_it_was(self, store: SessionStore) -> None:
        """Values, times and user are kept exactly."""
        fields = {"name": '"\\u00e9\\ud800"', "": "1", "a:b \n\0'\"": "[1,{}]", "created": '"x"'}
        record = Record(fields, NOW, NOW + 1, "7 é", ends_at=END)
        await store.create("key", record, TTL)
        assert await store.load("key") == record

    @pytest.mark.gen_test
    async def test_record_without_values_or_user_comes_back(self, store: SessionStore) -> None:
        """An empty record is not a miss."""
        await store.create("key", record_of(), TTL)
        assert await store.load("key") == record_of()

    @pytest.mark.gen_test
    async def test_used_key_takes_no_second_record(self, store: SessionStore) -> None:
        """What is there stays."""
        await store.create("key", record_of(a="1"), TTL)
        with pytest.raises(SessionGone):
            await store.create("key", record_of(a="2"), TTL)
        assert await store.load("key") == record_of(a="1")

    @pytest.mark.gen_test
    async def test_records_do_not_share_anything(self, store: SessionStore) -> None:
        """What a caller does to a record that it gave or got changes no stored one."""
        given = record_of(a="1")
        await store.create("key", given, TTL)
        await store.create("other", record_of(a="2"), TTL)
        given.fields["a"] = "3"
        got = await store.load("key")
        assert got is not None
        got.fields["a"] = "4"
        assert await store.load("key") == record_of(a="1")
        assert await store.load("other") == record_of(a="2")

    # Saves.

    @pytest.mark.gen_test
    async def test_save_changes_only_what_it_names(self, store: SessionStore) -> None:
        """Other fields, the times of making and ending and the user stay."""
        await store.create("key", record_of("7", a="1", b="2", c="3"), TTL)
        made = Change({"b": "20", "d": "4"}, ["c", "none"], NOW + 5, TTL)
        assert await store.save("key", made) == ["c"]
        assert await store.load("key") == record_of("7", seen_at=NOW + 5, a="1", b="20", d="4")

    @pytest.mark.gen_test
    async def test_writers_of_different_fields_both_win(self, store: SessionStore) -> None:
        """No write of one field undoes that of another."""
        await store.create("key", record_of(), TTL)
        texts: dict[str, Any] = {f"field{number}": str(number) for number in range(16)}
        await asyncio.gather(*(store.save("key", change(**{n: t})) for n, t in texts.items()))
        assert await store.load("key") == record_of(**texts)

    @pytest.mark.gen_test
    async def test_one_of_many_that_delete_a_field_is_told_so(self, store: SessionStore) -> None:
        """What is taken out by two at once is taken by one."""
        await store.create("key", record_of(a="1", b="2"), TTL)
        told = await asyncio.gather(*(store.save("key", change("a", "no")) for _ in range(8)))
        assert sorted(map(list, filter(None, told))) == [["a"]]
        assert await store.load("key") == record_of(b="2")

    @pytest.mark.gen_test
    async def test_save_never_makes_a_record(self, store: SessionStore) -> None:
        """A session that was ended meanwhile stays ended."""
        await store.create("key", record_of(a="1"), TTL)
        await store.delete("key")
        assert await store.save("key", change(a="2")) is None
        assert await store.load("key") is None

    # Ends.

    @pytest.mark.gen_test
    async def test_record_expires(self, store: SessionStore) -> None:
        """Past its time a record is a miss, for every verb."""
        await store.create("key", record_of("7", a="1"), SHORT)
        await asyncio.sleep(SHORT * 2)
        assert await store.load("key") is None
        assert await store.save("key", change(a="2")) is None
        assert await store.lease("key", TTL) is None
        assert await store.sessions_of("7") == []
        assert await store.delete("key", replaced_for=TTL) is None
        assert await store.load("key") is None

    @pytest.mark.gen_test
    async def test_save_renews_the_expiry(self, store: SessionStore) -> None:
        """The time to live counts from the last save, also from one that changes nothing."""
        await store.create("key", record_of(a="1"), SHORT * 6)
        assert await store.save("key", change()) is not None
        await asyncio.sleep(SHORT * 7)
        assert await store.load("key") == record_of(a="1")

    @pytest.mark.gen_test
    async def test_delete_returns_what_it_ended(self, store: SessionStore) -> None:
        """What was there at that moment comes back, once."""
        await store.create("key", record_of("7", a="1"), TTL)
        assert await store.delete("key") == record_of("7", a="1")
        assert await store.delete("key") is None
        assert await store.load("key") is None

    @pytest.mark.gen_test
    async def test_replaced_record_leaves_a_tombstone(self, store: SessionStore) -> None:
        """It takes no save, lease or record, and keeps its fields; a second end returns them."""
        await store.create("key", record_of("7", a="1"), TTL)
        assert await store.delete("key", replaced_for=TTL) == record_of("7", a="1")
        assert await store.save("key", change(a="2")) is None
        assert await store.lease("key", TTL) is None
        with pytest.raises(SessionGone):
            await store.create("key", record_of(a="2"), TTL)
        for ended in (await store.delete("key"), await store.load("key")):
            assert ended is not None
            assert ended.replaced
            assert ended.fields == {"a": "1"}

    @pytest.mark.gen_test
    async def test_tombstone_expires(self, store: SessionStore) -> None:
        """After its time nothing is left."""
        await store.create("key", record_of(), TTL)
        await store.delete("key", replaced_for=SHORT)
        await asyncio.sleep(SHORT * 2)
        assert await store.load("key") is None

    # Limits.

    @pytest.mark.gen_test
    async def test_record_may_fill_the_limits(self, store: SessionStore) -> None:
        """Bytes count as they are, names included, and nothing below the limits is refused."""
        names = [f'"é{number:03}' for number in range(LIMITS.max_keys)]  # of 6 bytes each
        rest = LIMITS.max_bytes - sum(len(name.encode()) + 3 for name in names)
        full: dict[str, Any] = dict.fromkeys(names, '"x"') | {names[0]: f'"{"y" * (rest + 1)}"'}
        await store.create("key", record_of(**full), TTL)
        changed = full | {names[0]: f'"{"z" * (rest + 1)}"'}
        assert await store.save("key", change(**changed)) == []
        assert await store.load("key") == record_of(**changed)
        fence = await lease(store)  # which takes no room
        assert await store.save("key", change(fence=fence, **full)) == []
        with pytest.raises(SessionTooLarge):
            await store.save("key", change(names[0], another="1", one_more="1"))
        assert await store.load("key") == record_of(**full)

    @pytest.mark.gen_test
    @pytest.mark.parametrize(
        "texts",
        [
            {"a": f'"{"x" * LIMITS.max_bytes}"'},
            {f"{number}": "1" for number in range(LIMITS.max_keys + 1)},
        ],
        ids=["bytes", "keys"],
    )
    async def test_too_much_is_refused_whole(
        self, store: SessionStore, texts: dict[str, Any]
    ) -> None:
        """Neither a new record nor a save may exceed the limits."""
        with pytest.raises(SessionTooLarge):
            await store.create("other", record_of(**texts), TTL)
        assert await store.load("other") is None
        await store.create("key", record_of(b="2"), TTL)
        with pytest.raises(SessionTooLarge):
            await store.save("key", change("b", **texts))
        assert await store.load("key") == record_of(b="2")

    @pytest.mark.gen_test
    async def test_two_writers_do_not_exceed_the_limits_together(self, store: SessionStore) -> None:
        """Each of them alone would not."""
        await store.create("key", record_of(), TTL)
        text: Any = f'"{"x" * (LIMITS.max_bytes // 4)}"'
        saves = (store.save("key", change(**{f"{number}": text})) for number in range(8))
        done = await asyncio.gather(*saves, return_exceptions=True)
        assert sum(isinstance(result, SessionTooLarge) for result in done) == 5
        record = await store.load("key")
        assert record is not None
        assert len(record.fields) == 3

    @pytest.mark.gen_test
    async def test_what_is_deleted_makes_room(self, store: SessionStore) -> None:
        """For its bytes, name included, and for its key, however often."""
        names = [f"{number:03}" for number in range(LIMITS.max_keys)]
        texts: dict[str, Any] = dict.fromkeys(names, "1")
        await store.create("key", record_of(**texts), TTL)
        for number in range(100):
            last, name = names[-1], f"{number:0700}"
            changed: dict[str, Any] = {name: "1"}
            assert await store.save("key", change(last, **changed)) == [last]
            names[-1] = name
        large: Any = f'"{"x" * (LIMITS.max_bytes - 100)}"'
        await store.create("other", record_of(a=large), TTL)
        assert await store.save("other", change("a", b=large)) == ["a"]
        assert await store.load("other") == record_of(b=large)

    # Leases.

    @pytest.mark.gen_test
    async def test_lease_is_one_callers_until_it_is_given_back(self, store: SessionStore) -> None:
        """Of many that ask at once one gets it, and the next fence is a higher one."""
        await store.create("key", record_of(a="1"), TTL)
        seconds = (TTL, TTL / 2, TTL * 2, 1)  # who asks for a shorter one waits all the same
        fences = await asyncio.gather(*(store.lease("key", each) for each in seconds * 2))
        (fence,) = filter(None, fences)
        await store.release("key", fence)
        assert await lease(store) > fence
        assert await store.load("key") == record_of(a="1")

    @pytest.mark.gen_test
    async def test_lease_ends_by_itself(self, store: SessionStore) -> None:
        """Who died with it, or is slow, keeps nobody out; and saves nothing, taken over or not."""
        await store.create("key", record_of(a="1"), TTL)
        slow = await lease(store, SHORT)
        await asyncio.sleep(SHORT * 2)
        with pytest.raises(LeaseLost):
            await store.save("key", change(a="2", fence=slow))
        assert await lease(store) > slow
        with pytest.raises(LeaseLost):
            await store.save("key", change(a="3", fence=slow))
        assert await store.load("key") == record_of(a="1")

    @pytest.mark.gen_test
    async def test_holder_saves_until_the_lease_is_given_back(self, store: SessionStore) -> None:
        """Any number of times; a fence without a lease saves nothing."""
        await store.create("key", record_of(), TTL)
        fence = await lease(store)
        assert await store.save("key", change(a="1", fence=fence)) == []
        assert await store.save("key", change("a", b="2", fence=fence)) == ["a"]
        await store.release("key", fence)
        with pytest.raises(LeaseLost):
            await store.save("key", change(b="3", fence=fence))
        assert await store.load("key") == record_of(b="2")

    @pytest.mark.gen_test
    async def test_late_release_does_not_end_the_lease_of_another(
        self, store: SessionStore
    ) -> None:
        """A release is of one fence."""
        await store.create("key", record_of(), TTL)
        slow = await lease(store, SHORT)
        await asyncio.sleep(SHORT * 2)
        fence = await lease(store)
        await store.release("key", slow)
        assert await store.lease("key", TTL) is None
        assert await store.save("key", change(a="1", fence=fence)) == []

    @pytest.mark.gen_test
    async def test_lease_keeps_no_other_save_and_no_end_out(self, store: SessionStore) -> None:
        """A session under a lease can be changed by others, and logged out."""
        await store.create("key", record_of(), TTL)
        fence = await lease(store)
        assert await store.save("key", change(a="1")) == []
        assert await store.save("key", change(b="2", fence=fence)) == []
        assert await store.load("key") == record_of(a="1", b="2")
        await store.delete("key")
        assert await store.save("key", change(b="3", fence=fence)) is None
        await store.release("key", fence)
        assert await store.load("key") is None

    # Users.

    @pytest.mark.gen_test
    async def test_sessions_of_a_user_are_listed(self, store: SessionStore) -> None:
        """All that are live, that which was seen last first, with their notes."""
        noted = record_of("7", seen_at=NOW + 1, **{NOTE: '{"from":"home"}'})
        await store.create("old", record_of("7"), TTL)
        await store.create("new", noted, TTL)
        await store.create("not his", record_of("8"), TTL)
        await store.create("nobody's", record_of(), TTL)
        for ended in ("logged out", "replaced"):
            await store.create(ended, record_of("7"), TTL)
        await store.delete("logged out")
        await store.delete("replaced", replaced_for=TTL)
        assert await store.sessions_of("7") == [
            SessionInfo("new", NOW, NOW + 1, {"from": "home"}),
            SessionInfo("old", NOW, NOW, None),
        ]
        assert await store.sessions_of("9") == []

    @pytest.mark.gen_test
    async def test_revoked_user_has_no_session_left(self, store: SessionStore) -> None:
        """Other users' sessions stay; a revoked one is a miss, and its key takes no record."""
        keys = [f"key{number}" for number in range(5)]
        for key in keys:
            await store.create(key, record_of("7 é", a="1"), TTL)
        await store.create("other", record_of("7"), TTL)
        assert await store.revoke_user("7 é") == 5
        for key in keys:
            assert await store.load(key) is None
            assert await store.save(key, change(a="2")) is None
        assert await store.sessions_of("7 é") == []
        assert await store.revoke_user("7 é") == 0
        assert await store.load("other") == record_of("7")

    @pytest.mark.gen_test
    async def test_user_may_be_given_as_a_number(self, store: SessionStore) -> None:
        """As to ``login``, which keeps it as text."""
        await store.create("key", record_of("7"), TTL)
        assert [info.key for info in await store.sessions_of(7)] == ["key"]
        assert await store.revoke_user(7) == 1
        assert await store.load("key") is None

    @pytest.mark.gen_test
    async def test_revoked_user_can_log_in_again(self, store: SessionStore) -> None:
        """Only the sessions that he had are ended."""
        await store.create("before", record_of("7"), TTL)
        await store.revoke_user("7")
        await store.create("after", record_of("7"), TTL)
        assert [info.key for info in await store.sessions_of("7")] == ["after"]

    @pytest.mark.gen_test
    async def test_logins_at_the_time_of_a_revoke_are_listed_or_ended(
        self, store: SessionStore
    ) -> None:
        """None is live and yet unknown to the next revoke."""

        async def login(number: int) -> None:
            await store.create(f"key{number}", record_of("7"), TTL)

        logins = [login(number) for number in range(20)]
        revokes = [store.revoke_user("7") for _ in range(3)]
        done = await asyncio.gather(*logins[:10], *revokes, *logins[10:], return_exceptions=True)
        assert all(isinstance(result, (SessionGone, int, type(None))) for result in done)
        await store.revoke_user("7")
        for number in range(20):
            assert await store.load(f"key{number}") is None
