"""A version under evaluation is judged by what live calls are judged by: policies, departments, and the time it takes (L22, L43, L45)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from remit import Remit, call_process, process, tool
from remit.control.evaluating.figures import CaseResult

RAN: list[str] = []


@tool("fetch")
async def fetch(text: str) -> str:
    RAN.append(text)
    return text


@process("tax", department="finance", tags=["money"])
async def tax(total: int) -> int:
    return total * 2


def stock(version: str = "1.0.0", **otherwise: Any) -> Any:
    @process("stock", version=version, calls=["tax@^1"], **otherwise)
    async def body(text: str) -> str:
        taxed = await call_process("tax", len(text))
        return f"{await fetch(text)} {taxed.value if taxed.ok or taxed.error is None else taxed.error.code}"

    return body


@process("shop", department="sales", calls=["stock"])
async def shop(text: str) -> str:
    return (await call_process("stock", text)).unwrap()


async def evaluated(app: Remit, **otherwise: Any) -> CaseResult:
    """The one recorded call of 1.0.0, done again by 1.1.0."""
    RAN.clear()
    (case,) = (await app.evaluate("stock@1.1.0", recorded=1, baseline="1.0.0", **otherwise)).cases
    assert RAN == []
    return case


async def recorded(app: Remit, target: str = "stock@1.0.0") -> None:
    assert (await (await app.start(target, "boots")).outcome(timeout=5)).ok


def policy(demands: str) -> str:
    return f"policy: strict\nversion: 1.0.0\n{demands}\n"


@pytest.mark.parametrize(
    ("demands", "status", "result"),
    [
        ("applies_to: {process: stock}\ntools: {deny: [fetch]}", "policy_denied", None),
        ("applies_to: {tag: money}\nrules: [{name: never, require: 'false'}]", "COMPLETED", "boots policy_denied"),
        ("applies_to: {department: finance, tenant: other}\nrules: [{name: never, require: 'false'}]", "COMPLETED", "boots 10"),
        ("applies_to: {process: tax}\nrules: [{name: small, require: 'call.input < 5'}]", "COMPLETED", "boots policy_denied"),
        ("applies_to: {process: tax}\nrules: [{name: by, require: \"call.caller == 'stock'\"}]", "COMPLETED", "boots 10"),
        ("applies_to: {process: stock, version: '>=1.1'}\nrules: [{name: never, require: 'false'}]", "policy_denied", None),
        ("applies_to: {process: stock}\nisolation: process", "policy_denied", None),
        ("rate_limit: {calls: 1, per: 1h}", "COMPLETED", "boots 10"),
    ],
)
async def test_L43_a_candidate_is_under_the_policies_that_live_calls_are_under(demands: str, status: str, result: str | None) -> None:
    async with Remit(":memory:", processes=[stock(), stock("1.1.0"), tax]) as app:
        await recorded(app)
        before = await app.list(limit=100)
        await app.apply_policy(policy(demands))
        for _ in range(2):  # a rate that were taken would be used up
            case = await evaluated(app)
            assert (case.candidate.error or case.candidate.status, case.candidate.result) == (status, result)
        assert case.passed is (result == "boots 10")
        assert {each.code for each in await app.alerts()} == {"policy_applied"}
        assert [each.execution_id for each in await app.list(limit=100)] == [each.execution_id for each in before]


async def test_L43_what_filters_take_out_of_results_is_taken_out_of_a_candidates() -> None:
    @process("tells")
    async def tells(_: int) -> str:
        return "write to ann@example.com"

    @process("tells", version="1.1.0")
    async def tells_too(_: int) -> str:
        return "write to ann@example.com"

    async with Remit(":memory:", processes=[tells, tells_too]) as app:
        await app.apply_policy(policy("filters: [{find: email, 'on': [result], action: redact}]"))
        live = (await (await app.start("tells@1.0.0", 1)).outcome(timeout=5)).unwrap()
        assert "ann" not in live
        (case,) = (await app.evaluate("tells@1.1.0", recorded=1, baseline="1.0.0")).cases
        assert (case.passed, case.candidate.result) == (True, live)


async def test_L43_the_policies_of_who_called_it_hold_for_it_and_rules_see_the_caller() -> None:
    for rule, passed in (("call.caller == 'shop'", True), ("call.depth == 1", True), ("call.caller == 'other'", False)):
        async with Remit(":memory:", processes=[stock(), tax, shop]) as app:
            await recorded(app, "shop")
            app.host(stock("1.1.0"))
            await app.apply_policy(policy(f"applies_to: {{process: stock}}\nrules: [{{name: from, require: \"call.process != 'stock' or {rule}\"}}]"))
            assert (await evaluated(app)).passed is passed, rule
    async with Remit(":memory:", processes=[stock(), tax, shop]) as app:
        await recorded(app, "shop")
        app.host(stock("1.1.0"))
        await app.apply_policy(policy("applies_to: {department: sales}\ntools: {deny: [fetch]}"))
        assert (await evaluated(app)).candidate.error == "policy_denied"


async def test_L43_a_callee_whose_code_is_not_here_is_judged_by_its_record() -> None:
    from remit.control.evaluating.evaluation import Asked, Evaluator
    from remit.engine.definitions import Catalog
    from remit.kernel.preflight import Limits

    async with Remit(":memory:", processes=[stock(), stock("1.1.0"), tax]) as app:
        await recorded(app)
        await app.apply_policy(policy("applies_to: {tag: money, department: finance}\nrules: [{name: never, require: 'false'}]"))
        engine = app.engine
        alone = Catalog([each for each in engine.catalog.all() if each.name == "stock"]).all()
        asked = Asked("stock@1.1.0", recorded=1, baseline="1.0.0")
        (case,) = (await Evaluator(engine.store, alone, lambda _: "", Limits()).evaluate(asked)).cases
        assert case.candidate.result == "boots policy_denied"


async def test_L40_L43_the_callee_is_the_version_that_was_called() -> None:
    @process("tax", version="1.5.0")
    async def untagged(total: int) -> int:
        return total * 2

    demands = policy("applies_to: {tag: money}\nrules: [{name: never, require: 'false'}]")
    async with Remit(":memory:", processes=[stock(), stock("1.1.0"), tax]) as app:
        await recorded(app)
        app.host(untagged)
        await app.apply_policy(demands)
        assert (await evaluated(app)).candidate.result == "boots policy_denied"
        case = {"input": "boots", "effects": [{"call": "tax", "result": 10}, {"tool": "fetch", "result": "boots"}]}
        (given,) = (await app.evaluate("stock@1.1.0", cases=[{**case, "result": "boots 10"}])).cases
        assert given.passed


# -- departments ------------------------------------------------------------------------------------------------------


async def test_L45_a_candidate_of_another_department_does_not_reach_what_is_closed_to_it() -> None:
    @process("tax", department="finance", callers=["sales"])
    async def closed(total: int) -> int:
        return total * 2

    for published in (False, True):
        old, good, strange = stock(department="sales"), stock("1.1.0", department="sales"), stock("1.2.0", department="legal")
        async with Remit(":memory:", processes=[old, good, strange, closed]) as app:
            if published:
                await app.publish(old, closed)
                await app.promote("tax@1.0.0")
                await app.promote("stock@1.0.0")
            await recorded(app, "stock@^1.0.0" if published else "stock@1.0.0")
            assert (await evaluated(app)).candidate.result == "boots 10"
            (case,) = (await app.evaluate("stock@1.2.0", recorded=1, baseline="1.0.0")).cases
            assert case.candidate.result == "boots department_denied"


async def test_L45_a_candidate_that_is_closed_to_who_called_it_does_not_pass() -> None:
    async with Remit(":memory:", processes=[stock(), tax, shop]) as app:
        await recorded(app, "shop")
        app.host(stock("1.1.0", department="warehouse", callers=["returns"]))
        case = await evaluated(app)
        assert [each.kind for each in case.problems] == ["department_denied"]
        assert case.candidate.error == "department_denied"
        assert "sales" in case.problems[0].message


# -- bodies that hold the loop ----------------------------------------------------------------------------------------


@process("spins")
async def spins(how: str) -> str:
    while how == "spin":
        pass
    if how == "sleep":
        time.sleep(3)  # noqa: ASYNC251  # what it is about
    return how


@pytest.mark.timeout(30)
async def test_L22_a_body_that_spins_does_not_hold_up_its_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remit.control.evaluating.rehearsing.PATIENCE_MS", 200)
    monkeypatch.setattr("remit.control.evaluating.rehearsing.GRACE_S", 0.2)
    cases = [{"input": each, "result": each} for each in ("one", "spin", "two", "sleep", "three")]
    async with Remit(":memory:", processes=[spins, tax]) as app:
        evaluating = asyncio.create_task(app.evaluate("spins@1.0.0", cases=cases))
        assert (await (await app.start("tax", 3)).outcome(timeout=5)).unwrap() == 6
        done = await evaluating
    ends = [(each.candidate.error or each.candidate.result, each.passed) for each in done.cases]
    late = ("lease_expired", False)
    assert ends == [("one", True), late, ("two", True), late, ("three", True)]
    spun, slept = (done.cases[place].problems[0].message for place in (1, 3))
    assert "it ended TIMED_OUT" in spun  # by its own loop, which it gave back
    assert "could not be stopped" in slept
