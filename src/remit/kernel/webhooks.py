"""Webhook messages: how they are signed (Standard Webhooks), and when one that failed is tried again."""

from __future__ import annotations

import base64
import binascii
import hmac

__all__ = ["ATTEMPTS", "PREFIX", "backoff_ms", "key_of", "signature"]

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)
_DELAYS_S = (5, 30, 120, 600, 1_800, 7_200, 21_600, 86_400)
ATTEMPTS = len(_DELAYS_S) + 1
"""After so many a message is given up: a day and a half after the first."""


def backoff_ms(attempts: int) -> int | None:
    """How long to wait after so many failed attempts; None where it is given up."""
    return _DELAYS_S[attempts - 1] * 1_000 if attempts <= len(_DELAYS_S) else None


def key_of(secret: str) -> bytes:
    """The key that a secret stands for; raises ValueError for what is none: 'whsec_' and 24 to 64 bytes in base64."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"a secret begins with {PREFIX!r}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"a secret is {PREFIX!r} and base64") from None
    if len(key) not in KEY_BYTES:
        raise ValueError(f"a secret holds 24 to 64 bytes, not {len(key)}")
    return key


def signature(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature` for a message."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), content, "sha256")).decode()
