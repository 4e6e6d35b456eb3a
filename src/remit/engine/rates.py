"""How far each rate is used up: decided in memory, written with the call that took of it (L8, L43)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.kernel.durations import spell
from remit.kernel.narrowing import Regime
from remit.kernel.policies import Subject
from remit.kernel.preflight import Rejection
from remit.kernel.rates import Bucket, RateLimit
from remit.store.records import RateRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Rates"]

Key = tuple[str, str]


class Rates:
    """The rates of one store, by policy and by what they are counted for."""

    def __init__(self, engine: Engine) -> None:
        self._durability = engine.durability
        self._buckets: dict[Key, Bucket] = {
            (each.policy, each.counted): Bucket(each.due, each.scale) for each in engine.store.rates()
        }

    def against(self, regime: Regime, subject: Subject, now_ms: int) -> Rejection | None:
        """The first rate that is used up; nothing is taken."""
        for label, rate in regime.rates:
            bucket = self._buckets.get(_key(label, rate, subject))
            if rate.taken(bucket, now_ms) is None:
                wait_ms = rate.wait_ms(bucket, now_ms)
                message = f"Policy {label} lets {rate.spelled()} pass; the next in {spell(wait_ms)}"
                details = {"policy": label, "by": "rate_limit", "counted_by": rate.by, "retry_after_ms": wait_ms}
                in_use = rate.in_use(bucket, now_ms)
                return Rejection("policy_denied", "policy", message, rate.spelled(), in_use, details)
        return None

    def take(self, regime: Regime, subject: Subject, now_ms: int) -> None:
        """One more call is let through; the caller has asked `against` in the same instant."""
        for label, rate in regime.rates:
            key = _key(label, rate, subject)
            bucket = rate.taken(self._buckets.get(key), now_ms)
            assert bucket is not None
            self._buckets[key] = bucket
            self._durability.rate(RateRecord(*key, bucket.due, bucket.scale))


def _key(label: str, rate: RateLimit, subject: Subject) -> Key:
    """By the policy's name, not its version: a new version goes on with what the old one has counted."""
    counted = "" if rate.by == "policy" else getattr(subject, rate.by)
    return label.partition("@")[0], f"{rate.by}:{counted or ''}" if rate.by != "policy" else ""
