"""What keeps people from trying one password after another."""

from collections.abc import Sequence

from tornado.web import RequestHandler

from demo_app.storage import user_key
from tornado_ext.middleware import Middleware, RateLimit

PER_ACCOUNT = 10  # attempts a minute, the right ones too
PER_ADDRESS = 60  # attempts a minute: a school or an office may share one


class PasswordLimits(Middleware):
    """Answer 429 to who sends too many passwords, for one account or from one address.

    Handlers that take a password have a method ``whose_password()``, which returns a word for the
    kind of page and the name of the account. Each kind counts apart: a stranger who uses up the
    attempts at the door must not keep the owner from a new password. Counts in ``redis``, for all
    processes, or in the memory of this one.
    """

    def __init__(self, redis: str | None, trusted_proxies: Sequence[str]) -> None:
        self.limits = [
            RateLimit(PER_ACCOUNT, key=account_of, redis=redis, name="account"),
            RateLimit(PER_ADDRESS, redis=redis, name="address", trusted_proxies=trusted_proxies),
        ]

    async def process_request(self, handler: RequestHandler) -> None:
        """Count an attempt. Raises `RateLimited`."""
        if handler.request.method == "POST" and hasattr(handler, "whose_password"):
            for limit in self.limits:
                if (counting := limit.process_request(handler)) is not None:
                    await counting

    async def close(self) -> None:
        """Close the connections to Redis."""
        for limit in self.limits:
            await limit.close()


def account_of(handler: RequestHandler) -> str | None:
    """Return where and whose password is tried, whoever tries it; None if it is nobody's."""
    kind, name = handler.whose_password()  # type: ignore[attr-defined]  # `process_request` looked
    key = user_key(name)
    return f"{kind} {key}" if key else None
