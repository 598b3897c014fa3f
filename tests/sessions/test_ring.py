"""Where the ring puts keys."""

from collections import Counter
from itertools import pairwise

import pytest
import uhashring

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions.ring import VNODES, Ring

KEYS = [f"key{number}" for number in range(20_000)]


def placed(ring: Ring) -> dict[str, str]:
    return {key: ring.owners(key)[0] for key in KEYS}


@pytest.mark.parametrize("prefix", ["", "node", "redis-", "10.0.0."])
def test_equal_nodes_get_equal_shares(prefix: str) -> None:
    ring = Ring(f"{prefix}{number}" for number in range(10))
    shares = Counter(placed(ring).values())
    assert max(shares.values()) < 1.10 * len(KEYS) / 10


def test_weight_2_gets_two_shares() -> None:
    shares = Counter(placed(Ring("abc", {"a": 2})).values())
    assert 0.45 < shares["a"] / len(KEYS) < 0.55


def test_new_node_moves_keys_only_to_itself_and_about_its_share() -> None:
    before, after = placed(Ring("abc")), placed(Ring("abcd"))
    moved = [key for key in KEYS if before[key] != after[key]]
    assert {after[key] for key in moved} == {"d"}
    assert 0.20 < len(moved) / len(KEYS) < 0.30


def test_place_depends_on_the_names_and_not_on_their_order() -> None:
    assert placed(Ring("abc")) == placed(Ring("cab"))


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_owners_are_those_of_uhashring(replicas: int) -> None:
    weights = {"a": 2, "b": 1, "c": 3, "d": 1}
    ring = Ring("abcd", weights, replicas)
    other = uhashring.HashRing(
        nodes={name: {"weight": weight} for name, weight in weights.items()}, vnodes=VNODES
    )
    for key in KEYS[:2000]:
        names = [node["nodename"] for node in other.range(key, size=replicas)]
        assert ring.owners(key) == tuple(names)


def test_described_ring_is_the_same() -> None:
    ring = Ring("cab", {"a": 2}, 3)
    assert Ring.described(ring.description).owners("key") == ring.owners("key")
    assert Ring("abc", {"a": 2}, 3).description == ring.description


def test_owners_before_and_after_a_change_share_a_node() -> None:
    rings = [Ring("abc"), Ring("abcd"), Ring("abcd", {"a": 2}), Ring("bcd")]
    for before, after in pairwise(rings):
        assert all(set(before.owners(key)) & set(after.owners(key)) for key in KEYS)


@pytest.mark.parametrize(
    ("nodes", "weights", "sentence"),
    [
        ([], {}, "nodes must name one node at least"),
        (["a"], {"b": 1}, "weights has 'b', which is none of the nodes"),
        (["a"], {"a": 0}, r"weights\['a'\] must be a whole number above 0, not 0"),
        (["a"], {"a": -1}, "not -1"),
        (["a"], {"a": 1.5}, r"not 1\.5"),
        (["a"], {"a": True}, "not True"),
        (["a"], {"a": "2"}, "not '2'"),
    ],
)
def test_what_cannot_be_right_is_refused(
    nodes: list[str], weights: dict[str, int], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Ring(nodes, weights)


@pytest.mark.parametrize(
    ("replicas", "sentence"),
    [
        (3, "replicas is 3, and there are 2 nodes"),
        (0, "replicas must be a whole number above 0, not 0"),
        (1.0, r"not 1\.0"),
        (True, "not True"),
    ],
)
def test_replicas_that_cannot_be_are_refused(replicas: int, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Ring("ab", replicas=replicas)


def test_name_given_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nodes has 'a' more than once"):
        Ring(["a", "b", "a"])
