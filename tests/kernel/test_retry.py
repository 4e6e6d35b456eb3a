"""Which failures are tried again, how often and when (L16, L17, L18)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import CODES, ContractViolation, DomainError, ErrorClass, ErrorInfo, SystemFailure, TransientError
from remit.kernel.retry import Retry, backoff_ms, classify, exhausted, retries

TRANSIENT, DOMAIN, SYSTEM = ErrorClass


def error(error_class: ErrorClass, code: str = "transient_error") -> ErrorInfo:
    """A failure as recorded."""
    return ErrorInfo(error_class, code, "the gateway is away", {"host": "a"}, "exec_1", 2)


CODES_DRAWN = st.sampled_from(["lease_expired", "transient_error", "out_of_stock"])


@given(st.sampled_from(ErrorClass), CODES_DRAWN, st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_L18_only_transient_failures_are_retried_within_their_attempts(
    error_class: ErrorClass, code: str, attempt: int, attempts: int, on_timeout: bool
) -> None:
    wanted = error_class is TRANSIENT or (code == "lease_expired" and on_timeout)
    policy = Retry(attempts=attempts, retry_on_timeout=on_timeout)
    assert retries(error(error_class, code), attempt, policy) is (wanted and attempt < attempts)


def test_L18_three_attempts_are_the_default() -> None:
    assert [retries(error(TRANSIENT), attempt, Retry()) for attempt in (1, 2, 3)] == [True, True, False]
    assert not retries(error(DOMAIN, "lease_expired"), 1, Retry())


def test_L18_exhausted_is_domain_so_that_nobody_further_up_retries() -> None:
    spent = exhausted(error(TRANSIENT), 3)
    assert (spent.error_class, spent.code, spent.origin, spent.attempt) == (DOMAIN, "retries_exhausted", "exec_1", 3)
    assert spent.details["last"] == {
        "code": "transient_error",
        "message": "the gateway is away",
        "details": {"host": "a"},
    }
    assert not any(retries(spent, attempt, Retry(attempts=1_000)) for attempt in range(1, 10))


@given(st.integers(1, 1_000), st.floats(0, 1, exclude_max=True))
def test_L18_the_pause_is_drawn_below_an_exponential_ceiling(attempt: int, chance: float) -> None:
    policy = Retry(first=0.1, longest=5)
    ceiling = min(5_000, 100 * 2 ** (attempt - 1))
    assert 0 <= backoff_ms(attempt, policy, chance) < ceiling
    assert backoff_ms(attempt, policy, chance) == int(ceiling * chance)


@given(st.integers(1, 12))
def test_L18_the_jitter_is_full_from_none_to_the_ceiling(attempt: int) -> None:
    assert backoff_ms(attempt, Retry(), 0.0) == 0
    assert backoff_ms(attempt, Retry(), 0.999999) >= 0.99 * min(60_000, 500 * 2 ** (attempt - 1)) - 1


@pytest.mark.parametrize(
    "fields",
    [
        {"attempts": 0},
        {"attempts": -1},
        {"attempts": 1_001},
        {"attempts": 2.0},
        {"attempts": True},
        {"first": "soon"},
        {"longest": -1},
    ],
)
def test_L48_a_wrong_retry_is_refused_where_it_is_written(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"Retry\(attempts|is no duration"):
        Retry(**fields)


class Response:
    def __init__(self, status_code: object) -> None:
        self.status_code = status_code


class HttpError(Exception):
    """As client libraries raise it: the status on the error, or on its response."""

    def __init__(self, **fields: object) -> None:
        super().__init__("refused")
        self.__dict__.update(fields)


class ConnectError(Exception):
    """As a client library names its own, below no builtin."""


@pytest.mark.parametrize(
    ("raised", "error_class"),
    [
        (ConnectionResetError(), TRANSIENT),
        (TimeoutError(), TRANSIENT),
        (ConnectError(), TRANSIENT),
        (HttpError(status_code=429), TRANSIENT),
        (HttpError(status=500), TRANSIENT),
        (HttpError(code=599), TRANSIENT),
        (HttpError(response=Response(503)), TRANSIENT),
        (HttpError(status_code="503", status=503), TRANSIENT),
        (HttpError(status_code=404), DOMAIN),
        (HttpError(status_code=404, response=Response(503)), DOMAIN),
        (HttpError(code=True), DOMAIN),
        (HttpError(code=600), DOMAIN),
        (HttpError(code=-1), DOMAIN),
        (HttpError(response=Response("503")), DOMAIN),
        (ValueError(), DOMAIN),
        (OSError(), DOMAIN),
    ],
)
def test_L17_an_exception_is_classified_by_its_kind(raised: Exception, error_class: ErrorClass) -> None:
    assert classify(raised) is error_class


@pytest.mark.parametrize(
    ("raised", "error_class"),
    [
        (TransientError("away"), TRANSIENT),
        (DomainError("no"), DOMAIN),
        (SystemFailure("gone"), SYSTEM),
        (ContractViolation("no"), SYSTEM),
    ],
)
def test_L17_the_project_s_own_exceptions_carry_their_class(raised: Exception, error_class: ErrorClass) -> None:
    assert classify(raised) is error_class
    assert classify(raised, lambda _: TRANSIENT) is error_class


@given(st.sampled_from(ErrorClass))
def test_L17_a_process_may_add_a_classifier_and_leave_the_rest_to_the_table(chosen: ErrorClass) -> None:
    assert classify(ValueError(), lambda error: chosen if isinstance(error, ValueError) else None) is chosen
    assert classify(TimeoutError(), lambda _: None) is TRANSIENT
    assert classify(KeyError(), lambda _: None) is DOMAIN


def test_L16_one_table_gives_the_class_of_every_code() -> None:
    assert {code for code, entry in CODES.items() if entry.error_class is SYSTEM} >= {
        "cross_tenant",
        "region_violation",
    }
    assert all(entry.meaning and entry.mend for entry in CODES.values())
