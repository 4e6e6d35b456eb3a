"""What becomes of operations that were in flight when the power failed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from random import Random

from remit.testing.faults.disk_log import Truncate, Write

__all__ = ["SECTOR_BYTES", "Survival", "sectors", "survivors"]

#: A disk writes a sector wholly or not at all; writes tear between two of them.
SECTOR_BYTES = 512


class Survival(StrEnum):
    """Which unsynced operations survive: none, the first few (the last torn), or any sectors by chance."""

    DROPPED = "dropped"
    PREFIX = "prefix"
    SUBSET = "subset"


def survivors(flying: Sequence[Write | Truncate], survival: Survival, random: Random) -> list[Write | Truncate]:
    """Those operations in flight that reached the disk after all, in order; writes may be cut to sectors."""
    match survival:
        case Survival.DROPPED:
            return []
        case Survival.PREFIX:
            return _prefix(flying, random)
        case Survival.SUBSET:
            chance = random.choice((0.1, 0.5, 0.9))
            return [part for each in flying for part in sectors(each) if random.random() < chance]


def sectors(operation: Write | Truncate) -> list[Write | Truncate]:
    """The write as one write for each sector that it touches; a truncation is indivisible."""
    if isinstance(operation, Truncate):
        return [operation]
    start, end = operation.offset, operation.offset + len(operation.data)
    second = start - start % SECTOR_BYTES + SECTOR_BYTES
    edges = [start, *range(second, end, SECTOR_BYTES), end]
    return [Write(operation.inode, low, operation.data[low - start : high - start]) for low, high in pairwise(edges)]


def _prefix(flying: Sequence[Write | Truncate], random: Random) -> list[Write | Truncate]:
    whole = random.randint(0, len(flying))
    if whole == len(flying):
        return list(flying)
    torn = sectors(flying[whole])
    return [*flying[:whole], *torn[: random.randrange(len(torn))]]
