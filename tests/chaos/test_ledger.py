from tests.chaos.ledger import Kept


def test_what_was_acknowledged_must_be_there() -> None:
    kept = Kept({"a": "1"})
    kept.wrote("a", [("2", True)])
    assert kept.read({"a": "2"}) == []
    assert kept.read({"a": "1"}) == ["a is '1', not {'2'}"]


def test_what_was_not_acknowledged_may_be_there_or_not() -> None:
    kept = Kept({"a": "1"})
    kept.wrote("a", [("2", False)])
    assert kept.read({"a": "1"}) == kept.read({"a": "2"}) == []
    kept.wrote("a", [("3", True)])
    assert kept.read({"a": "2"}) != []


def test_any_of_the_writes_at_one_time_may_have_won() -> None:
    kept = Kept({"a": "1"})
    kept.wrote("a", [("2", True), ("3", False)])
    assert kept.read({"a": "2"}) == kept.read({"a": "3"}) == []
    assert kept.read({"a": "1"}) != []


def test_what_was_deleted_must_not_be_there() -> None:
    kept = Kept({"a": "1"})
    kept.wrote("a", [(None, True)])
    assert kept.read({}) == []
    assert kept.read({"a": "1"}) != []


def test_a_loss_is_told_once() -> None:
    kept = Kept({"a": "1", "b": "1"})
    assert len(kept.read({"count": 4})) == 3
    assert kept.read({"count": 4}) == []


def test_increments_must_follow_each_other() -> None:
    kept = Kept({})
    assert not kept.counted([2, 1])
    assert not kept.counted([3])
    assert kept.counted([3])
    assert kept.counted([5, 5])
    assert kept.read({"count": 5}) == []


def test_increments_must_not_be_skipped() -> None:
    assert Kept({}).counted([None, 2]) == ""
    assert Kept({}).counted([1, 3]) != ""


def test_an_increment_without_an_answer_may_count_or_not() -> None:
    kept = Kept({})
    kept.counted([1, None])
    assert kept.count == {1, 2}
    assert not kept.counted([2])
    assert kept.read({"count": 1}) != []


def test_a_message_is_shown_once() -> None:
    kept = Kept({})
    kept.flashed("m", True)
    assert kept.popped(["m"]) == []
    assert kept.popped(["m"]) == ["message 'm' is shown again"]
    assert kept.popped([]) == []


def test_a_message_that_is_not_shown_is_lost() -> None:
    kept = Kept({})
    kept.flashed("m", True)
    assert kept.popped([]) == ["message 'm' is lost"]


def test_a_message_may_be_lost_with_the_reply_that_had_it_or_that_took_it() -> None:
    kept = Kept({})
    kept.flashed("m", False)
    kept.flashed("n", True)
    assert kept.popped(None) == []
    assert kept.popped(["n"]) == []
    assert kept.popped(["m"]) == []
