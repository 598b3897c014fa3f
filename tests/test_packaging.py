"""The wheel: what is in it, and what it does in a venv that has Tornado and nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
# For pytest alone: a plugin, and tests to inherit.
NEED_PYTEST = {"tornado_ext.testing.fixtures", "tornado_ext.testing.store_suite"}

IMPORT_ALL = f"""
import importlib, pkgutil, sys, tornado_ext
for module in pkgutil.walk_packages(tornado_ext.__path__, "tornado_ext."):
    if module.name not in {NEED_PYTEST!r}:
        importlib.import_module(module.name)
        print(module.name)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, for a build writes into its source."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("tornado_ext", "demo_app", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", source / "dist", source]
    run(Path(sys.executable), *command)
    (wheel,) = (source / "dist").iterdir()
    return wheel


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a venv into which the wheel was installed."""
    venv = tmp_path_factory.mktemp("venv")
    run(Path(sys.executable), "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    run(Path(sys.executable), "-m", "pip", "--python", python, "install", "-qq", wheel)
    return python


def run(python: Path, *arguments: str | Path) -> str:
    """Run Python in an empty environment; return what it printed."""
    done = subprocess.run(
        [python, *arguments], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    packaged = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packaged == {
        str(path.relative_to(ROOT))
        for package in ("tornado_ext", "demo_app")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_is_typed_and_licensed(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert "tornado_ext/py.typed" in names
    assert "tornado_ext/forms/locale/zh_CN.csv" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_changelog_tells_of_this_version_first(wheel: Path) -> None:
    told = re.search(r"^## \[(.+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert told is not None
    assert wheel.name.startswith(f"tornado_ext-{told[1]}-py3")


def test_tornado_alone_comes_with_it(python: Path) -> None:
    installed = run(
        Path(sys.executable), "-m", "pip", "--python", python, "list", "--format=freeze"
    )
    assert {line.partition("==")[0] for line in installed.split()} == {"tornado", "tornado-ext"}


def test_every_module_imports_with_tornado_alone(python: Path) -> None:
    imported = run(python, "-c", IMPORT_ALL).split()
    assert {"tornado_ext.sessions.redis", "tornado_ext.mysql", "tornado_ext.testing"} < set(
        imported
    )


@pytest.mark.parametrize(
    ("module", "make", "extra"),
    [
        ("sessions.redis", "RedisStore('redis://127.0.0.1')", "redis"),
        ("sessions.sharded", "ShardedRedisStore({'a': 'redis://127.0.0.1'})", "redis"),
        ("rooms", "RedisBus('redis://127.0.0.1')", "redis"),
        ("middleware", "RateLimit(1, redis='redis://127.0.0.1', name='x')", "redis"),
        ("mysql", "Database('mysql://u:p@127.0.0.1/d')", "mysql"),
        ("mysql", "Database('mysql+tornado://u:p@127.0.0.1/d')", "tornado-mysql"),
    ],
)
def test_making_what_needs_an_extra_names_the_command_that_installs_it(
    python: Path, module: str, make: str, extra: str
) -> None:
    code = f"""
from tornado_ext.errors import MissingExtra
from tornado_ext.{module} import {make.partition("(")[0]}
try:
    {make}
except MissingExtra as exc:
    print(exc)
"""
    assert f"pip install 'tornado-ext[{extra}]'" in run(python, "-c", code)


def test_the_demo_starts_without_a_client_of_redis_or_mysql() -> None:
    clients = ["redis", "hiredis", "uhashring", "asyncmy", "tornado_mysql", "cryptography"]
    code = f"""
import sys
sys.modules.update(dict.fromkeys({clients}))
import demo_app.__main__
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
