"""What lineage, logs and errors show holds no secret, and everything else as it was (L29)."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretBytes, SecretStr

from remit.engine.values.redaction import REDACTED, is_secret_key, redact, redact_text

SECRET_KEYS = [
    "password", "Password", "db_password", "DB_PASSWORD", "passwd", "passphrase", "secret", "client_secret",
    "clientSecret", "token",
    "access_token", "accessToken", "refresh-token", "api_key", "apiKey", "apikey", "APIKey", "X-API-Key",
    "x-api-key", "authorization",
    "Authorization", "Proxy-Authorization", "private_key", "privateKey", "cookie", "Set-Cookie", "session",
    "session_id", "aws_secret_access_key",
    "credentials", "user.password", "pwd",
]  # fmt: skip
OPEN_KEYS = [
    "tokens", "max_tokens", "input_tokens", "output_tokens", "maxTokens", "token_count", "tokenizer", "key",
    "keys", "keyboard", "monkey",
    "idempotency_key", "secretary", "sessions_total", "obsession", "author", "authority", "name",
    "passenger", "", "42",
]  # fmt: skip
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc=\n-----END RSA PRIVATE KEY-----"
SECRET_TEXTS = [
    ("Authorization: Bearer abc.def-123", "Authorization: Bearer [redacted]"),
    ("bearer abcdefghij123 was refused", "bearer [redacted] was refused"),
    (f"key:\n{PEM}\nend", "key:\n[redacted]\nend"),
    ("cut off: -----BEGIN PRIVATE KEY-----\nMIIE", "cut off: [redacted]"),
    ("AKIAIOSFODNN7EXAMPLE used", "[redacted] used"),
    ("with sk-proj-abc123DEF456ghi789", "with [redacted]"),
    ("ghp_" + "a1" * 18, "[redacted]"),
    ("xoxb-123456789-abcdef", "[redacted]"),
    ("postgresql://scott:tiger@db:5432/x", "postgresql://[redacted]@db:5432/x"),
    ("redis://:p%40ss@cache/0", "redis://[redacted]@cache/0"),
]
OPEN_TEXTS = [
    "", "a bearer of news", "task-force-11 and disk-drive-22", "sk-learn", "https://example.org:8080/a@b",
    "https://user@example.org/",
    "the private key is kept elsewhere", "mailto:someone@example.org", "AKIA", "ratio 1:2 @ noon",
    "risk-1234567890",
]  # fmt: skip


class Login(BaseModel):
    user: str
    password: str
    pin: SecretStr


@dataclasses.dataclass
class Target:
    url: str
    api_key: str | None


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_L29_values_under_secret_keys_are_hidden(key: str) -> None:
    assert is_secret_key(key)
    assert redact({"a": [{key: "hunter2", "b": 1}]}) == {"a": [{key: REDACTED, "b": 1}]}
    assert redact(orjson.dumps({key: {"inner": "hunter2"}})) == {key: REDACTED}


@pytest.mark.parametrize("key", OPEN_KEYS)
def test_L29_other_keys_stay_open(key: str) -> None:
    assert redact({key: "value"}) == {key: "value"}
    assert redact(orjson.dumps({key: 12})) == {key: 12}


@pytest.mark.parametrize(("text", "shown"), SECRET_TEXTS)
def test_L29_secrets_inside_texts_are_hidden(text: str, shown: str) -> None:
    assert redact_text(text) == shown
    assert redact(["x", text]) == ["x", shown]
    assert redact(orjson.dumps({"note": text})) == {"note": shown}
    assert list(redact({text: 1})) == [shown]
    assert redact({"raw": text.encode()}) == {"raw": shown}


@pytest.mark.parametrize("text", OPEN_TEXTS)
def test_L29_other_texts_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == text


def test_L29_models_dataclasses_and_secret_types() -> None:
    login = Login(user="a", password="p", pin=SecretStr("1234"))
    assert redact(login) == {"user": "a", "password": REDACTED, "pin": REDACTED}
    assert redact((Target("https://u:p@h/", "k"), SecretBytes(b"x"))) == [
        {"url": "https://[redacted]@h/", "api_key": REDACTED},
        REDACTED,
    ]


def test_L29_what_tells_nothing_stays_visible() -> None:
    assert redact({"password": None, "session": True}) == {"password": None, "session": True}
    assert redact({"token": 1234}) == {"token": REDACTED}


def test_L29_escaped_and_broken_payloads() -> None:
    assert redact(b'{"\\u0070assword":"hunter2"}') == {"password": REDACTED}
    assert redact(b'{"note":"\\u0062earer abcdefghij123"}') == {"note": "bearer [redacted]"}
    assert redact(b"no json: Bearer abcdefghij123") == "no json: Bearer [redacted]"
    assert redact(b"\xff\xfe") == "��"
    assert redact(b"123456789012345678901234567890") == 123456789012345678901234567890


def test_L48_endless_nesting_is_cut() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: Any = "x"
    for _ in range(5_000):
        deep = {"a": deep}
    for value in (cycle, deep):
        assert "[too deep to show]" in repr(redact(value))


def test_L29_the_original_is_untouched() -> None:
    value = {"password": "p", "list": ["Bearer abcdefghij123"]}
    redact(value)
    assert value == {"password": "p", "list": ["Bearer abcdefghij123"]}


safe_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc xyz019"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abcxyz"), inner),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(safe_json)
def test_L29_values_without_secrets_come_back_equal(value: Any) -> None:
    assert redact(value) == value
    assert redact(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "part",
    [
        "-----BEGIN PRIVATE KEY-----",
        "sk-",
        "bearer ",
        "://",
        "://a:b",
        "sk-a-",
        "AKIA",
        "xoxb-",
        "-----BEGIN ",
        "://" + "a" * 200,
        "ghp_a",
    ],
)
def test_L48_the_search_takes_time_linear_in_the_text(part: str) -> None:
    def taken(size: int) -> float:
        text = part * (size // len(part))
        start = time.perf_counter()
        redact_text(text)
        return time.perf_counter() - start

    short = min(taken(20_000) for _ in range(3))
    long = min(taken(320_000) for _ in range(2))
    assert long < 16 * short * 4 + 0.01, (short, long)
