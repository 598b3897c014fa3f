"""The Lua scripts of ShardedRedisStore, each by itself, on a real Redis."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis

from tornado_ext.sessions._sharding import scripts
from tornado_ext.sessions._sharding.scripts import BUSY, FULL, GONE, LEASE_LOST, MISSING, TOO_LARGE
from tornado_ext.sessions.ring._rebalance import REMOVE

TTL, LONG = 60_000, 600_000  # milliseconds
MARKS = ["missed:b"]
DAY = 86_400_000
FIRST, SECOND, THIRD, FOURTH = (f"{time:014x}writer" for time in (10, 20, 30, 40))

Copy = dict[str, str]


class Copies:
    """Runs the scripts on a copy, by default "s"."""

    def __init__(self, client: "redis.Redis") -> None:
        self.redis = client

    def run(self, script: str, keys: Sequence[str], *args: object) -> Any:
        return self.redis.eval(script, len(keys), *keys, *args)  # type: ignore[arg-type]

    def write(
        self, script: str, stamp: str, *args: object, ttl: int = TTL, marks: Sequence[str] = ()
    ) -> Any:
        return self.run(script, ["s", *marks], ttl, "session:s", stamp, *args)

    def create(self, stamp: str = FIRST, **kwargs: Any) -> Any:
        head = "made", "1.5 9e9", "seen", "2.5", "size", "2", "keys", "1"
        return self.write(scripts.CREATE, stamp, *head, ":a", f"{stamp}1", **kwargs)

    def save(
        self,
        stamp: str,
        *texts: str,
        seen: float = 3.5,
        fence: object = "",
        limits: tuple[int, int] = (1000, 100),
        listed_for: object = "",
        **kwargs: Any,
    ) -> Any:
        args = seen, fence, *limits, listed_for, *texts
        return self.write(scripts.SAVE, stamp, *args, **kwargs)

    def repeat(self, stamp: str, *texts: str, **kwargs: Any) -> Any:
        return self.save(stamp, *texts, limits=(0, 0), **kwargs)

    def bury(self, kind: str, what: str = "any", **kwargs: Any) -> Any:
        return self.write(scripts.BURY, FOURTH, kind, what, **kwargs)[0]

    def lease(
        self, fence: int = 0, verb: str = "ask", lasts: int = TTL, marks: Sequence[str] = ()
    ) -> Any:
        return self.write(scripts.LEASE, FIRST, lasts, fence, verb, marks=marks)

    def merge(self, copy: Copy, ttl: int = TTL) -> Any:
        items = [part for pair in copy.items() for part in pair]
        (done,) = self.run(scripts.MERGE, ["s"], "hash", ttl, len(items), *items)
        return done

    @property
    def copy(self) -> Copy:
        return self.redis.hgetall("s")  # type: ignore[return-value]

    @property
    def left(self) -> Any:
        return self.redis.pttl("s")

    @property
    def marks(self) -> Any:
        return self.redis.hgetall("missed:b")


@pytest.fixture
def copies(redis_url: str) -> Iterator[Copies]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield Copies(client)
        client.config_set("maxmemory", 0)


@pytest.fixture
def made(copies: Copies) -> Copies:
    """A copy with ``a``."""
    copies.create()
    return copies


def other(**kept: str) -> Copy:
    """Return another copy of the same session."""
    held = {"made": "1.5 9e9", "born": FIRST, "seen": "2.5", "size": "0", "keys": "0", **kept}
    return {name.replace("_", ":", 1) if name[0] == "_" else name: held[name] for name in held}


# CREATE


def test_create_that_is_sent_again_is_done_and_sets_its_marks(made: Copies) -> None:
    assert made.create(marks=MARKS) == 1
    assert made.marks == {"session:s": FIRST}


def test_create_changes_nothing_of_another_write(made: Copies) -> None:
    before = made.copy
    assert made.create(SECOND, marks=MARKS) == MISSING
    assert (made.copy, made.marks) == (before, {})


def test_create_meets_a_tombstone(copies: Copies) -> None:
    copies.bury("revoked")
    assert copies.create(marks=MARKS) == GONE
    assert (copies.copy, copies.marks) == ({"gone": "revoked"}, {})


def test_created_copy_ends(made: Copies) -> None:
    assert 0 < made.left <= TTL


# SAVE


def test_save_counts_bytes_and_keys(made: Copies) -> None:
    assert made.save(SECOND, ":bcd", "4567", ":a", "") == [FIRST, ":a"]
    assert (made.copy["size"], made.copy["keys"]) == ("7", "1")


@pytest.mark.parametrize("kind", ["ended", "replaced 9e9 x"])
def test_save_does_not_change_a_tombstone(made: Copies, kind: str) -> None:
    made.bury(kind)
    before = made.copy
    assert made.save(SECOND, ":a", "2") == GONE
    assert made.copy == before


def test_save_refuses_the_fence_of_another_lease(made: Copies) -> None:
    fence = made.lease()
    assert made.save(SECOND, ":a", "2", fence=fence + 1) == LEASE_LOST
    assert made.save(SECOND, ":a", "2", fence=fence) == [FIRST]


def test_save_refuses_a_fence_whose_lease_is_over(made: Copies) -> None:
    fence = made.lease()
    made.redis.hset("s", "until", 1)
    assert made.save(SECOND, ":a", "2", fence=fence) == LEASE_LOST
    assert made.copy[":a"] == f"{FIRST}1"


def test_repeated_save_changes_only_what_is_older(made: Copies) -> None:
    made.save(THIRD, ":a", "3")
    assert made.repeat(SECOND, ":a", "2", ":b", "2") == [THIRD]
    assert (made.copy[":a"], made.copy[":b"]) == (f"{THIRD}3", f"{SECOND}2")


def test_save_tells_the_highest_stamp_that_it_has_met(made: Copies) -> None:
    made.save(THIRD, ":b", "3")
    assert made.save(SECOND, ":a", "2", ":b", "2") == [THIRD]
    assert made.save(SECOND, ":a", "2", ":none", "2") == [SECOND]
    made.redis.hset("s", "purged", FOURTH)
    assert made.save(THIRD, ":a", "3", ":other", "3") == [FOURTH]


def test_save_that_is_sent_again_is_done_and_sets_its_marks(made: Copies) -> None:
    made.save(SECOND, ":a", "2")
    assert made.save(SECOND, ":a", "2", marks=MARKS) == [SECOND]
    assert made.marks == {"session:s": SECOND}


def test_repeated_save_knows_what_was_purged(made: Copies) -> None:
    made.redis.hset("s", "purged", THIRD)
    made.repeat(SECOND, ":b", "2")
    assert ":b" not in made.copy


def test_time_when_it_was_seen_does_not_go_back(made: Copies) -> None:
    made.save(SECOND, seen=10.5)
    made.save(THIRD, seen=9.5)
    assert made.copy["seen"] == "10.5"


def test_expiry_does_not_come_closer(made: Copies) -> None:
    made.save(SECOND, ttl=LONG)
    made.save(THIRD, ttl=TTL)
    assert made.left > TTL


@pytest.fixture
def deleting(made: Copies) -> Copies:
    """A copy that lists enough deletions, the last ones of FIRST."""
    for stamp, numbers in ((SECOND, range(20)), (FIRST, range(20, 40))):
        made.repeat(stamp, *(part for number in numbers for part in (f":{number}", "")))
    return made


def test_old_deletions_become_what_was_purged(deleting: Copies) -> None:
    deleting.save(THIRD, ":a", "3", listed_for=1)
    assert (deleting.copy["purged"], deleting.copy[":a"]) == (SECOND, f"{THIRD}3")
    assert [name for name in deleting.copy if name[0] == ":"] == [":a"]


def test_deletions_are_listed_for_some_time(deleting: Copies) -> None:
    (seconds, _) = deleting.redis.time()
    deleting.save(f"{seconds * 1_000_000:014x}writer", ":young", "", listed_for=LONG)
    assert [name for name in deleting.copy if name[0] == ":"] == [":a", ":young"]


def test_deletions_are_listed_where_something_may_be_missing(deleting: Copies) -> None:
    deleting.repeat(THIRD, ":a", "3")
    assert "purged" not in deleting.copy


def test_few_deletions_are_listed_for_ever(made: Copies) -> None:
    made.save(SECOND, ":a", "", ":b", "", listed_for=1)
    assert {":a", ":b"} < made.copy.keys()


@pytest.mark.parametrize("limits", [(3, 100), (1000, 1)], ids=["bytes", "keys"])
def test_save_that_would_exceed_a_limit_changes_nothing(
    made: Copies, limits: tuple[int, int]
) -> None:
    before = made.copy
    assert made.save(SECOND, ":b", "2", limits=limits, marks=MARKS) == TOO_LARGE
    assert (made.copy, made.marks) == (before, {})


# BURY


def test_tombstone_outlives_the_copy_that_it_replaces(copies: Copies) -> None:
    copies.create(ttl=LONG)
    copies.bury("ended")
    assert copies.left > TTL


def test_replaced_copy_keeps_its_fields(made: Copies) -> None:
    assert made.bury("replaced 9e9 x", "live") == 1
    assert made.copy[":a"] == f"{FIRST}1"


def test_ended_copy_keeps_nothing(made: Copies) -> None:
    assert made.bury("ended", "live") == 1
    assert made.copy == {"gone": "ended"}


def test_tombstone_stays_what_it_was_and_sets_marks_for_who_asks_again(made: Copies) -> None:
    made.bury("replaced 9e9 x", "live")
    assert made.bury("ended", "live", marks=MARKS) == GONE
    assert made.copy["gone"] == "replaced 9e9 x"
    assert made.marks == {"session:s": FOURTH}


def test_where_nothing_is_there_is_nothing_to_end(copies: Copies) -> None:
    assert copies.bury("ended", "live", marks=MARKS) == MISSING
    assert (copies.copy, copies.marks) == ({}, {})


def test_live_copy_is_not_missing(made: Copies) -> None:
    assert made.bury("revoked", "missing") == GONE
    assert "gone" not in made.copy


def test_full_redis_lets_go_of_a_copy_that_it_can_not_mark_as_replaced(made: Copies) -> None:
    made.redis.config_set("maxmemory", 1)
    assert made.bury("replaced 9e9 x", "live") == FULL
    made.redis.config_set("maxmemory", 0)
    assert made.copy == {}


# LEASE and RELEASE


def test_release_is_of_one_fence(made: Copies) -> None:
    fence = made.lease()
    made.run(scripts.RELEASE, ["s"], fence + 1)
    assert made.lease() == BUSY
    made.run(scripts.RELEASE, ["s"], fence)
    assert made.lease() > fence


def test_fence_is_above_the_last_one_and_not_below_what_is_asked_for(made: Copies) -> None:
    assert made.lease(1000) == 1000
    made.run(scripts.RELEASE, ["s"], 1000)
    assert made.lease(7) == 1001


def test_repeated_lease_takes_the_fence_that_it_is_given(made: Copies) -> None:
    assert made.lease(1000, "repeat") == 1000
    assert made.copy["fence"] == "1000"


def test_repeated_lease_is_refused_under_a_fence_below_the_last_one(made: Copies) -> None:
    made.lease(1000)
    made.run(scripts.RELEASE, ["s"], 1000)
    assert made.lease(999, "repeat") == BUSY
    assert made.copy["fence"] == "1000"


def test_lease_that_has_come_by_a_copy_is_taken_again_by_the_same(made: Copies) -> None:
    made.lease(1000)
    assert made.lease(1000, "repeat") == 1000


def test_lease_of_a_clock_that_was_put_back_is_over(made: Copies) -> None:
    made.lease(1000, lasts=TTL)
    made.redis.hincrby("s", "until", LONG)
    assert made.lease() == 1001


# MERGE


def test_merge_takes_the_lease_with_the_higher_fence(made: Copies) -> None:
    made.lease(1000)
    made.merge(other(fence="1001", until="8", lent="9"))
    assert [made.copy[name] for name in ("fence", "until", "lent")] == ["1001", "8", "9"]


@pytest.mark.parametrize("fence", ["1000", "999"])
def test_merge_keeps_the_lease_with_the_higher_fence(made: Copies, fence: str) -> None:
    made.lease(1000)
    made.merge(other(fence=fence, until="8", lent="9"))
    assert (made.copy["fence"], made.copy["lent"]) == ("1000", str(TTL))


def test_merge_takes_of_each_field_the_later_one_and_counts(made: Copies) -> None:
    made.save(THIRD, ":b", "33")
    made.merge(other(_a=f"{SECOND}222", _b=f"{SECOND}2", _c=f"{SECOND}4444"))
    kept = {name: text for name, text in made.copy.items() if name[0] == ":"}
    assert kept == {":a": f"{SECOND}222", ":b": f"{THIRD}33", ":c": f"{SECOND}4444"}
    assert (made.copy["size"], made.copy["keys"]) == ("12", "3")


def test_merge_deletes_what_the_other_has_purged(made: Copies) -> None:
    made.save(THIRD, ":b", "3")
    made.merge(other(purged=SECOND))
    kept = {name: text for name, text in made.copy.items() if name[0] == ":"}
    assert kept == {":b": f"{THIRD}3"}
    assert [made.copy[name] for name in ("size", "keys", "purged")] == ["2", "1", SECOND]


def test_merge_keeps_what_the_other_has_though_it_has_purged_later(made: Copies) -> None:
    made.merge(other(_a=f"{FIRST}1", purged=SECOND))
    assert made.copy[":a"] == f"{FIRST}1"


def test_merge_does_not_bring_back_what_was_purged(made: Copies) -> None:
    made.redis.hset("s", "purged", SECOND)
    made.merge(other(_b=f"{FIRST}1"))
    assert ":b" not in made.copy


@pytest.mark.parametrize(("theirs", "last"), [("9.5", "9.5"), ("10.5", "10.5"), ("1.5", "2.5")])
def test_merge_takes_the_last_time_that_it_was_seen(made: Copies, theirs: str, last: str) -> None:
    made.merge(other(seen=theirs))
    assert made.copy["seen"] == last


def test_merge_prolongs_and_never_shortens(made: Copies) -> None:
    made.merge(other(), ttl=LONG)
    assert made.left > TTL
    made.merge(other(), ttl=1000)
    assert made.left > TTL


def test_merged_tombstone_outlives_the_copy_that_it_replaces(copies: Copies) -> None:
    copies.create(ttl=LONG)
    assert copies.merge({"gone": "ended"}, ttl=1000) == 1
    assert copies.copy == {"gone": "ended"}
    assert copies.left > TTL


def test_merge_does_not_bring_a_copy_back(made: Copies) -> None:
    made.bury("ended")
    assert made.merge(other(_a=f"{THIRD}3")) == GONE
    assert made.copy == {"gone": "ended"}


def test_end_takes_the_place_of_what_was_replaced_and_is_not_replaced(made: Copies) -> None:
    made.bury("replaced 9e9 x")
    made.merge({"gone": "ended"})
    assert made.copy == {"gone": "ended"}
    made.merge({"gone": "replaced 9e9 x", ":a": f"{FIRST}1"})
    assert made.copy == {"gone": "ended"}


def test_merged_index_keeps_the_later_entry(copies: Copies) -> None:
    copies.redis.zadd("u", {"one": 5, "two": 5})
    copies.run(scripts.MERGE, ["u"], "zset", TTL, 6, "one", 4, "two", 6, "three", 1)
    assert copies.redis.zrange("u", 0, -1, withscores=True) == [
        ("three", 1.0),
        ("one", 5.0),
        ("two", 6.0),
    ]


# Of the index, the marks and the nodes.


def test_index_lives_as_long_as_the_longest_session(copies: Copies) -> None:
    for ttl in (LONG, TTL):
        copies.run(scripts.ENTER, ["u", *MARKS], ttl, "user:u", FIRST, "s", DAY)
    assert copies.redis.pttl("u") > TTL
    assert copies.marks == {"user:u": FIRST}


def test_mark_that_was_set_anew_stays(copies: Copies) -> None:
    copies.run(scripts.MARK, MARKS, TTL, "session:s", SECOND)
    copies.run(scripts.UNMARK, MARKS, "session:s", FIRST)
    assert copies.marks == {"session:s": SECOND}
    copies.run(scripts.UNMARK, MARKS, "session:s", SECOND)
    assert copies.marks == {}


def test_ring_that_was_not_told_for_long_is_forgotten(copies: Copies) -> None:
    copies.redis.zadd("rings", {"old": 1})
    _, rings, *_ = copies.run(scripts.LOOK, ["ring", "rings"], "new", 1000)
    assert rings == ["new"]


def test_who_only_looks_is_not_heard_of(copies: Copies) -> None:
    _, rings, *_ = copies.run(scripts.LOOK, ["ring", "rings"], "", 1000)
    assert rings == []


def test_full_redis_is_looked_at_all_the_same(copies: Copies) -> None:
    looked = copies.run(scripts.LOOK, ["ring", "rings", *MARKS], "new", 1000)
    assert looked == [[], ["new"], [0], 0]
    copies.redis.config_set("maxmemory", 1)
    looked = copies.run(scripts.LOOK, ["ring", "rings", *MARKS], "another", 1000)
    assert looked == [[], ["new"], [0], 1]


def test_full_node_says_so_to_one_that_is_not_to_be_heard_of_too(copies: Copies) -> None:
    assert copies.run(scripts.LOOK, ["ring", "rings", *MARKS], "", 1000) == [[], [], [0], 0]
    copies.redis.config_set("maxmemory", 1)
    assert copies.run(scripts.LOOK, ["ring", "rings", *MARKS], "", 1000) == [[], [], [0], 1]


def test_claim_is_of_one_until_it_ends(copies: Copies) -> None:
    claims = [copies.run(scripts.CLAIM, ["claim"], who, TTL) for who in ("one", "two", "one")]
    assert claims == [1, 0, 1]
    assert 0 < copies.redis.pttl("claim") <= TTL


def test_node_that_has_lost_what_it_was_filled_with_gets_no_marker(copies: Copies) -> None:
    assert copies.run(scripts.VOUCH, ["ring", "filling"], "plan", "node", "a") == 0
    copies.redis.hset("filling", mapping={"plan": "another"})
    assert copies.run(scripts.VOUCH, ["ring", "filling"], "plan", "node", "a") == 0
    assert copies.redis.exists("ring") == 0


def test_how_far_a_node_was_filled_is_noted_for_that_filling_alone(copies: Copies) -> None:
    assert copies.run(scripts.FILLED, ["filling"], "plan", "b", "done") == 0
    copies.redis.hset("filling", mapping={"plan": "another"})
    assert copies.run(scripts.FILLED, ["filling"], "plan", "b", "done") == 0
    assert copies.run(scripts.FILLED, ["filling"], "another", "b", "7") == 1
    assert copies.redis.hgetall("filling") == {"plan": "another", "b": "7"}


def test_node_that_was_filled_gets_its_marker(copies: Copies) -> None:
    copies.redis.hset("filling", mapping={"plan": "plan", "b": "done"})
    assert copies.run(scripts.VOUCH, ["ring", "filling"], "plan", "node", "a", "epoch", 1) == 1
    assert copies.redis.hgetall("ring") == {"node": "a", "epoch": "1"}
    assert copies.redis.exists("filling") == 0


# REMOVE


@pytest.mark.parametrize(
    ("heard", "ring", "removed"),
    [(["r"], "r", 1), (["r", "q"], "r", -1), (["q"], "r", -1), ([], "r", -1), (["r"], "q", -1)],
)
def test_copy_is_removed_where_no_other_ring_is_in_force(
    made: Copies, heard: list[str], ring: str, removed: int
) -> None:
    made.redis.hset("ring", "ring", ring)
    (seconds, _) = made.redis.time()
    for name in heard:
        made.redis.zadd("rings", {name: seconds * 1000})
    assert made.run(REMOVE, ["s", "ring", "rings"], "r", TTL) == removed
    assert made.redis.exists("s") == (removed != 1)
