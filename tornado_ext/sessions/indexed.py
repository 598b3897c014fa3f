"""What stores share that keep an index of each user's sessions."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from tornado_ext.sessions.errors import SessionCorrupt
from tornado_ext.sessions.store import Record, SessionInfo

REVOKED_FOR = 86400  # seconds for which a login that a revoke overtook may still be under way
SETTLED = 60  # seconds after which a session that entered its user's index is stored, or never is
AT_ONCE = 50  # commands; each takes a connection of a caller's client, of its 100 in redis-py 8.1


def batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return ``keys`` in parts that may be asked for at once."""
    return (keys[first : first + AT_ONCE] for first in range(0, len(keys), AT_ONCE))


async def infos_of(
    keys: Sequence[str], load: Callable[[str], Awaitable[Record | None]]
) -> list[SessionInfo]:
    """Return the live ones of the sessions that an index names, that which was seen last first.

    One that is corrupt is left out; what else ``load`` raises is raised.
    """
    infos = []
    for batch in batches(keys):
        records = await asyncio.gather(*map(load, batch), return_exceptions=True)
        for key, record in zip(batch, records, strict=True):
            if isinstance(record, BaseException):
                if not isinstance(record, SessionCorrupt):
                    raise record
            elif record is not None and not record.replaced:
                infos.append(SessionInfo.of(key, record))
    return sorted(infos, key=lambda info: info.seen_at, reverse=True)
