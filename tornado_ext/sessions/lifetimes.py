"""When a session ends by itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """When a session ends by itself, in seconds."""

    idle: float  # after it was last seen
    absolute: float  # after it was made

    def ttl(self, created_at: float, now: float) -> float:
        """Return for how long a session seen ``now`` may be kept."""
        return min(self.idle, created_at + self.absolute - now)

    def renewal_due(self, seen_at: float, now: float) -> bool:
        """Tell whether a request that changes nothing should renew the expiry all the same."""
        interval = min(max(self.idle / 10, 60), self.idle / 2)
        return not 0 <= now - seen_at < interval  # a clock may have been put back
