"""Ids that spell out the tree, ancestry, and the identity of calls (L1, L2, L9)."""

from __future__ import annotations

import re
from hashlib import sha256

__all__ = [
    "CallKeys",
    "ancestors_of",
    "child_id",
    "depth_of",
    "descendant_range",
    "is_execution_id",
    "ordinal_of",
    "otel_trace_id",
    "parent_of",
    "root_id",
    "root_key",
    "root_of",
]

_ID = re.compile(r"exec_[0-9a-f]{24}(\.[1-9][0-9]*)*\Z")
_ROOT_LENGTH = len("exec_") + 24


def root_id(milliseconds: int, chance: int) -> str:
    """A root's id: 12 hex digits of milliseconds since 1970, 12 of 48 random bits; ids sort by time (L1)."""
    return f"exec_{milliseconds & 0xFFFFFFFFFFFF:012x}{chance & 0xFFFFFFFFFFFF:012x}"


def child_id(parent: str, ordinal: int) -> str:
    """The id of a parent's n-th admitted child, counted from 1."""
    return f"{parent}.{ordinal}"


def is_execution_id(text: str) -> bool:
    """Whether the text has the form of an execution id."""
    return isinstance(text, str) and _ID.match(text) is not None


def parent_of(execution_id: str) -> str | None:
    """The parent's id; None for a root."""
    parent, dot, _ = execution_id.rpartition(".")
    return parent if dot else None


def root_of(execution_id: str) -> str:
    """The root's id: the whole trace's."""
    return execution_id[:_ROOT_LENGTH]


def depth_of(execution_id: str) -> int:
    """How many ancestors the execution has."""
    return execution_id.count(".")


def ordinal_of(execution_id: str) -> int:
    """The place among its siblings, from 1; 0 for a root."""
    _, dot, last = execution_id.rpartition(".")
    return int(last) if dot else 0


def ancestors_of(execution_id: str) -> tuple[str, ...]:
    """All ancestors' ids, root first (L2)."""
    parts = execution_id.split(".")
    return tuple(".".join(parts[:count]) for count in range(1, len(parts)))


def descendant_range(execution_id: str) -> tuple[str, str]:
    """The half-open range of text in which every descendant's id lies, and nothing else ('.' + 1 == '/')."""
    return execution_id + ".", execution_id + "/"


def otel_trace_id(root: str) -> str:
    """The OpenTelemetry trace id: the first 16 bytes of the root id's SHA-256, as 32 hex digits (L1)."""
    return sha256(root.encode()).hexdigest()[:32]


class CallKeys:
    """The idempotency keys of one execution's calls: SHA-256 over tenant, root and parent, generation and the call's identity (L9).

    The identity is the caller's own `key` where given, else (target, digest of the input, n-th occurrence).
    A parent's id begins with its root's, so naming the parent names both. The tenant's length keeps a tenant whose
    name holds the separator from speaking with another's key.
    """

    __slots__ = ("_begun",)

    def __init__(self, tenant: str, parent: str, generation: int) -> None:
        self._begun = sha256(f"{len(tenant)}\0{tenant}\0{parent}\0{generation}\0".encode())

    def of(self, target: str, digest: bytes, occurrence: int, explicit: str | None) -> bytes:
        """The key of one call: what all of them share is hashed once."""
        key = self._begun.copy()
        key.update(b"%d\0%s\0%s" % (occurrence, target.encode(), digest) if explicit is None else b"key\0" + explicit.encode())
        return key.digest()


def root_key(tenant: str, key: str) -> bytes:
    """The idempotency key of a root's start: a tenant's keys are its own (L44)."""
    return sha256(f"{len(tenant)}\0{tenant}\0root\0{key}".encode()).digest()
