"""The forms of the app: what a person may type where."""

import re
import unicodedata

from demo_app.storage import tidy
from demo_app.text import can_be_seen, is_blank
from tornado_ext.forms import (
    Form,
    IntegerField,
    PasswordField,
    StringField,
    TextField,
    ValidationError,
)

NAME_LENGTH = 32  # characters, of a person or a room
MESSAGE_LENGTH = 1000  # characters

KEY = r"[A-Za-z0-9-]{1,40}"  # a UUID, say


def old_password(label: str) -> PasswordField:
    """Return the field for a password that exists."""
    attrs = {"autocomplete": "current-password"}
    return PasswordField(max_length=128, label=label, attrs=attrs)


def new_password(label: str) -> PasswordField:
    """Return the field for a password that is chosen, with what is asked of it."""
    return PasswordField(
        min_length=10,
        max_length=128,
        label=label,
        help_text="10 characters or more.",
        attrs={"autocomplete": "new-password"},
    )


class RegisterForm(Form):
    """A new account."""

    name = StringField(
        max_length=NAME_LENGTH,
        label="Name",
        help_text="As others will see it. Any letters and signs will do.",
        attrs={"autocomplete": "username", "autofocus": True},
    )
    password = new_password("Password")

    def clean_name(self, value: str) -> str:
        """Refuse what can't be seen; what is left is stored tidily."""
        name = tidy(value)
        if not can_be_seen(name):
            raise ValidationError("Use letters, digits and signs that can be seen.")
        if not 0 < len(name) <= NAME_LENGTH:
            raise ValidationError(f"Use 1 to {NAME_LENGTH} characters.")
        return name


class LoginForm(Form):
    """A name and its password, whose rules are nobody's business here."""

    name = StringField(
        max_length=NAME_LENGTH,
        label="Name",
        attrs={"autocomplete": "username", "autofocus": True},
    )
    password = old_password("Password")


class RoomForm(Form):
    """A room by its name, which is also its address."""

    room = StringField(
        max_length=NAME_LENGTH, label="Name", help_text="Letters, digits and hyphens."
    )

    def clean_room(self, value: str) -> str:
        """Return the name in lower case, with hyphens for spaces."""
        name = "-".join(unicodedata.normalize("NFKC", value).lower().split())
        if not re.fullmatch(rf"[\w-]{{1,{NAME_LENGTH}}}", name):
            raise ValidationError("Use letters, digits and hyphens only.")
        return name


class PasswordForm(Form):
    """A new password, by who knows the old one."""

    old = old_password("Current password")
    password = new_password("New password")


class SayForm(Form):
    """What somebody says, under a key that his browser made."""

    key = StringField(pattern=KEY)
    text = TextField(max_length=MESSAGE_LENGTH, messages={"required": "The message is empty."})

    def clean_text(self, value: str) -> str:
        """Refuse what shows nothing."""
        if is_blank(value):
            raise ValidationError(code="required")
        return value


class SyncForm(Form):
    """The last message that a browser has; without it, the newest ones are meant."""

    after = IntegerField(min_value=0, max_value=2**53, required=False)


class ReadForm(Form):
    """The last message that was read."""

    id = IntegerField(min_value=0, max_value=2**53)


class PageForm(Form):
    """Which messages a page shows: those before this one."""

    before = IntegerField(min_value=1, max_value=2**53, required=False)
