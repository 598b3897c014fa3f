"""Lay out the site: by the links of pages that are lists, and classes before errors."""

import re
from importlib import import_module

# Pages whose lists and tables of links are the navigation: on the repository they are read as is.
LISTS = {"index", "middleware", "howto/index", "explanation/index", "reference/index"}
SECTION = re.compile(r"^## (.*)\n((?:(?!## ).*\n?)*)", re.MULTILINE)
ENTRY = re.compile(r"^(?:- |\| )\[[^\]]+\]\((?!\.\./\.\.)([\w./-]+)\.md\)", re.MULTILINE)
PACKAGES = ("forms", "middleware", "mysql", "rooms", "sessions", "testing")


def setup(app):
    """Connect to Sphinx."""
    for name in PACKAGES:
        module = import_module(f"tornado_ext.{name}")
        module.__all__ = ordered(module)  # which autodoc goes by
    app.connect("source-read", add_contents)
    app.connect("autodoc-process-docstring", list_names)
    app.connect("autodoc-process-signature", mend_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_contents(_app, docname, source):
    """Put what a list links to into the navigation, by its sections."""
    if docname in LISTS:
        sections = SECTION.findall(source[0]) or [("", source[0])]
        source[0] += "".join(toctree(title, ENTRY.findall(text)) for title, text in sections)


def toctree(title, pages):
    """Return a toctree that is seen in the navigation alone."""
    if not pages:
        return ""
    options = [":hidden:", *([f":caption: {title}"] if title else [])]
    return "\n".join(["\n```{toctree}", *options, *pages, "```\n"])


def ordered(module):
    """Return the public names of a package: exceptions last."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if name[0] != "_" and getattr(value, "__module__", "").startswith("tornado_ext")
    ]
    return sorted(names, key=lambda name: (is_error(getattr(module, name)), name.lower()))


def is_error(value):
    """Tell whether a value is an exception class."""
    return isinstance(value, type) and issubclass(value, BaseException)


def list_names(_app, what, _name, obj, _options, lines):
    """Add a list of its names to what is said of a module."""
    if what == "module" and (names := getattr(obj, "__all__", None)):
        lines += ["", ", ".join(f"`{name}`" for name in names), ""]


def mend_signature(_app, _what, _name, _obj, _options, signature, returns):
    """Write the default of a dataclass that is made anew each time so that Sphinx can read it."""
    return signature and signature.replace("<factory>", "{}"), returns
