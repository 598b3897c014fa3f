"""The tables of docs/endings.md; its prose is written by hand."""

from collections.abc import Iterable
from pathlib import Path

from tests.middleware.endings.ending import Ending
from tests.middleware.endings.table import ENDINGS

PAGE = Path(__file__).parents[3] / "docs" / "endings.md"
BEGIN, END = "<!-- tables -->\n", "<!-- end of tables -->\n"
HOOKS = ("process_request", "process_exception", "process_response")
COLUMNS = (
    "",
    "status",
    *(f"`{hook}`" for hook in HOOKS),
    "headers",
    "`write()`",
    "`process_finish`",
)


def page() -> str:
    """Return the page with its tables written anew."""
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    tables = "\n".join(table(group, endings) for group, endings in ENDINGS.items())
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def table(group: str, endings: list[Ending]) -> str:
    head = f"{line(COLUMNS)}|{'---|' * len(COLUMNS)}\n"
    return f"## {group}\n\n{head}" + "".join(line(cells(ending)) for ending in endings)


def line(columns: Iterable[str]) -> str:
    return f"| {' | '.join(columns)} |\n"


def cells(ending: Ending) -> list[str]:
    return [
        ending.name,
        str(ending.status or "-"),
        letters(ending.request),
        exception(ending),
        letters(ending.response),
        headers(ending),
        written(ending),
        finish(ending),
    ]


def letters(middleware: str) -> str:
    return " ".join(middleware) or "-"


def exception(ending: Ending) -> str:
    return letters(ending.exception) + (", if `def`" if ending.before_prepare else "")


def headers(ending: Ending) -> str:
    if ending.headers_arrived == ending.cookies_arrived:
        return letters(ending.headers_arrived)
    return f"{letters(ending.headers_arrived)}; cookies {letters(ending.cookies_arrived)}"


def written(ending: Ending) -> str:
    if not ending.headers_arrived:
        return "-"
    before, placed, after = ending.body.partition("{}")
    if not placed:
        return "dropped" if before else "no body"
    return "in the middle" if before and after else "at the start" if after else "at the end"


def finish(ending: Ending) -> str:
    status = f": {ending.finish_status}" if ending.finish_status else ""
    return letters(ending.finish) + status
