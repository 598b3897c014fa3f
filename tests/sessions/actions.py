"""What a handler does to its session, and the same done to the model."""

from contextlib import AsyncExitStack
from copy import deepcopy
from typing import Any

from tests.sessions.model import LEASE, Model, View
from tests.sessions.worlds import Handler, Step
from tornado_ext.sessions import Session
from tornado_ext.sessions.codec import FLASH

USERS, KEYS = ["u1", "u2"], ["a", "b"]

Action = tuple[str, ...]
ACTIONS: list[Action] = [
    *(("set", key) for key in KEYS),
    *(("delete", key) for key in KEYS),
    *(("login", user) for user in USERS),
    ("append", "list"),
    *((verb,) for verb in ("logout", "regenerate", "regenerate", "flash", "pop", "save", "save")),
    *((verb,) for verb in ("reload", "count", "enter", "leave")),
]
ASKING: list[Action] = [(verb,) for verb in ("save", "pop", "reload", "count", "enter")]


def fits(view: View, action: Action | None) -> bool:
    """Tell whether a handler may do this here."""
    if view.in_block:
        return action is None or action[0] not in ("login", "regenerate", "count", "enter")
    return action != ("leave",)


def do(model: Model, view: View, action: Action, browser: int, serial: int) -> Any:
    """Do it to the model, and return what a handler sees."""
    verb, *args = action
    result = None
    value = [browser, view.user, serial]
    match verb:
        case "set":
            view.values[args[0]] = value
        case "append":
            view.values["list"] = [*view.values.get("list", []), value]
        case "delete":
            view.values.pop(args[0], None)
        case "flash":
            view.values[flash_name(serial)] = value
        case "pop":
            result = model.pop_flashes(view)
        case "count":
            model.enter(view)
            view.values["n"] = view.values.get("n", 0) + 1
            model.leave(view)
        case _:
            getattr(model, verb)(view, *args)
    return result, {k: v for k, v in view.values.items() if not k.startswith(FLASH)}, view.user


def step_of(action: Action, serial: int) -> Step:
    """Return what a handler does, which returns what it sees."""

    async def step(handler: Handler, stack: AsyncExitStack) -> Any:
        session, browser = handler.session, handler.request.connection.browser
        result = await act(session, stack, action, [browser, session.user_id, serial])
        values = deepcopy(dict(session))
        everything = [*values.get("list", []), *(values[key] for key in KEYS if key in values)]
        for of_browser, of_user, _ in [*everything, *(result or [])]:
            assert of_browser == browser
            assert of_user in (None, session.user_id)
        return result, values, session.user_id

    return step


async def act(session: Session, stack: AsyncExitStack, action: Action, value: Any) -> Any:
    verb, *args = action
    match verb:
        case "set":
            session[args[0]] = value
        case "append":
            session.setdefault("list", []).append(value)
        case "delete":
            session.pop(args[0], None)
        case "flash":
            session.flash(value)
        case "pop":
            return await session.pop_flashes()
        case "count":
            async with session.exclusive(wait=0, lease=LEASE):
                session["n"] = session.get("n", 0) + 1
        case "enter":
            await stack.enter_async_context(session.exclusive(wait=0, lease=LEASE))
        case "leave":
            await stack.aclose()
        case "save" | "reload":
            await getattr(session, verb)()
        case _:
            getattr(session, verb)(*args)
    return None


def flash_name(serial: int) -> str:
    return f"{FLASH}{serial:09}"


def said(fields: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return the values of a session, and its flash messages in their order."""
    plain = {name: value for name, value in fields.items() if not name.startswith(FLASH)}
    return plain, [fields[name] for name in sorted(fields.keys() - plain)]
