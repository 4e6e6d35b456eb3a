"""The ledger of a trace: one root limit, reservations drawn from the nearest ancestor first (L24, L25).

Each execution has an account with two pools, tokens and cost. A pool knows
    spent    used by the execution and everything below it,
    unused   what is left of the execution's own reservation,
    held     the unused reservations of the execution and everything below it,
and no admission takes `spent + held` above the limit of any account, the root's above all; only usage that is reported
afterwards can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from remit.kernel.usage import Amount, decimal_string

__all__ = ["Account", "Pool", "Refusal"]


class Refusal(NamedTuple):
    """Why an estimate does not fit."""

    unit: str
    wanted: int
    headroom: int

    def spelled(self) -> tuple[int | str, int | str]:
        """What was wanted and what is left, as people see it: tokens, or dollars as a decimal string."""
        if self.unit == "cost":
            return decimal_string(self.wanted), decimal_string(self.headroom)
        return self.wanted, self.headroom


class Pool:
    """One unit (tokens, or micro-dollars) of one execution's account."""

    __slots__ = ("estimate", "held", "limit", "loans", "parent", "settled", "spent", "unused")

    def __init__(self, parent: Pool | None, limit: int | None = None) -> None:
        self.parent = parent
        self.limit = limit
        self.spent = 0
        self.unused = 0
        self.held = 0
        self.estimate = 0
        self.loans: list[tuple[Pool, int]] | None = None
        self.settled = False

    def headroom(self) -> int | None:
        """What a call made by this execution may still reserve; None where no limit stands above it."""
        lowest: int | None = None
        lent = 0
        pool: Pool | None = self
        while pool is not None:
            lent += pool.unused
            if pool.limit is not None:
                free = pool.limit - pool.spent - pool.held
                room = free + lent if free >= 0 else free  # overdrawn by late usage: what was lent is no longer there
                lowest = room if lowest is None or room < lowest else lowest
            pool = pool.parent
        return lowest

    def reserved(self) -> int:
        """What reservations have left, its own and those that it may draw on."""
        pool: Pool | None = self
        left = 0
        while pool is not None:
            left += pool.unused
            pool = pool.parent
        return left

    def reserve(self, amount: int) -> None:
        """Take a reservation, out of the nearest ancestors' unused ones first; the caller checked headroom."""
        self.estimate += amount
        self.unused += amount
        self.held += amount
        needed, pool = amount, self.parent
        while pool is not None and needed:
            drawn = min(pool.unused, needed)
            if drawn:
                pool.unused -= drawn
                needed -= drawn
                self.loans = [*(self.loans or ()), (pool, drawn)]
            pool.held += needed
            pool = pool.parent

    def spend(self, amount: int) -> None:
        """Charge usage: reservations shrink from the nearest outwards, the rest comes out of the headroom."""
        needed = amount
        covered = 0
        pool: Pool | None = self
        while pool is not None:
            pool.spent += amount
            drawn = min(pool.unused, needed)
            pool.unused -= drawn
            needed -= drawn
            covered += drawn
            pool.held -= covered
            pool = pool.parent

    def settle(self) -> None:
        """Release what is left of the reservation, once: to the ancestors that lent it, else to the root's headroom."""
        self.settled = True
        left, self.unused = self.unused, 0  # so a second time nothing is left
        used = self.estimate - left
        returns: dict[int, int] = {}
        for lender, lent in self.loans or ():
            back = max(0, lent - used)
            used = max(0, used - lent)
            if back and not lender.settled:
                returns[id(lender)] = back
        released = left
        pool: Pool | None = self
        while pool is not None and released:
            back = returns.get(id(pool), 0)
            pool.unused += back
            released -= back
            pool.held -= released
            pool = pool.parent

    def lent(self) -> dict[int, int]:
        """What ancestors lent to the reservation, by how many levels above they stand."""
        drawn = {id(pool): amount for pool, amount in self.loans or ()}
        return {level: drawn[id(pool)] for level, pool in enumerate(self._above(), 1) if id(pool) in drawn}

    def owe(self, lent: Mapping[int, int]) -> None:
        """Remember what ancestors lent, as it was recorded."""
        self.loans = [(pool, lent[level]) for level, pool in enumerate(self._above(), 1) if level in lent]

    def _above(self) -> Iterator[Pool]:
        pool = self.parent
        while pool is not None:
            yield pool
            pool = pool.parent


class Account:
    """An execution's share in the ledger of its trace."""

    __slots__ = ("cost", "tokens")

    def __init__(self, parent: Account | None, limit_tokens: int | None = None, limit_cost: int | None = None) -> None:
        self.tokens: Pool = Pool(parent.tokens if parent else None, limit_tokens)
        self.cost: Pool = Pool(parent.cost if parent else None, limit_cost)

    def refusal(self, estimate: Amount) -> Refusal | None:
        """Why a call with that estimate must be rejected: no headroom for it, or none at all (L25)."""
        room = self.tokens.headroom()
        if room is not None and (estimate.tokens > room or room <= 0):
            return Refusal("tokens", estimate.tokens, room)
        room = self.cost.headroom()
        if room is not None and (estimate.cost > room or room <= 0):
            return Refusal("cost", estimate.cost, room)
        return None

    def covers(self, amount: Amount) -> bool:
        """Whether there are reservations here and above, and all of the amount fits into them."""
        tokens, cost = self.tokens.reserved(), self.cost.reserved()
        return bool(tokens or cost) and amount.tokens <= tokens and amount.cost <= cost

    def overdrawn(self, amount: Amount) -> Refusal | None:
        """Why a metered effect of that maximum must not start: only what exceeds the headroom counts (L26)."""
        for unit, pool, wanted in (("tokens", self.tokens, amount.tokens), ("cost", self.cost, amount.cost)):
            room = pool.headroom() if wanted else None
            if room is not None and wanted > room:
                return Refusal(unit, wanted, room)
        return None

    def reserve(self, amount: Amount) -> None:
        """Reserve in both units."""
        if amount.tokens:
            self.tokens.reserve(amount.tokens)
        if amount.cost:
            self.cost.reserve(amount.cost)

    def spend(self, amount: Amount) -> None:
        """Charge in both units."""
        if amount.tokens:
            self.tokens.spend(amount.tokens)
        if amount.cost:
            self.cost.spend(amount.cost)

    def lent(self) -> list[tuple[int, int, int]]:
        """Who lent to its reservations, for its record: (levels above, tokens, micro-dollars)."""
        tokens, cost = self.tokens.lent(), self.cost.lent()
        return [(level, tokens.get(level, 0), cost.get(level, 0)) for level in sorted({*tokens, *cost})]

    def owe(self, lent: Iterable[tuple[int, int, int]]) -> None:
        """Remember who lent, as it was recorded."""
        both = list(lent)
        self.tokens.owe({level: tokens for level, tokens, _ in both if tokens})
        self.cost.owe({level: cost for level, _, cost in both if cost})

    def settle(self) -> None:
        """Release what both reservations have left, once."""
        self.tokens.settle()
        self.cost.settle()
