"""The documentation as a site: no warning, no link that leads nowhere, nothing loaded."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest
from tornado.web import StaticFileHandler

from tests import api
from tests.examples import DOCS

ROOT = DOCS.parent
# Not for users: what SessionMixin tells a session; and what the first page of the reference says.
NOT_SHOWN = {"tornado_ext.sessions.Session.cookie_due", "tornado_ext.sessions.Session.sealed"}
NOT_SHOWN |= {"tornado_ext.__version__"}
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """What Sphinx has read of all pages and docstrings; `make docs` writes the pages, too."""
    read = tmp_path_factory.mktemp("read")
    command = [sys.executable, "-m", "sphinx", "-b", "dummy", "-W", "--keep-going", "-q"]
    command += ["-D", "smartquotes=0"]  # a fifth of its time
    done = subprocess.run(
        [*command, "-d", read, DOCS, read / "site"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return read, done


def test_sphinx_has_nothing_to_complain_about(built: Any) -> None:
    """Every link and every name in a docstring leads somewhere; every page is led to."""
    _, done = built
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_reference_has_every_public_name(built: Any) -> None:
    """Each by itself, or as an argument or in what is said of its class."""
    read, _ = built
    shown = pickle.loads((read / "environment.pickle").read_bytes()).domaindata["py"]["objects"]
    # But for what Tornado's handlers have too.
    lines = api_lines()
    missing = [
        name
        for name in lines.keys() - shown.keys() - NOT_SHOWN
        if not is_told(name, lines) and not hasattr(StaticFileHandler, name.rpartition(".")[2])
    ]
    assert missing == []


def api_lines() -> dict[str, str]:
    """Return the lines of the snapshot of the API by the names of which they tell."""
    lines = api.describe().splitlines()
    return {re.split(r"[^\w.]", line)[0]: line for line in lines}


def is_told(name: str, lines: dict[str, str]) -> bool:
    """Tell whether a class takes an argument of this name, or says what its attribute is."""
    owner, _, attribute = name.rpartition(".")
    if not isinstance(cls := locate(owner), type):
        return False
    said = [lines[owner], *(f"{base.__doc__} {base.__init__.__doc__}" for base in cls.__mro__[:-1])]
    return re.search(rf"\b{attribute}\b", " ".join(said)) is not None


def check(site: Path, **pages: str) -> list[str]:
    """Return what is said of a site with these pages."""
    for name, html in pages.items():
        (site / f"{name}.html").write_text(html)
    command = [sys.executable, DOCS / "_site" / "check.py", site]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr.splitlines()


def test_links_of_the_site_that_lead_somewhere_are_fine(tmp_path: Path) -> None:
    index = (
        '<a href="other.html#there">x</a><a href="#here" id="here">x</a><a href="https://x.org">'
    )
    assert check(tmp_path, index=index, other='<h1 id="there">x</h1>') == []


@pytest.mark.parametrize(
    ("html", "wrong"),
    [
        ('<a href="gone.html">x</a>', "links to gone.html, which is not there"),
        ('<a href="#gone">x</a>', "links to #gone, which has no such heading"),
        ('<script src="https://x.org/a.js"></script>', "loads https://x.org/a.js"),
        ('<link rel="stylesheet" href="//x.org/a.css">', "loads //x.org/a.css"),
        ('<img src="gone.png">', "links to gone.png, which is not there"),
    ],
)
def test_what_is_wrong_with_the_site_is_told(tmp_path: Path, html: str, wrong: str) -> None:
    assert check(tmp_path, index=html) == [f"index.html {wrong}"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_files_of_the_repository_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if heading and file.suffix == ".md":
            assert heading in headings(file), target


def headings(page: Path) -> set[str]:
    """Return what links to the headings of a page end with."""
    lines = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", ["course.md", "course.zh.md"])
def test_the_course_has_every_example(page: str) -> None:
    shown = re.findall(r"\[(\w+)\.py\]\(examples/\1\.py\)", (DOCS / page).read_text())
    assert sorted(shown) == sorted(path.stem for path in (DOCS / "examples").glob("*.py"))
