"""How far each rate is used up: decided in memory, written with the call that took of it (L8, L43)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from remit.kernel.durations import spell
from remit.kernel.narrowing import Regime
from remit.kernel.policies import Subject
from remit.kernel.preflight import Rejection
from remit.kernel.rates import Bucket, RateLimit

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Counted", "Rates", "counted_of"]


class Counted(NamedTuple):
    """One rate as it is counted for one subject; `key` is the policy's name and what is counted."""

    label: str
    limit: RateLimit
    key: tuple[str, str]


def counted_of(regime: Regime, subject: Subject) -> tuple[Counted, ...]:
    """The rates that a call counts for. By the policy's name: a new version goes on with what the old one has counted."""
    return tuple(
        Counted(label, limit, (label.partition("@")[0], _whose(limit.by, subject))) for label, limit in regime.rates
    )


def _whose(by: str, subject: Subject) -> str:
    return "" if by == "policy" else f"{by}:{getattr(subject, by) or ''}"


class Rates:
    """The rates of one store, by policy and by what they are counted for."""

    def __init__(self, engine: Engine) -> None:
        self._durability = engine.durability
        self._now = engine.clock.now
        # The one that was looked at longest ago comes first.
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict(
            ((each.policy, each.counted), Bucket(each.due, each.scale)) for each in engine.store.rates()
        )

    def after(self, rates: Sequence[Counted], now_ms: int) -> list[Bucket] | Rejection:
        """How far each would be used up by one more call, or the first that is too far; nothing is taken."""
        buckets = []
        for rate in rates:
            after = rate.limit.taken(self._buckets.get(rate.key), now_ms)
            if after is None:
                return self._used_up(rate, now_ms)
            buckets.append(after)
        return buckets

    def _used_up(self, rate: Counted, now_ms: int) -> Rejection:
        limit, bucket = rate.limit, self._buckets.get(rate.key)
        wait_ms = limit.wait_ms(bucket, now_ms)
        message = f"Policy {rate.label} lets {limit.spelled()} pass; the next in {spell(wait_ms)}"
        details = {"policy": rate.label, "by": "rate_limit", "counted_by": limit.by, "retry_after_ms": wait_ms}
        in_use = limit.in_use(bucket, now_ms)
        return Rejection("policy_denied", "policy", message, limit.spelled(), in_use, details)

    def take(self, rates: Sequence[Counted], buckets: Sequence[Bucket]) -> None:
        """One more call is let through; `buckets` were given by `after` in the same instant."""
        held = self._buckets
        before = len(held)
        for rate, bucket in zip(rates, buckets, strict=True):
            held[rate.key] = bucket
            self._durability.rate(rate.key, bucket)
        if len(held) > before:
            self._forget_idle(2 * len(buckets))

    def _forget_idle(self, looks: int) -> None:
        """Look at twice as many as a call has added, so that what is idle goes, row and all, and no call waits for a sweep."""
        now = self._now()
        for _ in range(min(looks, len(self._buckets))):
            key, bucket = self._buckets.popitem(last=False)
            if bucket.idle(now):
                self._durability.rate(key, None)
            else:
                self._buckets[key] = bucket
