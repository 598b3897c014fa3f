"""The package as it is released: built, checked, and installed with each extra alone.

It needs the network, and is no part of `make test`: `make test-package`.
"""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.test_packaging import IMPORT_ALL, ROOT, run
from tornado_ext import __version__

PEOPLE = ["tornado_ext", "demo_app", "docs", "tests", "benchmarks"]
FILES = [
    "pyproject.toml",
    "setup.cfg",
    "README.md",
    "README.zh.md",
    "LICENSE",
    "CHANGELOG.md",
    "SECURITY.md",
]

# What each extra makes possible, and the others don't.
MAKES = {
    "": "from tornado_ext.sessions import MemoryStore; MemoryStore()",
    "redis": "from tornado_ext.sessions.sharded import ShardedRedisStore as S\n"
    "from tornado_ext.rooms import RedisBus\n"
    "S({'a': 'redis://127.0.0.1', 'b': 'redis://127.0.0.2'}); RedisBus('redis://127.0.0.1')",
    "mysql": "from tornado_ext.mysql import Database; Database('mysql://u:p@127.0.0.1/d')",
    "tornado-mysql": "from tornado_ext.mysql import Database\n"
    "Database('mysql+tornado://u:p@127.0.0.1/d')",
    "demo": "import argparse, demo_app.__main__",
    "all": "import demo_app.full",
}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a release uploads, built in an environment of its own."""
    source = tmp_path_factory.mktemp("source")
    for name in FILES:
        shutil.copy(ROOT / name, source)
    for name in PEOPLE:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    run(Path(sys.executable), "-m", "build", "--outdir", source / "dist", source)
    return source / "dist"


def test_a_wheel_and_its_source_are_built_and_fit_to_be_uploaded(dist: Path) -> None:
    files = sorted(dist.iterdir())
    assert [path.name for path in files] == [
        f"tornado_ext-{__version__}-py3-none-any.whl",
        f"tornado_ext-{__version__}.tar.gz",
    ]
    run(Path(sys.executable), "-m", "twine", "check", "--strict", *files)


def test_the_source_has_what_the_wheel_is_made_of(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "tornado_ext/py.typed"} <= names


@pytest.mark.parametrize("extra", MAKES)
def test_each_extra_alone_brings_what_its_part_needs(
    dist: Path, tmp_path: Path, extra: str
) -> None:
    (wheel,) = dist.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    python = tmp_path / "bin" / "python"
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    run(Path(sys.executable), "-m", "pip", "--python", python, "install", "-qq", wanted)
    assert "tornado_ext.sessions.redis" in run(python, "-c", IMPORT_ALL).split()
    run(python, "-c", MAKES[extra])
    others = [other for other in ("redis", "mysql", "tornado-mysql") if other != extra]
    if extra != "all":
        for other in others:
            done = subprocess.run(
                [python, "-c", MAKES[other]], capture_output=True, text=True, check=False
            )
            assert f"pip install 'tornado-ext[{other}]'" in done.stderr
