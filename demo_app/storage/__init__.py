"""What the app keeps for ever, behind one small interface: `Storage`."""

from demo_app.storage.base import LOBBY, Message, NameTaken, PerhapsStored, Storage, User, tidy

__all__ = ["LOBBY", "Message", "NameTaken", "PerhapsStored", "Storage", "User", "tidy"]
