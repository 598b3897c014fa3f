"""Texts that would like to be more than text, and a form that has them in every place."""

from tornado_ext import forms
from tornado_ext.forms import Form

TEXTS = [
    "</label><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</textarea></select></fieldset></form>",
    "<!--",
    "]]>",
    "&lt;b&gt; &amp; &#60; &notit;",
    "\0\x08\x0b\x1b\x7f\x85\ud800",
    "\u202e\u200b\ufeff\ufffe\U0001ffff",
    "`${alert(1)}` {{ 1 }} {% raw x %}",
    "\r\n\t leading and trailing \n",
]


async def hostile_form(text: str) -> Form:
    """Return a form whose every field was sent ``text``, and found wrong."""
    said = {
        "label": text,
        "help_text": text,
        "attrs": {"title": text, "data-x": text},
        "messages": dict.fromkeys(("control", "choice", "integer", "json_text", "no"), text),
    }
    choices = [(f"1{text}", text), (f"2{text}", text)]

    def refuse(value: object) -> None:
        raise forms.ValidationError(text, code="no")

    class Hostile(Form):
        string = forms.StringField(validators=[refuse], **said)
        area = forms.TextField(validators=[refuse], **said)
        password = forms.PasswordField(validators=[refuse], **said)
        hidden = forms.HiddenField(validators=[refuse], **said)
        number = forms.IntegerField(**said)
        box = forms.BooleanField(**said)
        one = forms.ChoiceField(choices=choices, empty_label=text, **said)
        radio = forms.ChoiceField(choices=choices, widget=forms.Radios(), **said)
        some = forms.MultipleChoiceField(choices=choices, **said)
        boxes = forms.MultipleChoiceField(choices=choices, widget=forms.Checkboxes(), **said)
        json = forms.JSONField(**said)
        odd = forms.StringField(widget=forms.Input("search"), initial=text, disabled=True, **said)

    form = Hostile(dict.fromkeys(Hostile.fields, f"{text}!"))
    assert not await form.is_valid()
    assert set(form.errors) == set(Hostile.fields) - {"odd"}
    form.add_error(None, text)
    return form
