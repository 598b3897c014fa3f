"""Server-side sessions: a mapping for each visitor, kept in a store."""

from tornado_ext.sessions.errors import CookieSent as CookieSent
from tornado_ext.sessions.errors import InsideExclusive as InsideExclusive
from tornado_ext.sessions.errors import LeaseLost as LeaseLost
from tornado_ext.sessions.errors import SessionBusy as SessionBusy
from tornado_ext.sessions.errors import SessionCorrupt as SessionCorrupt
from tornado_ext.sessions.errors import SessionError as SessionError
from tornado_ext.sessions.errors import SessionGone as SessionGone
from tornado_ext.sessions.errors import SessionNotLoaded as SessionNotLoaded
from tornado_ext.sessions.errors import SessionTooLarge as SessionTooLarge
from tornado_ext.sessions.errors import SessionValueError as SessionValueError
from tornado_ext.sessions.errors import StoreTimeout as StoreTimeout
from tornado_ext.sessions.errors import StoreUnavailable as StoreUnavailable
from tornado_ext.sessions.memory import MemoryStore as MemoryStore
from tornado_ext.sessions.mixin import SessionMixin as SessionMixin
from tornado_ext.sessions.session import Session as Session
from tornado_ext.sessions.store import Change as Change
from tornado_ext.sessions.store import Limits as Limits
from tornado_ext.sessions.store import Record as Record
from tornado_ext.sessions.store import SessionInfo as SessionInfo
from tornado_ext.sessions.store import SessionStore as SessionStore
