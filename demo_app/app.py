"""The application: every part of tornado-ext, wired by Tornado's own settings."""

from pathlib import Path

from tornado.web import Application, url

from demo_app.config import Config, naming
from demo_app.handlers.accounts import LoginHandler, LogoutHandler, RegisterHandler
from demo_app.handlers.base import NotFound, hue
from demo_app.handlers.chat import ChatSocket
from demo_app.handlers.rooms import RoomHandler, RoomsHandler
from demo_app.passwords import Passwords
from tornado_ext.forms import ui
from tornado_ext.middleware import RequestId, SecurityHeaders, StaticHandler

HERE = Path(__file__).parent

# A page loads from this site alone, and runs nothing that a person has typed.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",  # and WebSockets of this host and port, by CSP level 3
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)


def make_app(config: Config) -> Application:
    """Return the application; nothing is connected yet.

    Raises `ConfigurationError` for a setting that can't be right.
    """
    return Application(
        [
            url("/", RoomsHandler, name="rooms"),
            url("/rooms/([^/]+)", RoomHandler, name="room"),
            url("/rooms/([^/]+)/socket", ChatSocket),
            url("/register", RegisterHandler, name="register"),
            url("/login", LoginHandler, name="login"),
            url("/logout", LogoutHandler, name="logout"),
        ],
        middleware=[
            RequestId(),
            SecurityHeaders(content_security_policy=CONTENT_SECURITY_POLICY),
        ],
        default_handler_class=NotFound,
        static_handler_class=StaticHandler,
        session_store=config.make_session_store(),
        room_bus=config.make_room_bus(),
        storage=config.make_storage(),
        passwords=Passwords(),
        login_url="/login",
        xsrf_cookies=True,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Lax"},
        template_path=str(HERE / "templates"),
        static_path=str(HERE / "static"),
        ui_modules=ui,
        ui_methods={"hue": hue},
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
