"""What pages say of one another and of the tests, and that two languages say the same."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.examples import DOCS
from tornado_ext.sessions import policy

ROOT = DOCS.parent
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
TRANSLATED = [
    (ROOT / "README.md", ROOT / "README.zh.md"),
    (DOCS / "course.md", DOCS / "course.zh.md"),
]


def test_every_test_that_a_page_names_exists() -> None:
    programs = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "tornado_ext").rglob("*.py")]
    made = set(re.findall(r"def (test_\w+)", "\n".join(path.read_text() for path in programs)))
    named = {name for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text())}
    assert len(named) > 50
    assert named - made == set()


def test_every_test_file_that_a_page_names_exists() -> None:
    named = {path for page in PAGES for path in re.findall(r"\btests/[\w/]+\.py", page.read_text())}
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_requirement_of_sessions_names_a_test_or_the_application() -> None:
    rows = re.findall(r"^\| .* \|$", (DOCS / "sessions-security.md").read_text(), re.MULTILINE)
    bare = [row for row in rows if "`test_" not in row]
    assert [row for row in bare if "the application's" not in row] == [
        "| | requirement, in short | here | test |",
        "| what | what happens | test |",
    ]


def outline(page: Path) -> list[str]:
    """Return what a page is made of, in order, without its prose: the same in every language."""
    parts = []
    for block in re.split(r"(^```.*?^```)", page.read_text(), flags=re.DOTALL | re.MULTILINE):
        if block.startswith("```"):
            parts += [re.sub(r" +#.*", "", line) for line in block.splitlines()]
            continue
        for line in block.splitlines():
            parts += [*re.findall(r"^#+ ", line), "|" * line.count(" | ")]
            parts += [target.replace(".zh.", ".") for target in LINK.findall(line)]
            parts += re.findall(r"`[!-~]+`", line)
    return [part for part in parts if part]


@pytest.mark.parametrize(("english", "chinese"), TRANSLATED, ids=["readme", "course"])
def test_both_languages_have_the_same_parts_code_and_links(english: Path, chinese: Path) -> None:
    assert sorted(outline(english)) == sorted(outline(chinese))


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("failures.md", "one shard of `ShardedRedisStore`"),
        ("why-a-ring.md", "Why a ring, and why not Redis Cluster"),
        ("sharding.md", "## The guarantee"),
        ("benchmarks.md", "WTForms"),
    ],
)
def test_what_people_ask_first_is_one_click_from_the_readme(
    readme: str, answer: str, said: str
) -> None:
    linked = [ROOT / target for target in LINK.findall((ROOT / readme).read_text())]
    (page,) = {path for path in linked if path.name == answer}
    assert said in page.read_text()


def test_the_reference_has_every_setting() -> None:
    code = "".join(path.read_text() for path in (ROOT / "tornado_ext").rglob("*.py"))
    read = set(re.findall(r"settings\.get\(\s*\"(\w+)\"", code)) | set(policy.SETTINGS)
    assert len(read) > 10
    page = (DOCS / "reference/settings.md").read_text()
    assert [name for name in read if not re.search(rf"`{name}\b", page)] == []


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    named = {re.split(r"[^\w-]", each)[0] for each in sum(extras, project["dependencies"])}
    page = (DOCS / "dependencies.md").read_text()
    assert {
        name for name in named - {"tornado-ext"} if not re.search(rf"\b{name}\b", page)
    } == set()
