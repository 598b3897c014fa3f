"""UI modules for Tornado's templates: ``Application(ui_modules=tornado_ext.forms.ui)``."""

from collections.abc import Mapping

from tornado import web

from tornado_ext import forms
from tornado_ext.forms.html import Attrs


class Form(web.UIModule):
    """Draw a form with its XSRF token: ``{% module Form(form) %}``."""

    def render(
        self,
        form: "forms.Form",
        attrs: Mapping[str, Attrs] | None = None,
        *,
        xsrf: bool = True,
    ) -> str:
        """Return the HTML; ``xsrf=False`` for a form that is sent by GET."""
        token = forms.xsrf_html(self.handler) if xsrf else ""
        return token + form.render(attrs, xsrf=False)
