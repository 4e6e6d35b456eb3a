"""The audit log's chains: what an entry's hash is over, and what is wrong with rows that somebody has laid hands on (L49).

Every root has a chain, and every tenant one for what is done outside of executions. An entry's hash is over the hash before
it and over all that the entry says, so that no row can be changed, taken out, put in or moved without its neighbours
showing it. Who may write the file can rewrite a chain from some row to its end; a checkpoint kept elsewhere shows that too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

from remit.kernel.trace import is_execution_id, root_of

__all__ = [
    "Entry",
    "Fault",
    "Finding",
    "Head",
    "beginning_of",
    "chain_of",
    "control_chain",
    "findings",
    "hash_of",
    "tenant_of",
]

_CONTROL = "tenant:"


class Entry(NamedTuple):
    """One row: `execution` and `actor` are '' where there is none, `details` is JSON without payloads, `at` milliseconds."""

    chain: str
    seq: int
    at: int
    kind: str
    execution: str
    actor: str
    details: bytes
    hash: bytes


class Head(NamedTuple):
    """How far a chain has come: its last entry's number, 0 for none, and hash."""

    seq: int
    hash: bytes


class Fault(StrEnum):
    """What may be wrong with a row, or with a checkpoint."""

    EDITED = "edited"
    MISPLACED = "misplaced"
    MISSING = "missing"
    CUT = "cut"
    REWRITTEN = "rewritten"
    FOREIGN = "foreign"
    FORGED = "forged"


class Finding(NamedTuple):
    """A row, or the place where one should be, and what is wrong with it."""

    chain: str
    seq: int
    fault: Fault
    message: str


def chain_of(execution_id: str) -> str:
    """The chain of an execution: its root's id."""
    return root_of(execution_id)


def control_chain(tenant: str | None) -> str:
    """The chain of what is done outside of executions for a tenant, or for none."""
    return _CONTROL + (tenant or "")


def tenant_of(chain: str) -> str | None:
    """The tenant of a control chain, '' for none; None for the chain of a root."""
    return None if is_execution_id(chain) else chain.removeprefix(_CONTROL)


def beginning_of(store: bytes) -> bytes:
    """What stands before the first entry of every chain of a store: no chain of another one fits."""
    return sha256(b"remit audit 1\0" + store).digest()


def hash_of(
    previous: bytes, chain: str, seq: int, at: int, kind: str, execution: str, actor: str, details: bytes
) -> bytes:
    """An entry's hash: SHA-256 over the hash before it and a text of its fields in which none can pose as another.

    Texts stand behind their lengths in characters, as `5:hello`; the whole is UTF-8.
    """
    text = f"{len(chain)}:{chain} {seq} {at} {len(kind)}:{kind} {len(execution)}:{execution} {len(actor)}:{actor} "
    return sha256(previous + text.encode() + details).digest()


def findings(
    chain: str, rows: Sequence[Entry], previous: bytes, *, first: int = 1, head: Head | None = None
) -> list[Finding]:
    """What is wrong with a chain's rows in order of `seq`; empty where nothing is.

    `previous` is the hash before row `first`. `head` is what a checkpoint attests: without one, nobody can tell that rows
    are missing at the end, or that somebody has written the chain anew from some row on.
    """
    return [*_of_rows(chain, rows, previous, first), *_of_end(chain, rows, first, head)]


def _of_rows(chain: str, rows: Sequence[Entry], previous: bytes, first: int) -> Iterator[Finding]:
    expected, vouched = first, True  # whether the hash before the next row is known
    for row, following in pairwise([*rows, None]):
        assert row is not None
        if row.seq != expected:
            yield _gap(chain, expected, row.seq)
            vouched = False
        own = hash_of(previous, *row[:7])
        if vouched and (own != row.hash or row.chain != chain):
            fault, own = _of_row(row, own, following)
            yield Finding(chain, row.seq, fault, _MESSAGES[fault].format(chain=chain, seq=row.seq))
        else:
            own = row.hash
        previous, expected, vouched = own, row.seq + 1, True


def _of_row(row: Entry, own: bytes, following: Entry | None) -> tuple[Fault, bytes]:
    """What is wrong with a row that does not fit, and the hash that the next row is to be held against.

    Where the next row stands on one of the two hashes, all around the row is as it was: it was edited itself.
    """
    if following is None or hash_of(row.hash, *following[:7]) == following.hash:
        return Fault.EDITED, row.hash
    if hash_of(own, *following[:7]) == following.hash:
        return Fault.EDITED, own
    return Fault.MISPLACED, row.hash


_MESSAGES = {
    Fault.EDITED: "row {seq} of {chain} does not give its hash: it was edited, or does not belong here",
    Fault.MISPLACED: "row {seq} of {chain} does not follow from the row before it: it was put in, moved, or both were edited",
}


def _gap(chain: str, expected: int, found: int) -> Finding:
    if found < expected:
        return Finding(chain, found, Fault.MISPLACED, f"row {found} of {chain} stands where row {expected} should be")
    which = f"row {expected} of {chain} is" if found == expected + 1 else f"rows {expected} to {found - 1} of {chain} are"
    return Finding(chain, expected, Fault.MISSING, f"{which} missing: deleted")


def _of_end(chain: str, rows: Sequence[Entry], first: int, head: Head | None) -> Iterator[Finding]:
    """What a checkpoint says of the end."""
    if head is None:
        return
    last = rows[-1].seq if rows else first - 1
    if last < head.seq:
        which = f"row {head.seq} of {chain} is" if last == head.seq - 1 else f"rows {last + 1} to {head.seq} of {chain} are"
        yield Finding(chain, last + 1, Fault.CUT, f"{which} cut off: the checkpoint has seen as far as row {head.seq}")
    attested = next((row for row in rows if row.seq == head.seq), None)
    if attested is not None and attested.hash != head.hash:
        message = f"row {head.seq} of {chain} is not the one that the checkpoint has seen: the chain was written anew, there or before"
        yield Finding(chain, head.seq, Fault.REWRITTEN, message)
