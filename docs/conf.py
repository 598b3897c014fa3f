"""Sphinx, as in Tornado's own documentation: its readers know it, and so do docstrings."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_site"))

from tornado_ext import __version__  # noqa: E402

project = "tornado-ext"
copyright = "tornado-ext contributors"  # noqa: A001
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "contents", "names", "sources"]
exclude_patterns = ["_build", "_site"]
source_suffix = {".md": "markdown"}

# As in Tornado: `Name` in a docstring is a link.
default_role = "py:obj"
nitpicky = True
toc_object_entries = False  # seven hundred, in the contents of every page
autodoc_member_order = "bysource"  # of classes; of modules as docs/_site/contents.py has it
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
# Up to what is Tornado's or Python's.
TORNADO = "RequestHandler, StaticFileHandler, UIModule, LifecycleMixin"
PYTHON = "BaseException, dict, MutableMapping, Mapping"
autodoc_default_options = {"members": True, "inherited-members": f"{TORNADO}, {PYTHON}"}
autodoc_preserve_defaults = True

myst_enable_extensions = ["deflist", "attrs_inline"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"tornado-ext {release}"
html_copy_source = False
html_show_sphinx = False
html_static_path: list[str] = []
