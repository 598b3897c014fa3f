"""Show files of the repository as pages: those that pages link to, and those that use a name."""

import re
from collections import defaultdict
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

ROOT = Path(__file__).parents[2]
# Where a name of the API may be used; the best to learn from first.
USERS = ("docs/examples", "docs/tutorial", "docs/howto", "demo_app", "tests")
MOST = 3  # that are listed for one name
PACKAGE = "tornado_ext"
FROM = re.compile(rf"^ *from ({PACKAGE}[\w.]*) import (\([^)]*\)|.*)", re.MULTILINE)


def setup(app):
    """Connect to Sphinx."""
    app.add_role("source", source_role)
    app.connect("autodoc-process-docstring", list_users)
    app.connect("doctree-read", take_links, priority=100)  # before they become downloads
    app.connect("doctree-resolved", resolve_links)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}


def page_of(path):
    """Return the name of the page of a file."""
    return f"files/{path}"


def link(path, text):
    """Return a link to the page of a file, still without its address."""
    return nodes.reference("", text, internal=True, refuri="", source=str(path))


def source_role(_name, _rawtext, text, _lineno, _inliner, _options=None, _content=()):
    """Read :source:`docs/examples/routes.py`."""
    return [link(text, Path(text).name)], []


def take_links(app, doctree):
    """Take links to files that myst would offer for download, or look for among the pages."""
    for node in list(doctree.findall(addnodes.download_reference)):
        _, path = app.env.relfn2path(node["reftarget"], app.env.docname)
        path = Path(path).resolve()
        if path.is_file() and path.is_relative_to(ROOT):
            node.replace_self(link(path.relative_to(ROOT), node.astext()))
    for node in list(doctree.findall(addnodes.pending_xref)):  # to a page that is not in docs
        path = Path(f"{node['reftarget']}.md")
        if path.is_absolute() and path.is_file() and path.is_relative_to(ROOT):
            node.replace_self(link(path.relative_to(ROOT), node.astext()))


def resolve_links(app, doctree, docname):
    """Give links to files their address, and have the files shown."""
    if not hasattr(app.env, "linked_files"):
        app.env.linked_files = set()
    for node in doctree.findall(nodes.reference):
        if path := node.get("source"):
            app.env.linked_files.add(path)
            node["refuri"] = app.builder.get_relative_uri(docname, page_of(path))


def pages(app):
    """Yield a page for each file that was linked to."""
    for path in sorted(getattr(app.env, "linked_files", ())):
        language = "python" if path.endswith(".py") else "text"
        code = app.builder.highlighter.highlight_block((ROOT / path).read_text(), language)
        body = f"<h1>{escape(path)}</h1>{code}"
        yield page_of(path), {"title": path, "body": body, "toc": ""}, "page.html"


def list_users(_app, what, name, _obj, _options, lines):
    """Add to what is said of a class or function which examples use it."""
    if what in ("class", "exception", "function", "data") and (paths := users().get(name)):
        links = ", ".join(f":source:`{path}`" for path in paths[:MOST])
        lines += ["", f"Used in {links}.", ""]


def users():
    """Return for each name of the API, with its module, the files that import it."""
    if not _users:
        for directory in USERS:
            for path in sorted((ROOT / directory).rglob("*.py")):
                for module, name in imported(path):
                    _users[f"{module}.{name}"].append(path.relative_to(ROOT))
    return _users


_users = defaultdict(list)


def imported(path):
    """Yield what a file imports of the package, or takes from a module of it."""
    text = path.read_text()
    for module, names in FROM.findall(text):
        for name in re.findall(r"\w+", re.sub(r"as \w+|#.*", "", names)):
            if module != PACKAGE:
                yield module, name
                continue
            for used in re.findall(rf"\b{name}\.(\w+)", text):
                yield f"{module}.{name}", used
