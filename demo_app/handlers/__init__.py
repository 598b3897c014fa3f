"""The pages and the socket, and where each is found."""

from demo_app.handlers.accounts import LoginHandler, LogoutHandler, RegisterHandler
from demo_app.handlers.base import NotFound
from demo_app.handlers.chat import ChatSocket
from demo_app.handlers.rooms import RoomHandler, RoomsHandler

__all__ = [
    "ChatSocket",
    "LoginHandler",
    "LogoutHandler",
    "NotFound",
    "RegisterHandler",
    "RoomHandler",
    "RoomsHandler",
]
