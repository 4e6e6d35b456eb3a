"""The ordered checks before a call is admitted (L3, L4, L7, L10, L15, L25)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import ErrorClass, ErrorInfo
from remit.kernel.budget import Account
from remit.kernel.preflight import CHECKS, CallFacts, Limits, Rejection, Standing, preflight
from remit.kernel.usage import NOTHING, Amount


def call(**fields) -> CallFacts:
    """A call that every check lets pass, but for what is said."""
    plain = {
        "target": "payment",
        "recursion": 0,
        "descendants": 0,
        "estimate": NOTHING,
        "limits": Limits(),
    }
    stands = Standing("acme", "eu", ("order",), 0, Account(None, 100, 1_000_000))
    caller = stands._replace(**{name: fields.pop(name) for name in Standing._fields if name in fields and name not in ("tenant", "region")})
    return CallFacts(**{**plain, "caller": caller, **fields})


def fault(code: str) -> ErrorInfo:
    """What resolving the target or reading the input has found."""
    return ErrorInfo(ErrorClass.DOMAIN, code, f"it is {code}", {"target": "payment"})


# One way to fail each check, in the order of L7.
FAILURES = {
    "idempotency": ("idempotency_conflict", {"digest": b"new", "known_digest": b"old"}),
    "tenant": ("cross_tenant", {"tenant": "other"}),
    "region": ("region_violation", {"region": "us"}),
    "declared": ("undeclared_call", {"fault": fault("undeclared_call")}),
    "department": ("department_denied", {"fault": fault("department_denied")}),
    "input": ("invalid_input", {"fault": fault("invalid_input")}),
    "policy": ("policy_denied", {"denial": Rejection("policy_denied", "policy", "no", None, None, {})}),
    "depth": ("depth_exceeded", {"depth": 5}),
    "cycle": ("cycle_detected", {"path": ("order", "payment", "ledger")}),
    "fanout": ("fanout_exceeded", {"descendants": 10_000}),
    "budget": ("budget_exceeded", {"estimate": Amount(101, 0)}),
}
ORDER = list(FAILURES)


def test_L7_a_call_that_breaks_no_rule_is_admitted() -> None:
    assert preflight(call()) is None
    assert preflight(call(tenant="acme", region="eu", digest=b"same", known_digest=b"same")) is None


@pytest.mark.parametrize("check", ORDER)
def test_L7_each_check_rejects_with_its_code(check: str) -> None:
    code, fields = FAILURES[check]
    rejection = preflight(call(**fields))
    assert rejection is not None
    assert (rejection.check, rejection.code) == (check, code)


@given(st.sets(st.sampled_from(ORDER), min_size=1))
def test_L7_the_first_check_that_fails_is_the_one_that_rejects(failing: set[str]) -> None:
    fields = {}
    for check in sorted(failing, key=ORDER.index, reverse=True):  # an earlier check's fault replaces a later one's
        fields |= FAILURES[check][1]
    rejection = preflight(call(**fields))
    assert rejection is not None
    assert rejection.check == min(failing, key=ORDER.index)


def test_L7_there_is_a_way_to_fail_for_every_check() -> None:
    one = {"region": "tenant", "department": "declared"}
    assert len(CHECKS) == len({one.get(each, each) for each in ORDER})


@pytest.mark.parametrize("check", ORDER)
def test_L7_a_rejection_records_check_limit_current_value_and_ancestry(check: str) -> None:
    code, fields = FAILURES[check]
    rejection = preflight(call(**fields))
    assert rejection is not None
    error = rejection.error("exec_a.1", ("order", "leg"))
    assert error.details["check"] == check
    assert {"limit", "current"} <= set(error.details)
    assert error.details["ancestry"] == ["order", "leg"]
    assert (error.code, error.origin, bool(error.message)) == (code, "exec_a.1", True)


@pytest.mark.parametrize("check", ORDER)
def test_L16_rejections_are_domain_except_those_that_cross_a_border(check: str) -> None:
    rejection = preflight(call(**FAILURES[check][1]))
    assert rejection is not None
    expected = ErrorClass.SYSTEM if check in {"tenant", "region"} else ErrorClass.DOMAIN
    assert rejection.error("exec_a", ()).error_class is expected


@given(st.sampled_from([check for check in ORDER if check != "budget"]))
def test_L7_a_rejected_call_has_taken_nothing(check: str) -> None:
    account = Account(None, 100, 1_000)
    account.reserve(Amount(10, 10))
    before = (account.tokens.headroom(), account.cost.headroom(), account.tokens.held, account.tokens.spent)
    assert preflight(call(account=account, **FAILURES[check][1])) is not None
    assert (account.tokens.headroom(), account.cost.headroom(), account.tokens.held, account.tokens.spent) == before


def test_L3_the_message_names_the_limit_and_the_depth() -> None:
    rejection = preflight(call(depth=5))
    assert rejection is not None
    assert rejection.message == "Cannot nest sub-workflows deeper than 5 levels. Current depth: 5"
    assert (rejection.limit, rejection.current) == (5, 5)


@given(st.integers(0, 12), st.integers(0, 12))
def test_L3_a_parent_at_the_limit_calls_nobody(depth: int, limit: int) -> None:
    rejection = preflight(call(depth=depth, limits=Limits(max_depth=limit)))
    assert (rejection is not None) is (depth >= limit)


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=7),
    st.sampled_from("abc"),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_L4_a_process_stands_in_its_ancestry_as_often_as_it_and_the_operator_allow(
    path: list[str], target: str, recursion: int, allowed: int
) -> None:
    limits = Limits(max_recursion=allowed)
    rejection = preflight(call(target=target, path=tuple(path), recursion=recursion, limits=limits))
    assert (rejection is not None) is (path.count(target) > min(recursion, allowed))
    if rejection is not None:
        assert rejection.code == "cycle_detected"
        assert rejection.details["path"] == [*path[path.index(target) :], target]


def test_L4_the_message_shows_the_path() -> None:
    rejection = preflight(call(target="a", path=("z", "a", "b")))
    assert rejection is not None
    assert rejection.message == "Cycle detected: a → b → a"


@given(st.integers(0, 20), st.integers(0, 20))
def test_L15_a_trace_that_is_full_takes_no_more(descendants: int, limit: int) -> None:
    rejection = preflight(call(descendants=descendants, limits=Limits(max_descendants=limit)))
    assert (rejection is not None) is (descendants >= limit)


@pytest.mark.parametrize("code", ["undeclared_call", "unknown_process", "no_matching_version"])
def test_L6_what_the_caller_may_not_call_is_rejected_with_what_was_found(code: str) -> None:
    rejection = preflight(call(fault=fault(code)))
    assert rejection is not None
    assert (rejection.check, rejection.code, rejection.message) == ("declared", code, f"it is {code}")
    assert rejection.details == {"target": "payment"}


def test_L48_a_value_too_large_is_rejected_as_an_input() -> None:
    rejection = preflight(call(fault=fault("limit_exceeded")))
    assert rejection is not None
    assert (rejection.check, rejection.code) == ("input", "limit_exceeded")


@pytest.mark.parametrize(
    ("estimate", "message"),
    [
        (Amount(101, 0), "The call is estimated at 101 tokens; the budget has 100 left"),
        (Amount(0, 1_000_001), "The call is estimated at 1.000001 cost; the budget has 1.00 left"),
    ],
)
def test_L25_a_refused_estimate_is_shown_beside_what_is_left(estimate: Amount, message: str) -> None:
    rejection = preflight(call(estimate=estimate))
    assert rejection is not None
    assert rejection.message == message


@pytest.mark.parametrize(("unit", "limits"), [("tokens", (0, None)), ("cost", (None, 0))])
def test_L25_a_call_that_asks_for_nothing_is_told_that_nothing_is_left(unit: str, limits: tuple) -> None:
    rejection = preflight(call(account=Account(None, *limits)))
    assert rejection is not None
    assert rejection.message == f"The budget has no {unit} left"
    nothing = "0.00" if unit == "cost" else 0
    assert (rejection.limit, rejection.current, rejection.details) == (nothing, nothing, {"unit": unit})


def test_L10_the_same_key_with_another_input_is_a_conflict_that_shows_both_digests() -> None:
    rejection = preflight(call(digest=b"\x01", known_digest=b"\x02"))
    assert rejection is not None
    assert (rejection.code, rejection.current, rejection.limit) == ("idempotency_conflict", "01", "02")


def test_L10_the_same_key_for_another_process_is_a_conflict_even_with_the_same_input() -> None:
    rejection = preflight(call(digest=b"same", known_digest=b"same", known_target="refund"))
    assert rejection is not None
    assert (rejection.code, rejection.current, rejection.limit) == ("idempotency_conflict", "payment", "refund")
    assert preflight(call(digest=b"same", known_digest=b"same", known_target="payment")) is None


def test_L10_a_key_names_one_process_and_no_other() -> None:
    rejection = preflight(call(known_target="ledger", digest=b"same", known_digest=b"same"))
    assert rejection is not None
    assert (rejection.code, rejection.limit, rejection.current) == ("idempotency_conflict", "ledger", "payment")
    assert preflight(call(known_target="payment", digest=b"same", known_digest=b"same")) is None


LIMITS = ["max_depth", "max_recursion", "max_descendants", "max_attempts", "max_active"]


def test_L15_the_operator_s_limits_are_those_of_the_law() -> None:
    assert [getattr(Limits(), name) for name in LIMITS] == [5, 0, 10_000, 20_000, 1_000]


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [-1, 1.0, True, "5", None])
def test_L48_a_wrong_limit_is_refused(name: str, value) -> None:
    with pytest.raises(ValueError, match=rf"Limits\({name}="):
        replace(Limits(), **{name: value})


@pytest.mark.parametrize("name", LIMITS)
def test_L15_a_limit_of_nothing_is_taken_where_it_makes_sense(name: str) -> None:
    if name in {"max_attempts", "max_active"}:
        with pytest.raises(ValueError, match="at least 1"):
            replace(Limits(), **{name: 0})
    else:
        assert getattr(replace(Limits(), **{name: 0}), name) == 0
