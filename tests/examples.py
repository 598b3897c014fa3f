"""What tests need of docs/examples: each as a module or a process, and the pages that quote it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
CLIENTS = {"redis": ["redis", "hiredis", "uhashring"], "mysql": ["asyncmy"]}  # of each extra


def example(name: str) -> Any:
    """Return an example as a module: "routes", or "tutorial/step1"."""
    spec = spec_from_file_location(name, program(name))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(name: str) -> Path:
    """Return the path of an example."""
    return DOCS / ("" if "/" in name else "examples") / f"{name}.py"


@contextmanager
def started(name: str, *arguments: str) -> Iterator[list[str]]:
    """Run an example as a program until the end of the block, with what its first lines name.

    Yield the lines that it prints up to the one that ends with the URL where it serves.
    """
    command = [sys.executable, str(program(name)), *arguments]
    with (
        TemporaryDirectory() as directory,
        subprocess.Popen(
            command,
            cwd=directory,
            env=environment(directory, command[1]),
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        lines: list[str] = []
        while not re.search("http://[0-9.:]+$", lines[-1] if lines else ""):
            line = process.stdout.readline()
            assert line, f"{command} ended after it had printed {lines}"
            lines.append(line.strip())
        try:
            yield lines
        finally:
            process.terminate()


def environment(directory: str, example: str) -> dict[str, str]:
    """Return one in which Python finds no client library that the example does not ask for."""
    with open(example) as lines:
        named = re.findall(r"tornado-ext\[(\w+)\]", lines.readline())
    others = [each for extra, clients in CLIENTS.items() if extra not in named for each in clients]
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({others}))\n"
    Path(directory, "sitecustomize.py").write_text(blocked)
    return os.environ | {"PYTHONPATH": directory}


def quoted_classes(page: str) -> list[str]:
    """Return the Python blocks of a page that define a class."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    return [block for block in blocks if block.startswith("class ")]
