"""One row of a result."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


class Row(Mapping[str, Any]):
    """Read the columns of one row, as ``row["name"]`` or ``row.name``.

    A mapping in the order of the columns; ``dict(row)`` makes a dict of it. Of two columns with
    one name the last counts. A column that is named like a method of mappings (``items``) or
    starts with ``_`` is reached as ``row["items"]`` alone. Values are typed Any: only the query
    knows.
    """

    __slots__ = ("_columns", "_values")

    _columns: Mapping[str, int]  # positions by name, shared by the rows of a result
    _values: tuple[object, ...]

    def __getitem__(self, name: str) -> Any:
        return self._values[self._columns[name]]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._columns:
            return self[name]
        raise AttributeError(f"the row has no column {name!r}", name=name, obj=self)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Row({dict(self)!r})"


def make_rows(
    columns: Iterable[Sequence[Any]] | None, rows: Iterable[tuple[object, ...]] | None
) -> list[Row]:
    """Make a `Row` of each tuple. ``columns`` have their names first. None is no rows."""
    places: dict[str, int] = {}
    for place, column in enumerate(columns or ()):
        places[column[0]] = place
    made = []
    for values in rows or ():
        row = Row()  # an __init__ would take half of the time
        row._columns = places
        row._values = values
        made.append(row)
    return made
