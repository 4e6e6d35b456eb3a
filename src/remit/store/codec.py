"""What payloads pass on their way into the database and back, and what stands where one was erased (L53)."""

from __future__ import annotations

from typing import Protocol

__all__ = ["ERASED", "ERASED_ERROR", "ERASED_TEXT", "SEALED", "Codec", "is_sealed"]

SEALED = b"\x01"
"""The first byte of a sealed payload; JSON begins with none like it, so that sealed and plain rows stand side by side."""
ERASED_TEXT = "[erased]"
ERASED = b'"[erased]"'
ERASED_ERROR = b'{"class":"DOMAIN","code":"erased","message":"[erased]","details":{},"origin":null,"attempt":null}'


class Codec(Protocol):
    """Seals payloads with a key of their tenant's ('' for none), bound to the row they belong to."""

    def seal(self, tenant: str, plain: bytes, identity: bytes) -> bytes:
        """The payload, sealed with the tenant's newest key; raises StoreError."""

    def unseal(self, sealed: bytes, identity: bytes) -> bytes | None:
        """The payload; None where its key was destroyed. Raises StoreError for a key that is missing, another row's payload."""


def is_sealed(value: bytes | str | None) -> bool:
    """Whether the payload of a row is sealed."""
    return isinstance(value, bytes) and value[:1] == SEALED
