# Run it: python templates.py   (another port: python templates.py 9000)
"""Templates: inheritance, escaping, a module with its own style, a function for every template."""

import sys

from tornado.template import DictLoader
from tornado.web import Application, RequestHandler, UIModule

from tornado_ext.serving import serve

TEMPLATES = {  # an application has them in files: template_path="templates"
    "layout.html": """<!doctype html>
<html>
<head><title>{% block title %}Shop{% end %}</title></head>
<body>{% block body %}{% end %}</body>
</html>
""",
    "items.html": """{% extends "layout.html" %}
{% block title %}{{ len(items) }} items{% end %}
{% block body %}
<h1>For {{ name }}</h1>
<ul>{% for item, cents in items %}{% module Item(item, cents) %}{% end %}</ul>
{% end %}
""",
    "item.html": """<li class="item">{{ item }}: {{ euros(cents) }}</li>""",
}


class Item(UIModule):  # {% module Item(...) %}: HTML with the style and script that it needs
    def render(self, item, cents):
        return self.render_string("item.html", item=item, cents=cents)

    def embedded_css(self):  # once, before </head>, however many items there are
        return ".item { color: green }"


def euros(_handler, cents):  # {{ euros(cents) }}: the handler comes first
    return f"{cents / 100:.2f} €"


class Items(RequestHandler):
    def get(self):
        items = [("tea", 300), ("<b>gin</b>", 1950)]  # {{ }} escapes
        self.render("items.html", name=self.get_argument("name", "you"), items=items)


def make_app():
    return Application(
        [("/", Items)],
        template_loader=DictLoader(TEMPLATES),
        ui_modules={"Item": Item},
        ui_methods={"euros": euros},
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
