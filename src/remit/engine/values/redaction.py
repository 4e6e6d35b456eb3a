"""What lineage, logs and errors must not show: secrets, by the name of their key and by their form (L29)."""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic_core import from_json

__all__ = ["REDACTED", "is_secret_key", "redact", "redact_text", "secret_spans"]

REDACTED = "[redacted]"

_TOO_DEEP = "[too deep to show]"
_DEPTH_MAX = 200
_SECRET_TYPES = (SecretStr, SecretBytes, Secret)

_SECRET_WORDS = frozenset(
    (
        *("password", "passwords", "passwd", "passphrase", "pwd", "secret", "secrets", "apikey"),
        *("authorization", "cookie", "cookies", "session", "credential", "credentials"),
    )
)
_KINDS_OF_KEY = frozenset(["api", "private", "access", "signing", "encryption"])
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# A payload or a text that holds none of these, in lower case, holds no secret: that settles most values.
_TEXT_HINTS = (
    "bearer",
    "private key",
    "akia",
    "asia",
    "sk-",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "xox",
    "://",
)
_KEY_HINTS = (
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "key",
    "auth",
    "cookie",
    "session",
    "credential",
)
_PAYLOAD_HINTS = (*_TEXT_HINTS, *_KEY_HINTS, "\\u")

# Every repetition is bounded or cannot fail once begun, so that a search takes time linear in the text.
_SECRET_TEXT = re.compile(
    r"""
      (?P<bearer> \b(?i:bearer)\s{1,4} ) [A-Za-z0-9._~+/=-]{8,}
    | -----BEGIN\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY-----
      [\s\S]*?  (?: -----END\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY----- | \Z )
    | \b (?:AKIA|ASIA) [A-Z0-9]{16} \b
    | \b sk- (?= [A-Za-z_-]{0,64}[0-9] ) [A-Za-z0-9_-]{8,}
    | \b gh[pousr]_ [A-Za-z0-9]{20,}
    | \b xox[abeoprs]- [A-Za-z0-9-]{10,}
    | (?P<url> :// ) [^\s/:@]{0,128} : [^\s/@]{1,256} (?=@)
    """,
    re.VERBOSE,
)


def redact(value: object) -> object:
    """A copy fit to be shown: secrets become "[redacted]"; models become dicts, tuples and sets become lists.

    Bytes are taken for a JSON payload and decoded first; bytes that are no JSON are shown as text.
    """
    if not isinstance(value, bytes):
        return _redacted(value, 0)
    try:
        decoded = from_json(value)
    except ValueError:  # no JSON: what can be read of it is still worth showing
        return redact_text(value.decode("utf-8", "replace"))
    return _redacted(decoded, 0) if _hinted(value.decode(), _PAYLOAD_HINTS) else decoded


def redact_text(text: str) -> str:
    """A text without bearer tokens, private keys, access keys and the passwords of URLs."""
    return _SECRET_TEXT.sub(_keep_label, text) if _hinted(text, _TEXT_HINTS) else text


def secret_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where secrets stand in a text that shows them by their form; labels such as "Bearer" are no part of them."""
    if _hinted(text, _TEXT_HINTS):
        for match in _SECRET_TEXT.finditer(text):
            yield match.start() + len(match["bearer"] or match["url"] or ""), match.end()


def _hinted(text: str, hints: tuple[str, ...]) -> bool:
    lowered = text.lower()
    for hint in hints:  # noqa: SIM110 - a generator takes three times as long
        if hint in lowered:
            return True
    return False


def _keep_label(match: re.Match[str]) -> str:
    return (match["bearer"] or match["url"] or "") + REDACTED


@lru_cache(maxsize=4096)
def is_secret_key(key: str) -> bool:
    """Whether a key names a secret, by whole words: `access_token` does, `max_tokens` does not."""
    words = [word.lower() for word in _WORD.findall(key[:256])]
    if not words:
        return False
    named_key = any(kind in _KINDS_OF_KEY and word == "key" for kind, word in pairwise(words))
    return words[-1] == "token" or named_key or not _SECRET_WORDS.isdisjoint(words)


def _redacted(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth >= _DEPTH_MAX:
        return _TOO_DEEP
    if isinstance(value, _SECRET_TYPES):
        return REDACTED
    if isinstance(value, (bytes, bytearray)):
        return redact_text(bytes(value).decode("utf-8", "replace"))
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [_redacted(item, depth + 1) for item in value]
    fields = _named_parts(value)
    if fields is None:
        return value
    return {_shown_key(key): _redacted_part(key, item, depth + 1) for key, item in fields.items()}


def _named_parts(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, BaseModel):
        return {**value.__dict__, **(value.__pydantic_extra__ or {})}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    return None


def _shown_key(key: Any) -> Any:
    return redact_text(key) if isinstance(key, str) else key


def _redacted_part(key: Any, value: Any, depth: int) -> Any:
    # None and flags tell nothing, and hiding them hides that a secret is missing
    if value is not None and not isinstance(value, bool) and isinstance(key, str) and is_secret_key(key):
        return REDACTED
    return _redacted(value, depth)
