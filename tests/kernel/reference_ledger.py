"""A ledger that keeps only who has what, and recomputes everything else by summing: what `Account` must agree with."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Entry", "Ledger"]


@dataclass
class Entry:
    """One execution in one unit: what it used itself, what is left of its reservation, and where that came from."""

    parent: int | None
    limit: int | None
    used: int = 0
    unused: int = 0
    settled: bool = False
    sources: list[int | None] = field(default_factory=list)
    """For each unit reserved, in the order it was taken: who lent it; None is the root's headroom."""


class Ledger:
    """The law, slowly: one unit of tokens at a time (L24, L25)."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, parent: int | None, limit: int | None) -> None:
        """A new execution below `parent`."""
        self.entries.append(Entry(parent, limit))

    def path(self, name: int | None) -> list[int]:
        """The execution and its ancestors, nearest first."""
        found = []
        while name is not None:
            found.append(name)
            name = self.entries[name].parent
        return found

    def spent(self, name: int) -> int:
        """Used by the execution and everything below it."""
        return sum(each.used for number, each in enumerate(self.entries) if name in self.path(number))

    def held(self, name: int) -> int:
        """Unused reservations of the execution and everything below it."""
        return sum(each.unused for number, each in enumerate(self.entries) if name in self.path(number))

    def headroom(self, name: int) -> int | None:
        """The least that any limit above leaves, the reservations on the way to it included; None without a limit."""
        rooms = []
        for above in self.path(name):
            limit = self.entries[above].limit
            if limit is not None:
                own = sum(self.entries[each].unused for each in self.path(name) if above in self.path(each))
                free = limit - self.spent(above) - self.held(above)
                rooms.append(free + own if free >= 0 else free)
        return min(rooms, default=None)

    def reserve(self, name: int, amount: int) -> None:
        """Each unit from the nearest ancestor that has one unused, else from the root's headroom."""
        entry = self.entries[name]
        for _ in range(amount):
            lender = next((each for each in self.path(entry.parent) if self.entries[each].unused), None)
            if lender is not None:
                self.entries[lender].unused -= 1
            entry.sources.append(lender)
            entry.unused += 1

    def spend(self, name: int, amount: int) -> None:
        """Each unit out of the nearest reservation that has one unused, else out of the headroom."""
        self.entries[name].used += amount
        for _ in range(amount):
            payer = next((each for each in self.path(name) if self.entries[each].unused), None)
            if payer is not None:
                self.entries[payer].unused -= 1

    def settle(self, name: int) -> None:
        """The units that were not needed go back to whoever lent them, as long as the lender still runs."""
        entry = self.entries[name]
        if entry.settled:
            return
        needed = len(entry.sources) - entry.unused
        for lender in entry.sources[needed:]:
            if lender is not None and not self.entries[lender].settled:
                self.entries[lender].unused += 1
        entry.unused, entry.settled = 0, True
