"""The forms of the app: what a person may type where."""

import re
import unicodedata

from demo_app.storage import tidy
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

# What Python calls printable and shows nothing: Unicode's Default_Ignorable_Code_Point, whose other
# members are control and format characters, and the empty Braille pattern.
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff]"
)


class RegisterForm(Form):
    """A new account."""

    name = StringField(
        max_length=NAME_LENGTH,
        label="Name",
        help_text="As others will see it. Any letters and signs will do.",
        attrs={"autocomplete": "username", "autofocus": True},
    )
    password = PasswordField(
        min_length=10,
        max_length=128,
        label="Password",
        help_text="10 characters or more.",
        attrs={"autocomplete": "new-password"},
    )

    def clean_name(self, value: str) -> str:
        """Refuse what can't be seen; what is left is stored tidily."""
        name = tidy(value)
        if not can_be_seen(name):
            raise ValidationError("Use letters, digits and signs that can be seen.")
        if not 0 < len(name) <= NAME_LENGTH:
            raise ValidationError(f"Use 1 to {NAME_LENGTH} characters.")
        return name


def can_be_seen(name: str) -> bool:
    """Tell whether each character of ``name`` shows, and the first one by itself."""
    combining = unicodedata.category(name[:1] or "x").startswith("M")
    return name.isprintable() and not UNSEEN.search(name) and not combining


class LoginForm(Form):
    """A name and its password, whose rules are nobody's business here."""

    name = StringField(
        max_length=NAME_LENGTH,
        label="Name",
        attrs={"autocomplete": "username", "autofocus": True},
    )
    password = PasswordField(
        max_length=128, label="Password", attrs={"autocomplete": "current-password"}
    )


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


class MessageForm(Form):
    """What a frame of the chat carries."""

    text = TextField(max_length=MESSAGE_LENGTH, messages={"required": "The message is empty."})


class ResumeForm(Form):
    """What a socket has seen already: the id of the last message on the page."""

    after = IntegerField(min_value=0, required=False)
