"""The audit log outside of its store: exported with a checkpoint that tells where each chain ends, and verified (L49).

An export is JSON Lines: entries, each with the hash before it, and a checkpoint as the last line. A checkpoint, signed and
kept where whoever may write the store cannot, is what a cut tail and a chain that was written anew are found with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from remit.errors import MisuseError
from remit.kernel.audit import Entry, Fault, Finding, Head, beginning_of, chain_of, findings
from remit.store.port import Reader

__all__ = ["Checkpoint", "Verdict", "checkpoint_in", "export_lines", "verify_lines", "verify_store"]

_FORM = 1
Sign = Callable[[bytes], bytes]
IsSigned = Callable[[bytes, bytes], bool]


class _Span(NamedTuple):
    """The part of a chain that an export holds: its first row, the hash before that, its last row and that one's hash."""

    first: int
    previous: bytes
    head: Head


class Checkpoint(NamedTuple):
    """What chains of a store were at some time; `content` is what the signature is over."""

    store: bytes
    chains: dict[str, _Span]
    content: bytes
    signature: bytes | None


class Verdict(NamedTuple):
    """What verifying has looked at and found; `checked` says what it was held against besides itself."""

    chains: int
    entries: int
    findings: list[Finding]
    checked: list[str]


# -- export -----------------------------------------------------------------------------------------------------------


def export_lines(
    reader: Reader, chains: Iterable[str], now_ms: int, *, since_ms: int = 0, sign: Sign | None = None
) -> Iterator[bytes]:
    """The entries of chains, those from `since_ms` on, and at the end the checkpoint; each a line of JSON."""
    spans: dict[str, list[Any]] = {}
    beginning = beginning_of(reader.audit_id())
    for chain in chains:
        previous = beginning
        for row in reader.audit_entries(chain):
            if chain in spans or row.at >= since_ms:
                spans.setdefault(chain, [row.seq, previous.hex(), 0, ""])[2:] = [row.seq, row.hash.hex()]
                yield _line(row, previous)
            previous = row.hash
    told: dict[str, Any] = {"checkpoint": _FORM, "store": reader.audit_id().hex(), "at": now_ms, "chains": spans}
    signature = sign(_content(told)).hex() if sign is not None else None
    yield orjson.dumps({**told, "signature": signature}) + b"\n"


def _line(row: Entry, previous: bytes) -> bytes:
    told = row._asdict() | {"previous": previous.hex(), "hash": row.hash.hex()}
    try:
        told["details"] = orjson.loads(row.details)
    except orjson.JSONDecodeError:
        told["details"] = None
    if orjson.dumps(told["details"]) != row.details:
        told["details_hex"] = row.details.hex()  # the hash is over these very bytes
    return orjson.dumps(told) + b"\n"


def _content(told: dict[str, Any]) -> bytes:
    """What is signed: the checkpoint without its signature, keys sorted, nothing between them."""
    return orjson.dumps({name: told[name] for name in told if name != "signature"}, option=orjson.OPT_SORT_KEYS)


# -- read back --------------------------------------------------------------------------------------------------------


def checkpoint_in(lines: Iterable[bytes], name: str) -> Checkpoint:
    """The checkpoint in the last line of an export, or alone in a file; raises MisuseError."""
    last = b""
    for line in lines:
        last = line if line.strip() else last
    try:
        return _checkpoint(orjson.loads(last))
    except (KeyError, TypeError, ValueError):
        raise MisuseError(f"{name} does not end with a checkpoint: name a whole export", code="invalid_input") from None


def _checkpoint(told: dict[str, Any]) -> Checkpoint:
    if told["checkpoint"] != _FORM:
        raise ValueError(told["checkpoint"])
    spans = {
        str(chain): _Span(int(first), bytes.fromhex(previous), Head(int(seq), bytes.fromhex(hashed)))
        for chain, (first, previous, seq, hashed) in told["chains"].items()
    }
    signature = bytes.fromhex(told["signature"]) if told["signature"] is not None else None
    return Checkpoint(bytes.fromhex(told["store"]), spans, _content(told), signature)


def _entry(line: bytes) -> Entry:
    told = orjson.loads(line)
    details = bytes.fromhex(told["details_hex"]) if "details_hex" in told else orjson.dumps(told["details"])
    texts = (told["chain"], told["seq"], told["at"], told["kind"], told["execution"], told["actor"])
    return Entry(*texts, details, bytes.fromhex(told["hash"]))


# -- verify -----------------------------------------------------------------------------------------------------------


def verify_lines(lines: Iterable[bytes], name: str, is_signed: IsSigned | None = None) -> Verdict:
    """Hold an export against its own checkpoint, without the store; raises MisuseError where it has none."""
    read = [line for line in lines if line.strip()]
    checkpoint = checkpoint_in(read, name)
    found = list(_of_signature(checkpoint, is_signed))
    rows: list[Entry] = []
    for number, line in enumerate(read[:-1], 1):
        try:
            rows.append(_entry(line))
        except (KeyError, TypeError, ValueError):
            found.append(Finding("", number, Fault.EDITED, f"line {number} of {name} is no entry"))
    chains = {chain: list(group) for chain, group in groupby(sorted(rows, key=_chain_of), key=_chain_of)}
    for chain, span in checkpoint.chains.items():
        found += findings(chain, chains.get(chain, []), span.previous, first=span.first, head=span.head)
    for chain in chains.keys() - checkpoint.chains.keys():
        found.append(Finding(chain, 1, Fault.MISPLACED, f"{chain} is in {name}, and not in its checkpoint: it was put in"))
    return Verdict(len(chains), len(rows), found, _checked(["its checkpoint"], is_signed))


def _chain_of(row: Entry) -> str:
    return str(row.chain)


def verify_store(
    reader: Reader, checkpoint: Checkpoint | None = None, is_signed: IsSigned | None = None
) -> Verdict:
    """Hold the log of a store against itself, against the executions that there are, and against a checkpoint."""
    identity = reader.audit_id()
    spans = checkpoint.chains if checkpoint is not None else {}
    found = list(_of_signature(checkpoint, is_signed)) if checkpoint is not None else []
    if checkpoint is not None and checkpoint.store != identity:
        found.append(Finding("", 0, Fault.FOREIGN, "the checkpoint is another store's, or this store's identity was edited"))
    entries, chains = 0, reader.audit_chains()
    for chain in sorted({*chains, *spans}):
        rows = reader.audit_entries(chain)
        entries += len(rows)
        found += findings(chain, rows, beginning_of(identity), head=spans[chain].head if chain in spans else None)
    for execution_id in reader.unaudited():
        message = f"the admission of {execution_id} is not in the log: its row was deleted, or the execution put in"
        found.append(Finding(chain_of(execution_id), 0, Fault.MISSING, message))
    checked = ["the executions that there are"] + (["the checkpoint"] if checkpoint is not None else [])
    return Verdict(len(chains), entries, found, _checked(checked, is_signed))


def _of_signature(checkpoint: Checkpoint, is_signed: IsSigned | None) -> Iterator[Finding]:
    if is_signed is None:
        return
    if checkpoint.signature is None:
        yield Finding("", 0, Fault.FORGED, "the checkpoint is not signed")
    elif not is_signed(checkpoint.content, checkpoint.signature):
        yield Finding("", 0, Fault.FORGED, "the signature of the checkpoint is not that of the key: one of the two was changed")


def _checked(against: list[str], is_signed: IsSigned | None) -> list[str]:
    return against if is_signed is None else [*against, "its signature"]
