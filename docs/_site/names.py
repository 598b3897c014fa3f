"""Find what docstrings mean by `Name`; a name that is nowhere stays a warning."""

import builtins
import re
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from pydoc import locate

from docutils import nodes

PACKAGE = "tornado_ext"
SOURCES = Path(__file__).parents[2] / PACKAGE
# Of others, whose documentation this site does not fetch: named without their module.
FOREIGN = {"Redis", "RedisCluster", "HTTPFile", "RequestHandler.write", "Path"}
DEFINED = re.compile(r"(?:^class |^    |handler\.)(\w+)(?=[:(]| = )", re.MULTILINE)


def setup(app):
    """Connect to Sphinx."""
    app.connect("missing-reference", find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def find(app, env, node, contnode):
    """Link to the one documented object that ends so; leave what exists and is not documented."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    objects = env.get_domain("py").objects
    ends = by_last_part(tuple(objects))[target.rpartition(".")[2]]
    named = [name for name in ends if name.endswith(f".{target}")]
    if named:
        name = min(named, key=len)
        found = objects[name]
        uri = app.builder.get_relative_uri(node["refdoc"], found.docname)
        return nodes.reference("", "", contnode, internal=True, refuri=f"{uri}#{found.node_id}")
    if target in FOREIGN or hasattr(builtins, target) or exists(target, node.get("py:class")):
        return contnode
    return None


@lru_cache(1)
def by_last_part(names):
    """Return the names that end with each part: they are looked for thousands of times."""
    found = defaultdict(list)
    for name in names:
        found[name.rpartition(".")[2]].append(name)
    return found


def exists(target, inside):
    """Tell whether a name is one of the package's, or of the standard library's or Tornado's."""
    if "." in target and locate(target) is not None:
        return True
    scope = locate(f"{PACKAGE}.{inside}") if inside else None
    return hasattr(scope, target) or target.rpartition(".")[2] in attributes()


def attributes():
    """Return the names that the package's files define, annotate or assign to attributes."""
    if not _attributes:
        for path in SOURCES.rglob("*.py"):
            _attributes.update(DEFINED.findall(path.read_text()))
    return _attributes


_attributes = set()
