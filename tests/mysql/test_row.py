"""Rows: a mapping with attributes."""

import copy
import json

import pytest

from tornado_ext.mysql import Row
from tornado_ext.mysql._row import make_rows


def row(**values: object) -> Row:
    return make_rows([(name,) for name in values], [tuple(values.values())])[0]


def test_a_row_is_a_mapping_in_the_order_of_its_columns() -> None:
    assert list(row(b=1, a=2).items()) == [("b", 1), ("a", 2)]
    assert row(b=1, a=2) == {"a": 2, "b": 1}
    assert json.dumps(dict(row(b=1))) == '{"b": 1}'


def test_columns_are_attributes() -> None:
    assert row(name="ann").name == "ann"


def test_a_missing_column_is_named() -> None:
    with pytest.raises(AttributeError, match="no column 'nmae'"):
        _ = row(name="ann").nmae
    with pytest.raises(KeyError, match="nmae"):
        row(name="ann")["nmae"]


def test_a_column_named_like_a_method_is_reached_by_index() -> None:
    assert row(items=3)["items"] == 3
    assert list(row(items=3).items()) == [("items", 3)]


def test_a_row_can_be_copied() -> None:
    assert copy.deepcopy(row(a=[1])) == {"a": [1]}


def test_a_row_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        row(a=1)["a"] = 2  # type: ignore[index]
    with pytest.raises(AttributeError):
        row(a=1).a = 2
