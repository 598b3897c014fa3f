"""What can go wrong with a session."""

from tornado_ext.errors import TornadoExtError, Unavailable


class SessionError(TornadoExtError):
    """Base of every error of a session or its store."""


class StoreUnavailable(SessionError, Unavailable):
    """The store refused or failed: whether there is a session is not known.

    Raised where the session is first touched. The cookie is left alone, so that the client is
    still logged in when the store is back.
    """


class StoreTimeout(StoreUnavailable):
    """The store did not answer in time. What it was asked to do may still happen."""


class SessionGone(SessionError):
    """The session was logged out, replaced, revoked or expired while this request changed it.

    Nothing was stored and no cookie is sent. The client may try again, under the session that it
    has by then.
    """

    status_code = 409


class SessionBusy(SessionError):
    """`Session.exclusive` has waited its time for others who hold the session. Try again.

    The client is told to do so after ``retry_after`` seconds.
    """

    status_code = 503
    retry_after = 1


class LeaseLost(SessionError):
    """An `Session.exclusive` block took longer than its lease; what it changed is not stored.

    Somebody else may have changed the session meanwhile. Do slow work before the block, or give
    it a longer ``lease``.
    """

    status_code = 409


class InsideExclusive(SessionError, RuntimeError):
    """`login` or `regenerate` was called inside an `exclusive` block: call it before or after."""


class SessionTooLarge(SessionError):
    """A change needs more bytes or keys than the store lets one session have.

    Nothing of the change was stored. Keep large things in a database, and their ids here.
    """

    status_code = 413


class SessionNotLoaded(SessionError, RuntimeError):
    """``self.session`` was used where no session was loaded. The message says why."""


class CookieSent(SessionError):
    """A new session or a new id was wanted after the response's headers had left.

    Log in, regenerate, or begin a session before the first ``flush()``, and not in a WebSocket.
    """


class SessionValueError(SessionError, TypeError):
    """A key or a value can't be stored. The message names the key and what it holds."""


class SessionCorrupt(SessionError):
    """A stored record can't be decoded; the request is anonymous, the record stays where it is."""
