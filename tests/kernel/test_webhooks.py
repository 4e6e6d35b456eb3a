"""Messages for webhooks: their signature is the one that Standard Webhooks gives as its example, and pauses grow."""

from __future__ import annotations

import base64

import pytest

from remit.kernel.webhooks import ATTEMPTS, backoff_ms, key_of, signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_L41_a_message_is_signed_as_the_standard_says() -> None:
    body = b'{"test": 2432232314}'
    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265331, body) != signed


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with"),
        ("whsec_?", "base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "not 23"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "not 65"),
    ],
)
def test_L41_what_is_no_secret_is_refused(secret: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        key_of(secret)


def test_L41_pauses_grow_until_a_message_is_given_up() -> None:
    pauses = [backoff_ms(attempts) for attempts in range(1, ATTEMPTS + 1)]
    assert pauses[0] == 5_000
    assert pauses[-1] is None
    known = [each for each in pauses if each is not None]
    assert known == sorted(set(known))
    assert len(known) == ATTEMPTS - 1
