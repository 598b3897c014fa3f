"""The application: every part of tornado-ext, wired by Tornado's own settings."""

from pathlib import Path

from tornado import locale
from tornado.web import Application, url

from demo_app.config import Config, naming
from demo_app.handlers.account import AccountHandler, EndSessionHandler, LogoutHandler
from demo_app.handlers.base import LanguageHandler, NotFound, hue
from demo_app.handlers.chat import ChatSocket
from demo_app.handlers.door import LoginHandler, RegisterHandler
from demo_app.handlers.internals import InternalsHandler
from demo_app.handlers.rooms import MembershipHandler, RoomHandler, RoomsHandler
from demo_app.passwords import Passwords
from demo_app.text import browser_name, linked
from tornado_ext.forms import ui
from tornado_ext.middleware import RequestId, SecurityHeaders, StaticHandler, csp_nonce
from tornado_ext.serving import HealthHandler, ReadyHandler

HERE = Path(__file__).parent

# A page loads from this site alone, and runs nothing but what it names with its own nonce.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src {nonce}",
        "style-src {nonce}",
        "img-src 'self' data:",
        "connect-src 'self'",  # and WebSockets of this host and port, by CSP level 3
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
UI_METHODS = {
    "hue": hue,
    "csp_nonce": csp_nonce,
    "linked": lambda _, text: linked(text),
    "browser_name": lambda _, agent: browser_name(agent),
}
MESSAGES_PER_SECOND, MESSAGE_BURST = 10, 100  # frames of a browser


def make_app(config: Config) -> Application:
    """Return the application; nothing is connected yet.

    Raises `ConfigurationError` for a setting that can't be right.
    """
    locale.load_translations(str(HERE / "locale"))
    return Application(
        [
            url("/", RoomsHandler, name="rooms"),
            url("/rooms/([^/]+)", RoomHandler, name="room"),
            url("/rooms/([^/]+)/socket", ChatSocket),
            url("/rooms/([^/]+)/(join|leave)", MembershipHandler, name="membership"),
            url("/register", RegisterHandler, name="register"),
            url("/login", LoginHandler, name="login"),
            url("/logout", LogoutHandler, name="logout"),
            url("/account", AccountHandler, name="account"),
            url("/account/sessions/([0-9a-f]{64})/end", EndSessionHandler, name="end_session"),
            url("/internals", InternalsHandler, name="internals"),
            url("/language/([A-Za-z_]+)", LanguageHandler, name="language"),
            url("/healthz", HealthHandler),
            url("/readyz", ReadyHandler),
        ],
        middleware=[
            RequestId(),
            SecurityHeaders(content_security_policy=CONTENT_SECURITY_POLICY),
            config.make_password_limits(),
        ],
        default_handler_class=NotFound,
        static_handler_class=StaticHandler,
        session_store=config.make_session_store(),
        room_bus=config.make_room_bus(),
        room_message_rate=MESSAGES_PER_SECOND,
        room_message_burst=MESSAGE_BURST,
        storage=config.make_storage(),
        passwords=Passwords(),
        login_url="/login",
        xsrf_cookies=True,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Lax"},
        template_path=str(HERE / "templates"),
        static_path=str(HERE / "static"),
        ui_modules=ui,
        ui_methods=UI_METHODS,
        websocket_max_message_size=64 * 1024,  # bytes; above it the connection ends
        websocket_ping_interval=20,  # seconds; above the next line by Tornado's rule
        websocket_ping_timeout=10,  # seconds
    )


async def start(config: Config) -> Application:
    """Return the application with its database ready. Raises `ConfigurationError`."""
    app = make_app(config)
    with naming("--data" if config.database == "sqlite" else "--database"):
        await app.settings["storage"].start()
    return app
