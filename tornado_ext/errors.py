"""The roots of every exception that this package raises."""


class TornadoExtError(Exception):
    """Base of every error that a user of this package can meet.

    Left uncaught in a request, it is answered with its ``status_code`` in place of Tornado's 500.
    """

    status_code = 500  # HTTP status


class ConfigurationError(TornadoExtError, ValueError):
    """A setting or an argument can't be right. The message names it; mend it and start again."""


class MissingExtra(TornadoExtError, ImportError):
    """Something was made whose library is not installed. The message has the command to run."""


class Unavailable(TornadoExtError):
    """A server that this request needs refused, failed, or did not answer in time.

    Nothing is known to have been done. The next request tries again by itself; the client is told
    to do so after ``retry_after`` seconds.
    """

    status_code = 503
    retry_after = 1  # seconds, sent as Retry-After (RFC 9110 section 10.2.3)
