"""Tokens and cost: integers inside (micro-dollars), decimal strings outside (L24, L28)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Literal, NamedTuple

__all__ = [
    "ABSURD_MICROS",
    "ABSURD_TOKENS",
    "NOTHING",
    "Amount",
    "Budget",
    "Cost",
    "Usage",
    "decimal_string",
    "measured",
    "micros",
]

Cost = str | int | Decimal
ABSURD_TOKENS = 10_000_000_000
ABSURD_MICROS = 10_000_000 * 1_000_000
_MOST_TOKENS = 10**15


class Amount(NamedTuple):
    """What something uses or may use: tokens, and micro-dollars."""

    tokens: int
    cost: int

    def within(self, limit_tokens: int | None, limit_cost: int | None) -> Amount:
        """As much of it as a cap allows; None is no cap."""
        if limit_tokens is None and limit_cost is None:
            return self
        tokens = self.tokens if limit_tokens is None else min(self.tokens, limit_tokens)
        return Amount(tokens, self.cost if limit_cost is None else min(self.cost, limit_cost))


NOTHING = Amount(0, 0)


def micros(cost: Cost) -> int:
    """A cost in micro-dollars, rounded up; raises ValueError for what is no finite, non-negative decimal."""
    if isinstance(cost, bool | float):
        raise ValueError(
            f"{cost!r} is no cost: write a decimal string such as '0.10' (a float cannot hold cents exactly)"
        )
    try:
        value = Decimal(cost)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"{cost!r} is no cost: write a decimal string such as '0.10'") from None
    if not value.is_finite() or value < 0:
        raise ValueError(f"{cost!r} is no cost: it must be finite and not negative")
    if value > ABSURD_MICROS // 1_000_000:
        raise ValueError(f"{cost!r} is no cost: it is absurdly large")
    return int((value * 1_000_000).to_integral_value(ROUND_CEILING))


def decimal_string(cost_micros: int) -> str:
    """Micro-dollars as a decimal string with at least two places: '0.847', '5.00'."""
    whole, rest = divmod(abs(cost_micros), 1_000_000)
    places = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if cost_micros < 0 else ''}{whole}.{places}"


@dataclass(frozen=True, slots=True)
class Usage:
    """What an effect used. `tokens` is the sum where only the parts are given; `cost` is a decimal string in dollars.

    Built freely and checked when it is reported, so that a wrong report is recorded as one (L28).
    """

    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: str = "0.00"

    def __post_init__(self) -> None:
        if self.tokens == 0 and isinstance(self.input_tokens, int) and isinstance(self.output_tokens, int):
            object.__setattr__(self, "tokens", self.input_tokens + self.output_tokens)
        if not isinstance(self.cost, str):
            object.__setattr__(self, "cost", str(self.cost))

    @classmethod
    def of(cls, tokens: int, input_tokens: int, output_tokens: int, cost_micros: int) -> Usage:
        """Usage from the integers of a record."""
        return cls(tokens, input_tokens, output_tokens, decimal_string(cost_micros))


class Measured(NamedTuple):
    """Usage that passed its check, as integers."""

    tokens: int
    input_tokens: int
    output_tokens: int
    cost: int


def measured(usage: Usage) -> Measured | str:
    """The usage as integers, or why it cannot be believed (L28)."""
    counts = (usage.tokens, usage.input_tokens, usage.output_tokens)
    for name, count in zip(("tokens", "input_tokens", "output_tokens"), counts, strict=True):
        if isinstance(count, bool) or not isinstance(count, int):
            return f"{name} is {count!r}, not a whole number"
        if count < 0:
            return f"{name} is negative: {count}"
        if count > ABSURD_TOKENS:
            return f"{name} is absurd: {count}"
    if usage.input_tokens + usage.output_tokens > usage.tokens:
        return (
            f"input_tokens + output_tokens exceed tokens: {usage.input_tokens} + {usage.output_tokens} > {usage.tokens}"
        )
    try:
        return Measured(*counts, micros(usage.cost))
    except ValueError as error:
        return str(error)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit or an estimate in tokens, cost or both; None means unlimited (L24).

    `on_exhausted` says what a metered effect does that finds no headroom: "fail" (DOMAIN `budget_exhausted`) or
    "suspend" (PAUSED until an audited top-up) (L26). Raises ValueError for negative or non-finite figures.
    """

    tokens: int | None = None
    cost: str | None = None
    on_exhausted: Literal["fail", "suspend"] = "fail"

    def __post_init__(self) -> None:
        whole = isinstance(self.tokens, int) and not isinstance(self.tokens, bool)
        if self.tokens is not None and not (whole and 0 <= self.tokens <= _MOST_TOKENS):
            raise ValueError(
                f"Budget(tokens={self.tokens!r}): tokens must be a whole number from 0 to {_MOST_TOKENS:,}"
            )
        if self.cost is not None:
            object.__setattr__(self, "cost", decimal_string(micros(self.cost)))
        if self.on_exhausted not in ("fail", "suspend"):
            raise ValueError(f"Budget(on_exhausted={self.on_exhausted!r}): use 'fail' or 'suspend'")

    @property
    def cost_micros(self) -> int | None:
        """The cost limit in micro-dollars."""
        return None if self.cost is None else micros(self.cost)
