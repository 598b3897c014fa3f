"""Libraries that only some users need, imported when something that needs them is made."""

from importlib import import_module
from typing import Any

from tornado_ext.errors import MissingExtra


def require(module: str, extra: str) -> Any:
    """Import ``module``, or raise `MissingExtra` with the command that installs ``extra``."""
    try:
        return import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtra(
            f"{module} is not installed: pip install 'tornado-ext[{extra}]'", name=exc.name
        ) from exc
