"""A form with every field and every widget, and pages that hold it."""

from tornado_ext import forms
from tornado_ext.forms import Form

PEOPLE = [(1, "Ann"), (2, "Ben"), (3, "Cleo")]


class EveryForm(Form):
    string = forms.StringField(max_length=20, pattern="[a-z ]+", help_text="Small letters.")
    text = forms.TextField(max_length=200, attrs={"rows": 3})
    password = forms.PasswordField(min_length=10, help_text="10 characters or more.")
    token = forms.HiddenField(initial="t0ken")
    email = forms.EmailField(label="E-mail")
    url = forms.URLField(label="Web page")
    slug = forms.SlugField()
    uuid = forms.UUIDField(label="UUID")
    address = forms.IPAddressField(label="IP address")
    integer = forms.IntegerField(min_value=0, max_value=10, step=2)
    float = forms.FloatField(min_value=-1.0)
    decimal = forms.DecimalField(label="Price", help_text="In euros.")
    boolean = forms.BooleanField(label="I agree", help_text="To everything.")
    choice = forms.ChoiceField(choices=PEOPLE)
    radio = forms.ChoiceField(choices=PEOPLE, widget=forms.Radios(), help_text="One of them.")
    several = forms.MultipleChoiceField(choices=PEOPLE)
    boxes = forms.MultipleChoiceField(
        choices=PEOPLE, widget=forms.Checkboxes(), help_text="Some of them."
    )
    date = forms.DateField()
    time = forms.TimeField()
    moment = forms.DateTimeField()
    json = forms.JSONField(label="JSON")
    file = forms.FileField(extensions=["png"], help_text="PNG alone.")
    files = forms.MultipleFileField(max_files=3)
    disabled = forms.StringField(disabled=True, initial="fixed")


PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Every widget</title>
<meta name="viewport" content="width=device-width"></head>
<body><main><h1>Every widget</h1>
<form method="post" enctype="{enctype}">
{form}
<p><button>Send</button></p>
</form></main></body>
</html>
"""


def page(form: Form) -> str:
    """Return a whole page with a form."""
    return PAGE.format(enctype=form.enctype, form=form.render())


async def wrong() -> EveryForm:
    """Return the form after it was sent with something wrong in every field that may be."""
    form = EveryForm(dict.fromkeys(EveryForm.fields, "no <b>"))
    assert not await form.is_valid()
    assert set(form.errors) == set(EveryForm.fields) - {"text", "token", "disabled"}
    form.add_error(None, "The form as a whole is wrong too.")
    form.add_error("text", "So is this.")
    form.add_error("token", "And what nobody sees.")
    return form
