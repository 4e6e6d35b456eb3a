"""The two clocks of a lease: the claim of whoever drives, and the TTL of running time (L21)."""

from __future__ import annotations

__all__ = [
    "CLAIM_MS",
    "CLAIM_RENEWAL_MS",
    "DEFAULT_TTL_MS",
    "MAX_WAIT_MS",
    "ROOT_TTL_MS",
    "TtlClock",
    "claim_lapsed",
    "granted_ttl",
]

CLAIM_MS = 30_000
CLAIM_RENEWAL_MS = 10_000
DEFAULT_TTL_MS = 15 * 60_000
ROOT_TTL_MS = 24 * 3_600_000
MAX_WAIT_MS = 30 * 86_400_000


def granted_ttl(wanted_ms: int, parent_left_ms: int | None) -> int:
    """The TTL a child gets: an awaited one at most what its parent has left (None: not awaited)."""
    return wanted_ms if parent_left_ms is None else min(wanted_ms, max(0, parent_left_ms))


def claim_lapsed(renewed_at_ms: int, now_ms: int) -> bool:
    """Whether another may take over, at a higher epoch."""
    return now_ms - renewed_at_ms >= CLAIM_MS


class TtlClock:
    """Running time, summed over attempts; stands still while `since` is None. Milliseconds throughout."""

    __slots__ = ("since", "ttl", "used")

    def __init__(self, ttl: int, used: int = 0, since: int | None = None) -> None:
        self.ttl = ttl
        self.used = used
        self.since = since

    def start(self, now: int) -> None:
        """Let the clock run; does nothing where it runs already."""
        if self.since is None:
            self.since = now

    def stop(self, now: int) -> None:
        """Let the clock stand still, keeping what has run."""
        if self.since is not None:
            self.used += max(0, now - self.since)
            self.since = None

    def restart(self, now: int) -> None:
        """Begin anew for another attempt; one that runs goes on running."""
        self.used = 0
        self.since = None if self.since is None else now

    def left(self, now: int) -> int:
        """Running time left, not below 0."""
        running = max(0, now - self.since) if self.since is not None else 0
        return max(0, self.ttl - self.used - running)

    def expires_at(self) -> int | None:
        """When it runs out if it keeps running; None while it stands still."""
        return None if self.since is None else self.since + max(0, self.ttl - self.used)
