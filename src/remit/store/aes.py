"""AES-256-GCM over bytes: what is sealed cannot be read, changed or taken for something else. Needs the extra `encryption`."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["KEY_BYTES", "Cipher"]

KEY_BYTES = 32
_NONCE_BYTES = 12


class Cipher:
    """One key. Its nonces are random: it should seal no more than some 4 billion payloads."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, plain: bytes, identity: bytes) -> bytes:
        """The text under a fresh nonce, bound to its identity."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, identity)

    def open(self, sealed: bytes, identity: bytes) -> bytes | None:
        """What was sealed; None where key, content or identity are others."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], identity)
        except (InvalidTag, ValueError):  # ValueError: it is too short to be one
            return None
