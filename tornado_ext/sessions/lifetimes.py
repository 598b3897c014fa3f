"""When a session ends by itself."""

from dataclasses import dataclass, field

from tornado_ext.sessions.store import Record

RENEWAL_INTERVAL = 60  # seconds, at least, unless the idle timeout is shorter than two of these


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """When a session ends by itself, in seconds."""

    idle: float  # after it was last seen
    absolute: float  # after it was made

    # The least time between two renewals of the expiry by requests that change nothing.
    renewal_interval: float = field(init=False)

    def __post_init__(self) -> None:
        """Work out the interval."""
        interval = min(max(self.idle / 10, RENEWAL_INTERVAL), self.idle / 2)
        object.__setattr__(self, "renewal_interval", interval)

    def ttl(self, ends_at: float, now: float) -> float:
        """Return for how long a session seen ``now`` may be kept; not above 0 if it has ended."""
        return min(self.idle, ends_at - now)

    def has_ended(self, record: Record, now: float) -> bool:
        """Tell whether a record is past its time, whatever the store says."""
        absolute = min(record.ends_at, record.created_at + self.absolute)  # perhaps lowered since
        return now >= min(absolute, record.seen_at + self.idle)

    def renewal_due(self, seen_at: float, now: float) -> bool:
        """Tell whether a request that changes nothing should renew the expiry all the same."""
        return not 0 <= now - seen_at < self.renewal_interval  # a clock may have been put back
