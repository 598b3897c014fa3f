"""What people typed, made safe to show."""

import re
import unicodedata

from tornado.escape import xhtml_escape

# ASCII alone, without quotes and brackets: an address that looks like another one stays text.
LINK = re.compile(r"""(https?://[!#-&*-;=?-Z_a-z~]+)""")
PUNCTUATION = ".,;:!?*"  # at its end, it belongs to the sentence
LINK_ATTRIBUTES = 'target="_blank" rel="noopener noreferrer nofollow ugc"'

# Signs in a User-Agent, and what they stand for: the first that is there counts, because each
# browser also says that it is those below.
BROWSERS = {"Edg": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome"}
BROWSERS |= {"CriOS/": "Chrome", "FxiOS/": "Firefox", "Safari/": "Safari"}
SYSTEMS = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows"}
SYSTEMS |= {"Mac OS X": "macOS", "Linux": "Linux"}

# What Python calls printable and shows nothing: Unicode's Default_Ignorable_Code_Point, whose other
# members are control and format characters, and the empty Braille pattern.
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff]"
)


def linked(text: str) -> str:
    """Return ``text`` as HTML, with what begins with http:// or https:// as links."""
    parts = LINK.split(text)  # text and addresses in turn
    return "".join(
        _link(part) if number % 2 else xhtml_escape(part) for number, part in enumerate(parts)
    )


def _link(found: str) -> str:
    url = found.rstrip(PUNCTUATION)
    escaped = xhtml_escape(url)
    return f'<a href="{escaped}" {LINK_ATTRIBUTES}>{escaped}</a>{xhtml_escape(found[len(url) :])}'


def browser_name(agent: str) -> str:
    """Return what a person calls the browser with this User-Agent: ``Firefox · Linux``."""
    names = [
        next((name for sign, name in signs.items() if sign in agent), "")
        for signs in (BROWSERS, SYSTEMS)
    ]
    return " · ".join(names) if all(names) else agent


def can_be_seen(name: str) -> bool:
    """Tell whether each character of ``name`` shows, and the first one by itself."""
    combining = unicodedata.category(name[:1] or "x").startswith("M")
    return name.isprintable() and not UNSEEN.search(name) and not combining


def is_blank(text: str) -> bool:
    """Tell whether nothing of ``text`` can be seen."""
    return not any(char.isprintable() and not char.isspace() for char in UNSEEN.sub("", text))
