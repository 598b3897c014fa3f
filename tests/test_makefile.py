"""What `make` does on machines that lack something, seen through stand-ins for their programs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKE = shutil.which("make") or "make"

# This very Python, on a machine where something is different.
PYTHON = f"""#!/bin/sh
[ "$1" = -c ] || exit 2
exec {sys.executable} -c 'import sys; {{difference}}; exec(sys.argv[1])' "$2"
"""
OLD = PYTHON.format(difference="sys.version_info = (3, 9, 2)")
WITHOUT_VENV = PYTHON.format(difference='sys.modules["ensurepip"] = None')

# A Python that makes a venv whose Python only notes down how it was called.
GOOD = f"""#!/bin/sh
[ "$1" != -c ] || exec {sys.executable} "$@"
/bin/mkdir -p .venv/bin
printf '#!/bin/sh\\necho "$@" >>calls\\nexit $STATUS\\n' >.venv/bin/python
/bin/chmod +x .venv/bin/python
"""
NOTES_ITSELF = '#!/bin/sh\necho "{name} $DEBIAN_FRONTEND $@" >>calls\n'

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The only directory on the PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("touch", "env"):
        (programs / name).symlink_to(shutil.which(name) or name)
    return programs


@pytest.fixture
def make(tmp_path: Path, programs: Path) -> Make:
    """Run `make` in a copy of what it needs."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)

    def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MAKE, *arguments],
            cwd=tmp_path,
            env={"PATH": str(programs), "STATUS": str(status)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], list[str]]:
    """Return what the stand-ins noted down since the last call."""

    def read() -> list[str]:
        path = tmp_path / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    return read


def install(programs: Path, **scripts: str) -> None:
    for name, script in scripts.items():
        path = programs / name.replace("_", "-").replace("python3-", "python3.")
        path.write_text(script)
        path.chmod(0o755)


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what was printed, without the line that `make` adds to every failure."""
    return [line for line in (done.stdout + done.stderr).splitlines() if "***" not in line]


def test_a_python_that_is_too_old_is_one_line(programs: Path, make: Make) -> None:
    install(programs, python3=OLD)
    done = make("demo")
    assert done.returncode != 0
    assert said(done) == [
        "Python 3.11 or later is needed, and none of these is: "
        "python3 python3.13 python3.12 python3.11"
    ]


def test_no_python_at_all_is_the_same_line(make: Make) -> None:
    done = make("demo")
    assert done.returncode != 0
    assert said(done)[0].startswith("Python 3.11 or later is needed")


def test_a_python_without_venv_is_one_line(programs: Path, make: Make) -> None:
    install(programs, python3=WITHOUT_VENV)
    done = make("demo")
    assert done.returncode != 0
    assert said(done) == ["python3 has no venv; on Debian: apt-get install python3-venv"]


@pytest.mark.parametrize("unfit", [OLD, WITHOUT_VENV])
def test_a_later_python_is_found_where_python3_will_not_do(
    programs: Path, make: Make, unfit: str
) -> None:
    install(programs, python3=unfit, python3_12=GOOD)
    assert make("demo").returncode == 0


def test_a_python_that_was_named_is_the_only_one_tried(programs: Path, make: Make) -> None:
    install(programs, python3=GOOD, python3_9=OLD)
    done = make("demo", "PYTHON=python3.9")
    assert done.returncode != 0
    assert said(done) == ["Python 3.11 or later is needed, and none of these is: python3.9"]


def test_demo_installs_once_and_runs_on_the_port(
    programs: Path, make: Make, calls: Callable[[], list[str]]
) -> None:
    install(programs, python3=GOOD)
    make("demo")
    first = calls()
    assert first[0].startswith("-m pip install")
    assert first[0].endswith("--editable .[demo]")
    assert first[1:] == ["-m demo_app --port 8888"]
    make("demo", "PORT=9000")
    assert calls() == ["-m demo_app --port 9000"]


def test_demo_installs_again_when_pyproject_changed(
    programs: Path, make: Make, calls: Callable[[], list[str]], tmp_path: Path
) -> None:
    install(programs, python3=GOOD)
    make("demo")
    later = (tmp_path / ".venv/.installed-demo").stat().st_mtime + 10
    os.utime(tmp_path / "pyproject.toml", (later, later))
    calls()
    make("demo")
    assert [call.split()[1] for call in calls()] == ["pip", "demo_app"]


def test_an_installation_that_failed_is_tried_again(
    programs: Path, make: Make, calls: Callable[[], list[str]]
) -> None:
    install(programs, python3=GOOD)
    assert make("demo", status=1).returncode != 0
    assert [call.split()[1] for call in calls()] == ["pip"]
    make("demo")
    assert [call.split()[1] for call in calls()] == ["pip", "demo_app"]


def test_demo_full_takes_the_driver(
    programs: Path, make: Make, calls: Callable[[], list[str]]
) -> None:
    install(programs, python3=GOOD, redis_server="", mariadbd="")
    make("demo-full", "DB=mysql+tornado")
    assert calls()[1] == "-m demo_app.full --port 8888 --database mysql+tornado"


def test_bench_takes_the_topic(programs: Path, make: Make, calls: Callable[[], list[str]]) -> None:
    install(programs, python3=GOOD, redis_server="", mariadbd="")
    make("bench", "TOPIC=memory")
    assert calls()[1] == "-m benchmarks memory"


def test_missing_programs_are_installed_by_root_and_their_services_stopped(
    programs: Path, make: Make, calls: Callable[[], list[str]]
) -> None:
    notes = {name: NOTES_ITSELF.format(name=name) for name in ("apt-get", "service")}
    install(programs, python3=GOOD, id="#!/bin/sh\necho 0", mariadbd="")
    install(programs, apt_get=notes["apt-get"], service=notes["service"])
    assert make("demo-full").returncode == 0
    assert calls()[:3] == [
        "apt-get  update",
        "apt-get noninteractive install -y --no-install-recommends redis-server",
        "service  redis-server stop",
    ]


def test_what_is_there_is_not_installed(
    programs: Path, make: Make, calls: Callable[[], list[str]]
) -> None:
    install(programs, python3=GOOD, redis_server="", mariadbd="", apt_get="#!/bin/sh\nexit 1")
    assert make("demo-full").returncode == 0
    assert [call.split()[1] for call in calls()] == ["pip", "demo_app.full"]


def test_without_root_or_sudo_the_one_line_to_run_is_printed(programs: Path, make: Make) -> None:
    install(programs, id="#!/bin/sh\necho 1000", apt_get="", mariadbd="", chromium="")
    done = make("test")
    assert done.returncode != 0
    assert said(done) == [
        "Run this first: sudo apt-get update && sudo apt-get install -y --no-install-recommends "
        "redis-server chromium-driver"
    ]


def test_where_there_is_no_apt_the_packages_are_named(programs: Path, make: Make) -> None:
    install(programs, mariadbd="")
    done = make("demo-full")
    assert done.returncode != 0
    assert said(done) == ["Install these first: redis-server"]


def test_help_is_the_default_and_lists_the_commands(programs: Path, make: Make) -> None:
    (programs / "awk").symlink_to(shutil.which("awk") or "awk")
    commands = " ".join(line.split()[1] for line in make().stdout.splitlines())
    assert commands == (
        "help demo demo-full test test-long test-package test-lowest test-newest chaos simulate "
        "lint api docs bench clean"
    )


def test_ci_runs_exactly_make_test(programs: Path) -> None:
    install(programs, make='#!/bin/sh\necho "$PWD: make $@"')
    path = f"{programs}:{os.environ['PATH']}"
    command = [ROOT / ".ci" / "run"]
    done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout == f"{ROOT}: make test\n"
