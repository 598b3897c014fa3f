"""The public API as text: every name that a user may import, and what it takes.

``python -m tests.api`` (`make api`) writes it to api.txt, after a change that is meant.
"""

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

SNAPSHOT = Path(__file__).with_name("api.txt")

# Where users import from, and of a module that has more than they need, what they need.
MODULES: dict[str, list[str]] = {
    "tornado_ext": ["__version__"],
    "tornado_ext.errors": [],
    "tornado_ext.forms": [],
    "tornado_ext.forms.ui": [],
    "tornado_ext.middleware": [],
    "tornado_ext.mysql": [],
    "tornado_ext.mysql.drivers": [],
    "tornado_ext.rooms": [],
    "tornado_ext.serving": [],
    "tornado_ext.sessions": [],
    "tornado_ext.sessions.redis": ["RedisStore"],
    "tornado_ext.sessions.sharded": ["ShardedRedisStore"],
    "tornado_ext.testing": [],
    "tornado_ext.testing.fixtures": [],
    "tornado_ext.testing.store_suite": ["StoreSuite"],
}


def public(module: ModuleType) -> dict[str, Any]:
    """Return what a module offers: what it exports, or else what is made in it."""
    exported = MODULES[module.__name__] or getattr(module, "__all__", None)
    if exported is not None:
        return {name: getattr(module, name) for name in exported}
    package = hasattr(module, "__path__")
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and home(value).startswith("tornado_ext" if package else module.__name__)
    }


def home(value: Any) -> str:
    """Return the name of the module in which a class or function was made."""
    return str(getattr(value, "__module__", ""))


def describe() -> str:
    """Return a line for each name, and for each method and property of a class."""
    return "\n".join(sorted(line for name in MODULES for line in lines(import_module(name)))) + "\n"


def lines(module: ModuleType) -> Iterator[str]:
    """Yield the lines of a module."""
    for name, value in public(module).items():
        if isinstance(value, ModuleType):
            continue
        yield f"{module.__name__}.{name}{shape(value)}"
        if inspect.isclass(value):
            for attribute, member in members(value).items():
                yield f"{module.__name__}.{name}.{attribute}{shape(member)}"


def members(cls: type) -> dict[str, Any]:
    """Return the public attributes that a class has of its own, or from a base that is not public.

    Tests of a suite are not listed: a store has to pass them all.
    """
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is cls or (home(base).startswith("tornado_ext") and base not in public_classes()):
            found |= {name: value for name, value in vars(base).items() if name[0] != "_"}
    return {name: value for name, value in found.items() if not name.startswith("test_")}


@cache
def public_classes() -> set[type]:
    """Return every class that users can import."""
    values = (value for name in MODULES for value in public(import_module(name)).values())
    return {value for value in values if isinstance(value, type)}


def shape(value: Any) -> str:
    """Return what a callable takes, a class with its bases, or what else a value is."""
    if isinstance(value, (classmethod, staticmethod)):
        value = value.__func__
    if isinstance(value, type):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        return f"({bases}){arguments(value.__init__)}"
    if inspect.isfunction(value):
        return arguments(value) + (" async" if inspect.iscoroutinefunction(value) else "")
    return ": property" if isinstance(value, property) else ""


def arguments(function: Any) -> str:
    """Return the arguments of a function, without their types, which mypy sees to."""
    if not inspect.isfunction(function):
        return ""
    parameters = [
        parameter.replace(annotation=parameter.empty)
        for parameter in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(parameters))


if __name__ == "__main__":
    SNAPSHOT.write_text(describe())
