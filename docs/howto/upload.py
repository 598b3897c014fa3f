# Run it: python upload.py   (another port: python upload.py 9000)
"""An upload with limits: of the whole request, of each file, of their number and kinds."""

import secrets
import sys
from pathlib import Path
from tempfile import mkdtemp

from tornado.ioloop import IOLoop
from tornado.template import DictLoader
from tornado.web import Application, RequestHandler

from tornado_ext.forms import Form, MultipleFileField, ui
from tornado_ext.middleware import MiddlewareMixin
from tornado_ext.serving import serve

MEGABYTE = 2**20  # bytes
PAGE = """<!doctype html><html lang="en"><title>Pictures</title>
<form method="post" enctype="{{ form.enctype }}">{% module Form(form) %}<button>Send</button></form>
"""


class PicturesForm(Form):
    pictures = MultipleFileField(
        extensions=["png", "jpg"],
        content_types=["image/*"],  # what the client says; who needs more, looks into the body
        max_size=MEGABYTE,  # of each
        max_files=3,
        max_total=2 * MEGABYTE,
    )


class Pictures(MiddlewareMixin, RequestHandler):
    def get(self):
        self.render("page.html", form=PicturesForm(handler=self))

    async def post(self):
        form = PicturesForm.from_handler(self)
        if not await form.is_valid():
            self.set_status(422)
            self.render("page.html", form=form)
            return
        stored = {}
        for file in form.cleaned_data["pictures"]:
            path = self.settings["uploads"] / secrets.token_hex(16)  # never the client's name
            await IOLoop.current().run_in_executor(None, path.write_bytes, file.body)
            stored[path.name] = file.name
        self.write(stored)


def make_app(uploads=None):
    return Application(
        [("/", Pictures)],
        uploads=uploads or Path(mkdtemp()),
        template_loader=DictLoader({"page.html": PAGE}),
        ui_modules=ui,
        xsrf_cookies=True,
    )


if __name__ == "__main__":
    port = int(sys.argv[1]) if sys.argv[1:] else 8888
    # Tornado holds a whole body in memory, and refuses more than this before any handler runs.
    serve(make_app, port, max_body_size=3 * MEGABYTE)
