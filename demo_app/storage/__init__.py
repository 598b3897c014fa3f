"""What the app keeps for ever, behind one small interface: `Storage`."""

from demo_app.storage.base import LOBBY, Message, NameTaken, Room, Storage, User, tidy, user_key

__all__ = ["LOBBY", "Message", "NameTaken", "Room", "Storage", "User", "tidy", "user_key"]
