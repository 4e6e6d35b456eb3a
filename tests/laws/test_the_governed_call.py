"""What a call must pass, in which order, and what a refused one leaves behind: nothing (L6, L7, L8, L40)."""

from __future__ import annotations

from typing import Any

import pytest

from remit import (
    Budget,
    DefinitionError,
    InvalidInput,
    Limits,
    MisuseError,
    ProcessRef,
    Remit,
    ask,
    call_process,
    process,
    step,
)
from tests.laws.scene import every, flatten, look_at, open_store, wait_until


@process("number")
async def number(value: int) -> int:
    return value


def version_of(version: str, *, name: str = "inventory", **options: Any) -> Any:
    """A process that says which version of it runs, before and after a human was asked."""

    @process(name, version=version, **options)
    async def body(wait: bool) -> str:
        if wait:
            await ask(bool, name="go")
        return version

    return body


def caller_of(*calls: Any, target: Any, value: Any = False) -> Any:
    """A process that makes one call and tells its result or the code that refused it."""

    @process("caller", calls=calls)
    async def body() -> list[Any]:
        outcome = await call_process(target, value)
        return [outcome.status, outcome.value if outcome.error is None else outcome.error.code]

    return body


async def result_of(app: Remit, target: Any, value: Any = None, **terms: Any) -> Any:
    """The result of a root."""
    return (await (await app.start(target, value, **terms)).outcome(10)).unwrap()


async def refusal_of(root: Any, *others: Any, budget: Budget | None = None, limits: Limits | None = None) -> Any:
    """What a root that hands back a refusal's record returned, and the app's tree and alerts beside it."""
    async with Remit(":memory:", processes=[root, *others], limits=limits) as app:
        started = await app.start(root, budget=budget)
        refusal = (await started.outcome(10)).unwrap()
        return refusal, flatten(await app.tree(started.id)), await app.alerts()


# -- L6, L40: declared calls and versions ---------------------------------------------------------------------------

VERSIONS = [version_of(version) for version in ("1.0.0", "2.0.0", "2.1.0", "2.10.0", "3.0.0")]


@pytest.mark.parametrize(
    ("declared", "picked"),
    [
        ("inventory@^2", "2.10.0"),
        ("inventory@~2.1", "2.1.0"),
        ("inventory@^1", "1.0.0"),
        ("inventory@>=1 <2.5", "2.1.0"),
        ("inventory@2.0.0", "2.0.0"),
        ("inventory", "3.0.0"),
        ("inv*@^2", "2.10.0"),
        (VERSIONS[1], "2.10.0"),
        (VERSIONS[0], "1.0.0"),
    ],
)
async def test_L6_the_highest_version_in_the_declared_range_is_picked_and_recorded(declared, picked):
    caller = caller_of(declared, target="inventory")
    async with Remit(":memory:", processes=[caller, *VERSIONS]) as app:
        root = await app.start(caller)
        assert (await root.outcome(10)).unwrap() == ["completed", picked]
        assert (await app.tree(root.id)).children[0].version == picked


@pytest.mark.parametrize("target", ["inventory@^1", ProcessRef[bool, str]("inventory@^1"), "inventory@1.0.0"])
async def test_L6_the_calls_own_range_narrows_the_declared_one(target):
    caller = caller_of("inventory@<3", target=target)
    async with Remit(":memory:", processes=[caller, *VERSIONS]) as app:
        assert await result_of(app, caller) == ["completed", "1.0.0"]


async def test_L6_the_calls_own_range_never_widens_the_declared_one():
    caller = caller_of("inventory@^2", target="inventory@^3")
    async with Remit(":memory:", processes=[caller, *VERSIONS]) as app:
        assert await result_of(app, caller) == ["rejected", "no_matching_version"]


@pytest.mark.parametrize("calls", [(), ("other",), ("numbers",), ("numb",), ("tools.*",), ("Number",)])
async def test_L6_any_other_call_is_rejected(calls):
    caller = caller_of(*calls, target="number", value=1)
    refusal, tree, alerts = await refusal_of(caller, number)
    assert refusal == ["rejected", "undeclared_call"]
    assert len(tree) == 1
    assert [alert.code for alert in alerts] == ["undeclared_call"]


@pytest.mark.parametrize(
    ("pattern", "target", "expected"),
    [
        ("tools.*@^1", "tools.stock", ["completed", "1.4.0"]),
        ("tools.*@^1", "tools.mail", ["rejected", "no_matching_version"]),
        ("tools.*@^1", "tool", ["rejected", "undeclared_call"]),
        ("tools.*@^1", "tools", ["rejected", "undeclared_call"]),
        ("*", "tools.mail", ["completed", "2.0.0"]),
        ("tools.*", "tools.none", ["rejected", "unknown_process"]),
    ],
)
async def test_L6_a_pattern_allows_dynamic_targets_of_its_range(pattern, target, expected):
    caller = caller_of(pattern, target=target)
    stock, mail = version_of("1.4.0", name="tools.stock"), version_of("2.0.0", name="tools.mail")
    async with Remit(":memory:", processes=[caller, stock, mail, version_of("1.0.0", name="tool")]) as app:
        assert await result_of(app, caller) == expected


@pytest.mark.parametrize("calls", ["inventory@", "inventory@not a range", "in ventory", "@^1", "a*b"])
def test_L6_a_reference_that_is_none_is_refused_when_the_process_is_defined(calls):
    with pytest.raises(DefinitionError) as caught:
        caller_of(calls, target="inventory")
    assert calls in str(caught.value)


async def test_L40_running_executions_keep_their_version_and_new_spawns_get_the_newer(tmp_path):
    caller = process("caller", calls=["inventory@^1"])(_calls_twice)
    async with Remit(open_store(tmp_path), processes=[caller, version_of("1.0.0")]) as app:
        root = await app.start(caller)
        await wait_until(app, root.id, "WAITING_CHILD_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[caller, version_of("1.0.0"), version_of("1.7.0")]) as app:
        await app.answer(root.id, True)
        assert (await app.outcome(root.id, 10)).unwrap() == ["1.0.0", "1.7.0"]
        assert [child.version for child in (await app.tree(root.id)).children] == ["1.0.0", "1.7.0"]


async def _calls_twice() -> list[str]:
    return [(await call_process("inventory", wait)).unwrap() for wait in (True, False)]


# -- L7: the order of the checks ------------------------------------------------------------------------------------


def details(outcome: Any) -> dict[str, Any]:
    """A refusal as plain data."""
    assert outcome.status == "rejected"
    assert outcome.execution_id is None
    assert outcome.value is None
    error = outcome.error
    return {"code": error.code, "class": str(error.error_class), "message": error.message, **error.details}


@process("spender")
async def spender(value: int) -> int:
    return value


@process("key_then_undeclared", calls=["spender"])
async def key_then_undeclared() -> dict[str, Any]:
    assert (await call_process(spender, 1, key="k")).ok
    return details(await call_process("undeclared", 2, key="k"))


@process("undeclared_and_bad_input", calls=["number"])
async def undeclared_and_bad_input() -> dict[str, Any]:
    return details(await call_process("spender", "no number"))


@process("no_version_and_bad_input", calls=["number@^7"])
async def no_version_and_bad_input() -> dict[str, Any]:
    return details(await call_process("number", "no number"))


@process("bad_input_and_depth", calls=["number"])
async def bad_input_and_depth() -> dict[str, Any]:
    return details(await call_process("number", "no number"))


@process("depth_and_cycle", calls=["depth_and_cycle"])
async def depth_and_cycle() -> dict[str, Any]:
    return details(await call_process("depth_and_cycle"))


@process("fanout_and_budget", calls=["number"])
async def fanout_and_budget() -> dict[str, Any]:
    return details(await call_process("number", 1, estimate=5_000))


ORDER = [
    (key_then_undeclared, Limits(), "idempotency_conflict", "idempotency"),
    (undeclared_and_bad_input, Limits(max_depth=0), "undeclared_call", "declared"),
    (no_version_and_bad_input, Limits(max_depth=0), "no_matching_version", "declared"),
    (bad_input_and_depth, Limits(max_depth=0, max_descendants=0), "invalid_input", "input"),
    (depth_and_cycle, Limits(max_depth=0, max_descendants=0), "depth_exceeded", "depth"),
    (depth_and_cycle, Limits(max_descendants=0), "cycle_detected", "cycle"),
    (fanout_and_budget, Limits(max_descendants=0), "fanout_exceeded", "fanout"),
    (fanout_and_budget, Limits(), "budget_exceeded", "budget"),
]


@pytest.mark.parametrize(("root", "limits", "code", "check"), ORDER, ids=[f"{row[2]}" for row in ORDER])
async def test_L7_of_two_checks_that_fail_the_earlier_one_rejects(root, limits, code, check):
    refusal, tree, alerts = await refusal_of(root, number, spender, budget=Budget(tokens=10), limits=limits)
    assert (refusal["code"], refusal["check"], refusal["class"]) == (code, check, "DOMAIN")
    assert len(tree) == (2 if code == "idempotency_conflict" else 1)
    assert [alert.code for alert in alerts] == [code]


async def test_L7_the_refusal_records_check_limit_current_value_and_ancestry():
    @process("inner", calls=["number"])
    async def inner() -> dict[str, Any]:
        return details(await call_process("number", 1, estimate=500))

    @process("outer", calls=["inner"])
    async def outer() -> dict[str, Any]:
        return (await call_process(inner)).unwrap()

    refusal, tree, [alert] = await refusal_of(outer, inner, number, budget=Budget(tokens=400))
    assert (refusal["check"], refusal["limit"], refusal["current"]) == ("budget", 400, 500)
    assert refusal["ancestry"] == ["outer", "inner"]
    assert "500" in refusal["message"]
    assert "400" in refusal["message"]
    assert (alert.code, alert.execution_id) == ("budget_exceeded", tree[-1].execution_id)
    assert alert.details["ancestry"] == ["outer", "inner"]


async def test_L7_a_rejected_call_creates_reserves_and_counts_nothing(tmp_path):
    @process("refused_often", calls=["number"])
    async def refused_often() -> list[str]:
        calls = [("number", "x", 0), ("number", 1, 9_999), ("other", 1, 0), ("number", 1, 1_000), ("number", 2, 1)]
        return [(await call_process(target, value, estimate=tokens)).status for target, value, tokens in calls]

    limits = Limits(max_descendants=2)
    async with Remit(open_store(tmp_path), processes=[refused_often, number], limits=limits) as app:
        root = await app.start(refused_often, budget=Budget(tokens=1_000))
        expected = ["rejected", "rejected", "rejected", "completed", "completed"]
        assert (await root.outcome(10)).unwrap() == expected
        assert set(await every(app, root.id)) == {"", ".1", ".2"}
        assert look_at(tmp_path, "SELECT sum(reserved_tokens), sum(reserved_cost) FROM executions") == [(0, 0)]
        assert len(await app.alerts()) == 3


async def test_L7_a_known_key_is_answered_before_any_other_check_and_takes_nothing():
    @process("calls_again", calls=["number"])
    async def calls_again() -> list[Any]:
        first = await call_process("number", 1, key="k", estimate=100)
        again = await call_process("number", 1, key="k", estimate=100_000)
        other = await call_process("number", 2)
        return [first.execution_id, again.execution_id, again.value, other.error.code if other.error else None]

    limits = Limits(max_descendants=1)
    async with Remit(":memory:", processes=[calls_again, number], limits=limits) as app:
        root = await app.start(calls_again, budget=Budget(tokens=100))
        child = f"{root.id}.1"
        assert (await root.outcome(10)).unwrap() == [child, child, 1, "fanout_exceeded"]


async def test_L7_a_rejected_start_of_a_root_is_not_remembered_under_its_key():
    async with Remit(":memory:", processes=[number]) as app:
        with pytest.raises(InvalidInput):
            await app.start(number, "no number", key="order-42")
        with pytest.raises(MisuseError):
            await app.start("numbr", 1, key="order-42")
        assert await app.list() == []
        root = await app.start(number, 7, key="order-42")
        assert root.new
        assert (await root.outcome(10)).unwrap() == 7
        assert (await app.start(number, 7, key="order-42")).id == root.id


async def test_L7_a_rejection_is_replayed_as_recorded_even_where_the_limit_was_raised(tmp_path):
    @process("refused_once", calls=["number"])
    async def refused_once() -> list[Any]:
        refusal = details(await call_process("number", 1, estimate=500))
        await ask(bool, name="go")
        return [refusal["code"], refusal["current"], (await call_process("number", 2)).unwrap()]

    async with Remit(open_store(tmp_path), processes=[refused_once, number]) as app:
        root = await app.start(refused_once, budget=Budget(tokens=400))
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        await app.top_up(root.id, Budget(tokens=10_000))
    async with Remit(open_store(tmp_path), processes=[refused_once, number]) as app:
        await app.answer(root.id, True)
        assert (await app.outcome(root.id, 10)).unwrap() == ["budget_exceeded", 500, 2]
        assert len(await app.alerts(code="budget_exceeded")) == 1


# -- L8: one atomic event -------------------------------------------------------------------------------------------


@step
async def noted(value: int) -> int:
    return value


@process("reserving", calls=["number"], estimate=50)
async def reserving(value: int) -> int:
    await noted(value)
    return (await call_process("number", value, estimate=20, ttl="1h")).unwrap()


@process("many_reserving", calls=["reserving"])
async def many_reserving(count: int) -> int:
    return sum([(await call_process(reserving, value)).unwrap() for value in range(count)])


async def test_L8_record_ordinal_ttl_and_reservation_are_in_one_commit(tmp_path):
    """Looks at the file after every commit: no child without all of what its admission decides, none out of order."""
    query = "SELECT id, process, status, ttl_ms, key IS NOT NULL, estimate_tokens, reserved_tokens FROM executions"
    seen: list[list[Any]] = []
    async with Remit(open_store(tmp_path), processes=[many_reserving, reserving, number]) as app:
        store = app.engine.store
        commit = store.commit

        def watched(batch: Any) -> Any:
            result = commit(batch)
            seen.append(look_at(tmp_path, query))
            return result

        store.commit = watched  # type: ignore[method-assign]
        root = await app.start(many_reserving, 12, budget=Budget(tokens=1_000))
        assert (await root.outcome(10)).unwrap() == 66
    assert len(seen) > 12
    for rows in seen:
        ids = {row[0] for row in rows}
        for id_, name, status, ttl_ms, has_key, estimate, reserved in rows:
            parent, _, ordinal = id_.rpartition(".")
            assert not parent or parent in ids
            assert not ordinal.isdigit() or all(f"{parent}.{below}" in ids for below in range(1, int(ordinal)))
            assert ttl_ms > 0
            assert has_key or not parent
            assert estimate == {"reserving": 50, "number": 20}.get(name, 0)
            drawn = sum(row[6] for row in rows if row[0].startswith(f"{id_}."))
            ended = status in {"COMPLETED", "FAILED"}
            assert reserved == 0 if ended else reserved + drawn <= max(estimate, drawn)
        assert sum(row[6] for row in rows) <= 50
