"""How often something may happen: the generic cell rate algorithm in whole numbers, so that it is exact.

A rate of `calls` per `per_ms` lets one through every `per_ms / calls` milliseconds, and up to `burst` at once. In any stretch
of t milliseconds at most `burst + t * calls / per_ms` pass. All there is to remember is one moment, in units of
1/calls milliseconds: until when the calls that were let through have used the rate up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from remit.kernel.durations import spell

__all__ = ["CALLS_MAX", "SCOPES", "Bucket", "RateLimit"]

CALLS_MAX = 1_000_000
SCOPES = ("policy", "tenant", "department", "process")


class Bucket(NamedTuple):
    """How far a rate is used up: until `due`, in units of 1/`scale` milliseconds since 1970."""

    due: int
    scale: int

    def idle(self, now_ms: int) -> bool:
        """Whether nothing of the rate is used up any more: to forget it changes nothing."""
        return self.due <= now_ms * self.scale


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `calls` per `per_ms`, `burst` of them at once, counted by one of SCOPES."""

    calls: int
    per_ms: int
    burst: int
    by: str = "policy"

    def taken(self, bucket: Bucket | None, now_ms: int) -> Bucket | None:
        """How far the rate is used up after one more call; None where that one is too many."""
        ahead = self._ahead(bucket, now_ms)
        if ahead > (self.burst - 1) * self.per_ms:
            return None
        return Bucket(now_ms * self.calls + ahead + self.per_ms, self.calls)

    def in_use(self, bucket: Bucket | None, now_ms: int) -> int:
        """How many calls of a burst are used up."""
        return -(-self._ahead(bucket, now_ms) // self.per_ms)

    def wait_ms(self, bucket: Bucket | None, now_ms: int) -> int:
        """How long until one more call is let through."""
        return max(0, -(-(self._ahead(bucket, now_ms) - (self.burst - 1) * self.per_ms) // self.calls))

    def spelled(self) -> str:
        """As people read it: '100 per 1m00s', '100 per 1m00s, 10 at once'."""
        return f"{self.calls} per {spell(self.per_ms)}" + ("" if self.burst == self.calls else f", {self.burst} at once")

    def _ahead(self, bucket: Bucket | None, now_ms: int) -> int:
        """How far `due` lies ahead, at most a whole burst: a limit that has changed, or a clock that was set back, owes no more."""
        if bucket is None:
            return 0
        due = bucket.due if bucket.scale == self.calls else -(-bucket.due * self.calls // bucket.scale)
        ahead = due - now_ms * self.calls
        if ahead <= 0:
            return 0
        most = self.burst * self.per_ms
        return min(most, ahead)
