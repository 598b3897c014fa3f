# Run it: python form.py   (another port: python form.py 9000)
"""A registration page: the form keeps what was typed, and awaits whether a name is free."""

import asyncio
import sys

from tornado.template import DictLoader
from tornado.web import Application, RequestHandler

import tornado_ext.forms
from tornado_ext.forms import (
    BooleanField,
    ChoiceField,
    EmailField,
    Form,
    IntegerField,
    PasswordField,
    StringField,
    ValidationError,
)
from tornado_ext.serving import serve

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><title>Register</title><meta name="viewport" content="width=device-width"></head>
<body>
<h1>Register</h1>
<form method="post">
{% module Form(form) %}
<button>Register</button>
</form>
</body>
</html>
"""


async def is_taken(username: str) -> bool:
    """Stand for a question to a database."""
    await asyncio.sleep(0.05)
    return username in {"ann", "bob"}


class AccountForm(Form):
    username = StringField(min_length=3, max_length=20, pattern="[a-z0-9_]+", label="User name")
    email = EmailField(label="E-mail")
    password = PasswordField(min_length=10, attrs={"autocomplete": "new-password"})

    async def clean_username(self, value: str) -> str:
        if await is_taken(value):
            raise ValidationError("That name is taken.", code="taken")
        return value


class RegisterForm(AccountForm):  # has the fields and checks of that one, and these
    repeat = PasswordField(label="Password again", attrs={"autocomplete": "new-password"})
    age = IntegerField(min_value=18, max_value=150, required=False)
    plan = ChoiceField(choices=[("free", "Free"), ("paid", "Paid")], initial="free")
    terms = BooleanField(label="I have read the terms", messages={"required": "Please do."})
    messages = {"pattern": "Use small letters, digits and underscores."}

    def clean(self) -> None:
        if self.cleaned_data["password"] != self.cleaned_data["repeat"]:
            self.add_error("repeat", "The passwords differ.", code="differ")


class Register(RequestHandler):
    def get(self) -> None:
        self.render("page.html", form=RegisterForm())

    async def post(self) -> None:
        form = RegisterForm.from_handler(self)
        if await form.is_valid():
            self.write(f"Welcome, {form.cleaned_data['username']}!")
            return
        self.set_status(422)
        if self.request.headers.get("Content-Type", "").startswith("application/json"):
            self.write({"errors": form.errors.as_json()})
        else:
            self.render("page.html", form=form)


def make_app() -> Application:
    return Application(
        [("/", Register)],
        template_loader=DictLoader({"page.html": PAGE}),
        ui_modules=tornado_ext.forms.ui,
        xsrf_cookies=True,
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
