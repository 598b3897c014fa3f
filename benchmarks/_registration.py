"""One registration form of six fields, as each library would have it written."""

from collections.abc import Mapping
from typing import Any

import django
import wtforms
from django import forms as django_forms
from django.conf import settings
from wtforms import validators
from wtforms.fields.choices import SelectChoice

from tornado_ext import forms

NAME = r"[a-z0-9_]+"
PLANS = [("free", "Free"), ("paid", "Paid")]
DIFFER = "The passwords differ."

VALID = {
    "name": "annabel", "email": "ann@example.com", "password": "correct horse",
    "repeat": "correct horse", "age": "42", "plan": "paid",
}  # fmt: skip
INVALID = {
    "name": "ann bell!", "email": "ann@example", "password": "short",
    "repeat": "", "age": "4x", "plan": "gold",
}  # fmt: skip

if not settings.configured:
    settings.configure(USE_I18N=False)
    django.setup()


class Ours(forms.Form):
    """Ours."""

    name = forms.StringField(min_length=3, max_length=20, pattern=NAME, help_text="Small letters.")
    email = forms.EmailField(label="E-mail")
    password = forms.PasswordField(min_length=10)
    repeat = forms.PasswordField(label="Password again")
    age = forms.IntegerField(min_value=18, max_value=150)
    plan = forms.ChoiceField(choices=PLANS)

    def clean(self) -> None:
        """Compare the passwords."""
        if self.cleaned_data["password"] != self.cleaned_data["repeat"]:
            self.add_error("repeat", DIFFER)


class WTForms(wtforms.Form):
    """That of WTForms."""

    name = wtforms.StringField(
        validators=[
            validators.InputRequired(),
            validators.Length(min=3, max=20),
            validators.Regexp(rf"{NAME}\Z"),
        ],
        description="Small letters.",
    )
    email = wtforms.EmailField("E-mail", [validators.InputRequired(), validators.Email()])
    password = wtforms.PasswordField(
        validators=[validators.InputRequired(), validators.Length(min=10)]
    )
    repeat = wtforms.PasswordField(
        "Password again",
        [validators.InputRequired(), validators.EqualTo("password", message=DIFFER)],
    )
    age = wtforms.IntegerField(
        validators=[validators.InputRequired(), validators.NumberRange(min=18, max=150)]
    )
    plan = wtforms.SelectField(choices=[SelectChoice(*each) for each in PLANS])

    def to_html(self) -> str:
        """Return what its documentation has a template do."""
        return "\n".join(
            f"<div>{field.label}{field}<p>{field.description}</p>"
            f"<ul>{''.join(f'<li>{error}</li>' for error in field.errors)}</ul></div>"
            for field in self
        )


class Django(django_forms.Form):
    """That of Django."""

    name = django_forms.RegexField(
        rf"{NAME}\Z", min_length=3, max_length=20, help_text="Small letters."
    )
    email = django_forms.EmailField(label="E-mail")
    password = django_forms.CharField(min_length=10, widget=django_forms.PasswordInput)
    repeat = django_forms.CharField(label="Password again", widget=django_forms.PasswordInput)
    age = django_forms.IntegerField(min_value=18, max_value=150)
    plan = django_forms.ChoiceField(choices=PLANS)

    def clean(self) -> None:
        """Compare the passwords."""
        data = super().clean()
        if data.get("password") != data.get("repeat"):
            self.add_error("repeat", DIFFER)


class Arguments(dict[str, list[str]]):
    """What WTForms asks of a form that was sent."""

    def getlist(self, name: str) -> list[str]:
        """Return the values under a name."""
        return self.get(name, [])


def as_sent(values: Mapping[str, str]) -> dict[str, list[bytes]]:
    """Return what Tornado makes of a body."""
    return {name: [value.encode()] for name, value in values.items()}


def as_arguments(values: Mapping[str, str]) -> Arguments:
    """Return the same for WTForms."""
    return Arguments({name: [value] for name, value in values.items()})


def invalid(form: Any) -> Any:
    """Return a peer's form that has been found wrong."""
    assert not (form.validate() if isinstance(form, WTForms) else form.is_valid())
    return form
