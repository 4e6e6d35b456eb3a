"""Policies at the governed call: selected, narrowed downwards, in L7's order, recorded, and decided once (L7, L43)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from remit import (
    Budget,
    DefinitionError,
    MisuseError,
    Outcome,
    Remit,
    RemitError,
    Retry,
    TransientError,
    call_process,
    process,
    step,
)
from remit.kernel.preflight import Limits
from tests.laws.hand_clock import HandClock, by_hand
from tests.laws.scene import flatten, look_at, open_store


def policy(demands: str, name: str = "strict", version: str = "1.0.0") -> str:
    return f"policy: {name}\nversion: {version}\n{demands}\n"


@process("child", tags=["pii"], department="warehouse")
async def child(text: str) -> str:
    return text


@process("other")
async def other(text: str) -> str:
    return text


@process("middle", calls=[child, other])
async def middle(target: str) -> str:
    return told(await call_process(target, "deep"))


@process("parent", calls=[child, other, middle])
async def parent(calls: list[str]) -> list[str]:
    return [told(await call_process(*each.partition(":")[::2])) for each in calls]


def told(outcome: Outcome[Any]) -> str:
    return outcome.value if outcome.ok or outcome.error is None else outcome.error.code


HOSTED = [child, other, middle, parent]


async def calls_of(app: Remit, *calls: str, **terms: Any) -> list[str]:
    return (await (await app.start(parent, list(calls), **terms)).outcome(timeout=5)).unwrap()


# -- who is under what ------------------------------------------------------------------------------------------------


async def test_L43_a_policy_selects_by_tag_department_process_version_and_tenant() -> None:
    denying = "rules: [{name: never, require: 'false'}]\napplies_to: "
    for applies_to, codes in (
        ("{tag: pii}", ["policy_denied", "b"]),
        ("{department: warehouse}", ["policy_denied", "b"]),
        ("{process: 'ot*'}", ["a", "policy_denied"]),
        ("{process: child, version: '^2'}", ["a", "b"]),
        ("{process: child, version: '^1', tenant: acme}", ["policy_denied", "b"]),
        ("{process: child, tenant: globex}", ["a", "b"]),
    ):
        async with Remit(":memory:", processes=HOSTED) as app:
            await app.apply_policy(policy(denying + applies_to))
            assert await calls_of(app, "child:a", "other:b", tenant="acme") == codes, applies_to


async def test_L43_a_child_is_under_its_own_and_all_its_ancestors_policies() -> None:
    async with Remit(":memory:", processes=HOSTED) as app:
        await app.apply_policy(
            policy("applies_to: {process: parent}\nlimits: {ttl: 60}", "above"),
            policy("applies_to: {tag: pii}\nlimits: {ttl: 90, depth: 9}", "own"),
        )
        root = await app.start(parent, ["middle:child", "other:b"])
        await root.outcome(timeout=5)
        records = {each.process: each for each in flatten(await app.tree(root.id))}
        assert {name: each.policies for name, each in records.items()} == {
            "parent": ["above@1.0.0"],
            "middle": ["above@1.0.0"],
            "child": ["above@1.0.0", "own@1.0.0"],
            "other": ["above@1.0.0"],
        }
        assert records["child"].ttl_ms <= 60_000
        explained = await app.explain_policy(records["child"].execution_id)
        assert [(each.policy, each.because, each.selected_at) for each in explained.applied] == [
            ("above", ["process parent"], root.id),
            ("own", ["tag pii"], records["child"].execution_id),
        ]
        assert explained.limits["ttl_ms"] == {"limit": 60_000, "policy": "above@1.0.0"}
        assert explained.limits["depth"] == {"limit": 9, "policy": "own@1.0.0"}


async def test_L43_defined_once_and_applied_to_all_children_whichever_parent_calls_them() -> None:
    once = (
        "applies_to: {process: child}\nrate_limit: {calls: 4, per: 1h}\n"
        "filters: [{on: input, find: email, action: block}]\n"
        "rules: [{name: eu-data, require: \"call.region == 'eu' or 'pii' not in call.tags\"}]"
    )
    async with Remit(":memory:", processes=HOSTED) as app:
        await app.apply_policy(policy(once))
        for caller, value in ((parent, ["child:a@b.de"]), (middle, "child"), (child, "x")):
            if caller is child:  # nobody's child: the same holds
                with pytest.raises(MisuseError):
                    await app.start(caller, value, region="us")
            else:
                outcome = await (await app.start(caller, value, region="us")).outcome(timeout=5)
                assert "policy_denied" in outcome.unwrap()
        assert await calls_of(app, "child:a@b.de", "child:a", "middle:child", region="eu") == ["policy_denied", "a", "deep"]
        assert (await (await app.start(child, "x", region="eu")).outcome(timeout=5)).ok
        assert await calls_of(app, "child:c", "child:d", region="eu") == ["c", "policy_denied"]


async def test_L43_L45_a_call_across_departments_passes_the_policies_of_both() -> None:
    @process("sale", department="sales", calls=[child])
    async def sale() -> list[str]:
        return [told(await call_process(child, text)) for text in ("a", "b", "c")]

    async with Remit(":memory:", processes=[child, sale]) as app:
        await app.apply_policy(
            policy("applies_to: {department: sales}\nrules: [{name: not-a, require: \"call.input != 'a'\"}]", "callers"),
            policy("applies_to: {department: warehouse}\nrules: [{name: not-b, require: \"call.input != 'b'\"}]", "callees"),
        )
        outcome = await (await app.start(sale)).outcome(timeout=5)
        assert outcome.unwrap() == ["policy_denied", "policy_denied", "c"]
        assert {each.details["policy"] for each in await app.alerts(code="policy_denied")} <= {"callers@1.0.0", "callees@1.0.0"}


async def test_L43_applying_and_withdrawing_take_effect_at_once_also_in_a_trace_that_runs() -> None:
    @step
    async def apply(app_by_name: str) -> None:
        await apps[0].apply_policy(policy("rules: [{name: never, require: 'false', message: 'not today'}]"), by="ann")

    @step
    async def withdraw(app_by_name: str) -> None:
        await apps[0].remove_policy("strict", by="bob")

    @process("changes", calls=[child])
    async def changes() -> list[str]:
        before = told(await call_process(child, "before"))
        await apply("it")
        during = told(await call_process(child, "during"))
        await withdraw("it")
        return [before, during, told(await call_process(child, "after"))]

    apps: list[Remit] = []
    async with Remit(":memory:", processes=[child, changes]) as app:
        apps.append(app)
        root = await app.start(changes)
        assert (await root.outcome(timeout=5)).unwrap() == ["before", "policy_denied", "after"]
        assert await app.policies() == []
        (ended,) = await app.policies(ended=True)
        assert (ended.applied_by, ended.ended_by, ended.in_force) == ("ann", "bob", False)
        alerts = [each.code for each in await app.alerts()]
        assert alerts == ["policy_removed", "policy_denied", "policy_applied"]


async def test_L43_a_version_of_a_policy_never_changes_and_takes_the_place_of_the_one_before() -> None:
    async with Remit(":memory:", processes=HOSTED) as app:
        (first,) = await app.apply_policy(policy("limits: {depth: 3}"))
        assert await app.apply_policy("# a comment\n" + policy("limits: {depth: 3}"), by="ann") == [first]
        with pytest.raises(MisuseError) as refused:
            await app.apply_policy(policy("limits: {depth: 4}"))
        assert refused.value.code == "policy_exists"
        await app.apply_policy(policy("limits: {depth: 4}", version="1.1.0"))
        assert [(each.version, each.in_force) for each in await app.policies(ended=True)] == [
            ("1.0.0", False), ("1.1.0", True),
        ]  # fmt: skip
        await app.apply_policy(policy("limits: {depth: 3}"))
        assert [each.version for each in await app.policies()] == ["1.0.0"]
        with pytest.raises(MisuseError) as unknown:
            await app.remove_policy("nothing")
        assert unknown.value.code == "unknown_policy"


async def test_L43_several_policies_are_applied_or_none() -> None:
    async with Remit(":memory:", processes=HOSTED) as app:
        await app.apply_policy(policy("limits: {depth: 3}"))
        other_content, unreadable = policy("limits: {depth: 4}"), policy("limits: {dept: 4}", "third")
        for bad, code in ((other_content, "policy_exists"), (unreadable, "bad_definition")):
            with pytest.raises(RemitError) as refused:
                await app.apply_policy(policy("limits: {depth: 1}", "second"), bad)
            assert refused.value.code == code
        assert [each.policy for each in await app.policies()] == ["strict"]


async def test_L43_policies_and_rates_are_what_they_were_for_the_next_owner(tmp_path: Path) -> None:
    for expected in (["a", "policy_denied"], ["policy_denied", "policy_denied"]):
        async with Remit(open_store(tmp_path), processes=HOSTED) as app:
            await app.apply_policy(policy("applies_to: {process: child}\nrate_limit: {calls: 1, per: 1h}"))
            assert await calls_of(app, "child:a", "child:a") == expected


async def test_L40_L43_a_published_version_keeps_its_tags() -> None:
    def tagged(*tags: str) -> Any:
        @process("tagged", tags=tags)
        async def tagged() -> None: ...

        return tagged

    async with Remit(":memory:") as app:
        await app.publish(tagged("pii"))
        await app.publish(tagged("pii"))
        with pytest.raises(MisuseError) as refused:
            await app.publish(tagged())
        assert refused.value.code == "version_exists"
        for wrong in ("pii", [3], ["two words"]):
            with pytest.raises(DefinitionError, match="give a list of words"):
                process("wrong", tags=wrong)(middle.definition.body)  # type: ignore[arg-type]


# -- limits -----------------------------------------------------------------------------------------------------------


async def test_L43_ceilings_narrow_ttl_attempts_and_budget() -> None:
    tries = []

    @step
    async def fails() -> None:
        tries.append(1)
        raise TransientError("again")

    @process("fragile", retry=Retry(attempts=5, first=0.001, longest=0.002), ttl="1h")
    async def fragile() -> None:
        await fails()

    @process("caller", calls=[fragile])
    async def caller() -> str:
        return told(await call_process(fragile, None, ttl="2h", budget=Budget(tokens=9_000)))

    async with Remit(":memory:", processes=[fragile, caller]) as app:
        await app.apply_policy(
            policy("applies_to: {process: fragile}\nlimits: {ttl: 10m, attempts: 2, budget: {tokens: 100, cost: '0.50'}}")
        )
        root = await app.start(caller)
        assert (await root.outcome(timeout=5)).unwrap() == "retries_exhausted"
        (below,) = (await app.tree(root.id)).children
        assert (len(tries), below.ttl_ms) == (2, 600_000)
        assert (below.budget["tokens"], below.budget["cost"]) == (100, "0.50")


async def test_L43_a_root_is_under_the_same_ceilings() -> None:
    async with Remit(":memory:", processes=HOSTED) as app:
        await app.apply_policy(policy("limits: {ttl: 10m, attempts: 1, budget: 500}"))
        root = await app.start(other, "a", ttl="1h", budget=Budget(tokens=9_000, cost="1.00"))
        record = await root.record()
        assert (record.ttl_ms, record.budget["tokens"], record.budget["cost"]) == (600_000, 500, "1.00")
        bare = await (await app.start(other, "b")).record()
        assert (bare.ttl_ms, bare.budget["tokens"], bare.policies) == (600_000, 500, ["strict@1.0.0"])


async def test_L3_L15_L43_depth_and_fan_out_are_lowered_and_never_raised() -> None:
    async with Remit(":memory:", processes=HOSTED, limits=Limits(max_depth=5)) as app:
        await app.apply_policy(policy("limits: {depth: 1, fan_out: 2}"))
        root = await app.start(parent, ["middle:child", "other:b", "other:c"])
        assert (await root.outcome(timeout=5)).unwrap() == ["depth_exceeded", "b", "fanout_exceeded"]
        alerts = {each.code: each.details for each in await app.alerts() if each.code != "policy_applied"}
        assert (alerts["depth_exceeded"]["limit"], alerts["depth_exceeded"]["policy"]) == (1, "strict@1.0.0")
        assert (alerts["fanout_exceeded"]["limit"], alerts["fanout_exceeded"]["policy"]) == (2, "strict@1.0.0")
        await app.apply_policy(policy("limits: {depth: 99, fan_out: 99999}", version="1.1.0"))
        assert await calls_of(app, "middle:child") == ["deep"]
    async with Remit(":memory:", processes=HOSTED, limits=Limits(max_depth=1)) as app:
        await app.apply_policy(policy("limits: {depth: 99}"))
        assert await calls_of(app, "middle:child") == ["depth_exceeded"]
        (alert,) = await app.alerts(code="depth_exceeded")
        assert "policy" not in alert.details


async def test_L43_required_isolation_refuses_a_definition_without_it() -> None:
    async with Remit(":memory:", processes=HOSTED) as app:
        await app.apply_policy(policy("applies_to: {tag: pii}\nisolation: process"))
        assert await calls_of(app, "child:a", "other:b") == ["policy_denied", "b"]
        (alert,) = await app.alerts(code="policy_denied")
        assert (alert.details["by"], alert.details["limit"], alert.details["current"]) == ("isolation", "process", "none")


# -- rules ------------------------------------------------------------------------------------------------------------


async def test_L43_a_rule_reads_the_call() -> None:
    seen = (
        "call.tenant == 'acme' and call.owner == 'ann' and call.region == 'eu' and call.process == 'child'"
        " and call.version == '1.0.0' and 'pii' in call.tags and call.department == 'warehouse'"
        " and call.caller == 'parent' and call.depth == 1 and call.input == 'a'"
    )
    async with Remit(":memory:", processes=HOSTED) as app:
        await app.apply_policy(policy(f'applies_to: {{process: child}}\nrules: [{{name: all, require: "{seen}"}}]'))
        assert await calls_of(app, "child:a", "child:b", tenant="acme", owner="ann", region="eu") == ["a", "policy_denied"]
        (alert,) = await app.alerts(code="policy_denied")
        details = {name: alert.details[name] for name in ("check", "policy", "by", "rule", "limit", "ancestry", "target")}
        assert details == {
            "check": "policy", "policy": "strict@1.0.0", "by": "rule", "rule": "all", "limit": seen,
            "ancestry": ["parent"], "target": "child",
        }  # fmt: skip


async def test_L43_the_compliance_rule_of_the_example() -> None:
    rule = "rules: [{name: eu-data, require: \"call.region == 'eu' or 'pii' not in call.tags\"}]"
    async with Remit(":memory:", processes=HOSTED) as app:
        await app.apply_policy(policy(rule))
        assert await calls_of(app, "child:a", "other:b", region="us") == ["policy_denied", "b"]
        assert await calls_of(app, "child:a", "other:b", region="eu") == ["a", "b"]


async def test_L43_a_rule_that_cannot_be_worked_out_does_not_hold() -> None:
    async with Remit(":memory:", processes=HOSTED) as app:
        await app.apply_policy(policy("applies_to: {process: child}\nrules: [{name: odd, require: 'call.input > 3'}]"))
        assert await calls_of(app, "child:a") == ["policy_denied"]
        (alert,) = await app.alerts(code="policy_denied")
        assert "cannot be worked out" in alert.message


# -- the order of L7 --------------------------------------------------------------------------------------------------


async def test_L7_the_policy_check_stands_between_input_and_depth() -> None:
    @process("wrong", calls=["child@*", "wrong@*"])
    async def wrong(which: str) -> str:
        if which == "input":
            return told(await call_process("child", 3))
        return told(await call_process("wrong", which))  # a cycle, and too deep

    async with Remit(":memory:", processes=[child, wrong], limits=Limits(max_depth=0)) as app:
        await app.apply_policy(policy("applies_to: {process: child}\nrules: [{name: never, require: 'false'}]", "one"))
        assert (await (await app.start(wrong, "input")).outcome(timeout=5)).unwrap() == "invalid_input"
        assert (await (await app.start(wrong, "x")).outcome(timeout=5)).unwrap() == "depth_exceeded"
        await app.apply_policy(
            policy("applies_to: {process: wrong}\nrules: [{name: roots, require: 'call.caller is None'}]", "two")
        )
        assert (await (await app.start(wrong, "y")).outcome(timeout=5)).unwrap() == "policy_denied"


async def test_L7_a_start_that_is_refused_is_not_remembered_under_its_key() -> None:
    async with Remit(":memory:", processes=HOSTED) as app:
        await app.apply_policy(policy("rules: [{name: eu, require: \"call.region == 'eu'\"}]"))
        with pytest.raises(MisuseError, match=r"Rule 'eu' of policy strict@1\.0\.0 does not hold") as refused:
            await app.start(other, "a", key="once", region="us", tenant="acme")
        assert refused.value.code == "policy_denied"
        assert refused.value.details["policy"] == "strict@1.0.0"
        assert await app.list() == []
        await app.engine.durability.barrier()
        (alert,) = await app.alerts(code="policy_denied")
        assert (alert.tenant, alert.details["target"], alert.execution_id) == ("acme", "other", None)
        started = await app.start(other, "b", key="once", region="eu", tenant="acme")
        assert started.new
        again = await app.start(other, "b", key="once", region="us", tenant="acme")  # a known key comes before (L7)
        assert again.id == started.id


# -- rate limits ------------------------------------------------------------------------------------------------------


async def test_L43_sixty_four_concurrent_callers_never_exceed_the_rate() -> None:
    @process("crowd", calls=[child])
    async def crowd(which: int) -> int:
        outcomes = await asyncio.gather(*(call_process(child, f"{which}.{n}") for n in range(5)))
        return sum(outcome.ok for outcome in outcomes)

    async with Remit(":memory:", processes=[child, crowd]) as app:
        await app.apply_policy(policy("applies_to: {process: child}\nrate_limit: {calls: 100, per: 1h}"))
        roots = await asyncio.gather(*(app.start(crowd, n) for n in range(64)))
        through = [(await root.outcome(timeout=20)).unwrap() for root in roots]
        assert sum(through) == 100
        assert len(await app.list(process="child", limit=1_000)) == 100


async def test_L43_tokens_come_back_with_time_and_a_denial_says_when() -> None:
    clock = HandClock("2026-03-01T09:00:00+00:00")
    async with by_hand(clock, processes=HOSTED) as app:
        await app.apply_policy(policy("applies_to: {process: child}\nrate_limit: {calls: 2, per: 10s}"))
        assert await calls_of(app, "child:a", "child:b", "child:c") == ["a", "b", "policy_denied"]
        (alert,) = await app.alerts(code="policy_denied")
        wanted = {"by": "rate_limit", "limit": "2 per 10.0s", "current": 2, "retry_after_ms": 5_000, "counted_by": "policy"}
        assert {name: alert.details[name] for name in wanted} == wanted
        await clock.to("2026-03-01T09:00:04.999+00:00")
        assert await calls_of(app, "child:d") == ["policy_denied"]
        await clock.to("2026-03-01T09:00:05+00:00")
        assert await calls_of(app, "child:e", "child:f") == ["e", "policy_denied"]


async def test_L43_what_is_left_of_a_rate_that_is_used_up_no_more_is_forgotten(tmp_path: Path) -> None:
    def counted() -> list[str]:
        return sorted(row[0] for row in look_at(tmp_path, "SELECT counted FROM rates"))

    clock = HandClock("2026-01-01T00:00:00+00:00")
    async with by_hand(clock, open_store(tmp_path), processes=HOSTED) as app:
        await app.apply_policy(policy("applies_to: {process: child}\nrate_limit: {calls: 1, per: 1h, by: tenant}"))
        for n in range(30):
            assert await calls_of(app, "child:a", tenant=f"early-{n}") == ["a"]
        assert len(counted()) == 30
        assert await calls_of(app, "child:a", tenant="early-0") == ["policy_denied"]
        await clock.to("2026-01-01T00:30:00+00:00")
        assert await calls_of(app, "child:a", tenant="half") == ["a"]
        await clock.to("2026-01-01T01:00:00+00:00")
    clock = HandClock("2026-01-01T01:00:00+00:00")
    async with by_hand(clock, open_store(tmp_path), processes=HOSTED) as app:
        for n in range(20):
            assert await calls_of(app, "child:a", tenant=f"late-{n}") == ["a"]
        assert counted() == sorted(["tenant:half", *(f"tenant:late-{n}" for n in range(20))])
        assert await calls_of(app, "child:a", tenant="half") == ["policy_denied"]
        assert await calls_of(app, "child:a", tenant="early-0") == ["a"]
    async with by_hand(clock, open_store(tmp_path), processes=HOSTED) as app:
        assert await calls_of(app, "child:a", tenant="early-0") == ["policy_denied"]


async def test_L43_a_rate_is_counted_by_tenant_department_or_process() -> None:
    for by, first, second in (
        ("tenant", ["a", "policy_denied"], ["a", "policy_denied"]),
        ("process", ["a", "b"], ["policy_denied", "policy_denied"]),
        ("department", ["a", "b"], ["policy_denied", "policy_denied"]),
    ):
        async with Remit(":memory:", processes=HOSTED) as app:
            await app.apply_policy(
                policy(f"applies_to: {{process: [child, other]}}\nrate_limit: {{calls: 1, per: 1h, by: {by}}}")
            )
            assert await calls_of(app, "child:a", "other:b", tenant="acme") == first, by
            assert await calls_of(app, "child:a", "other:b", tenant="globex") == second, by


async def test_L7_a_call_that_anything_else_refuses_takes_no_token() -> None:
    @process("careful", calls=[child])
    async def careful() -> list[str]:
        over = told(await call_process(child, "a", estimate=1_000))
        bad = told(await call_process(child, 3))
        return [over, bad, told(await call_process(child, "a")), told(await call_process(child, "b"))]

    async with Remit(":memory:", processes=[child, careful]) as app:
        await app.apply_policy(policy("applies_to: {process: child}\nrate_limit: {calls: 1, per: 1h}"))
        root = await app.start(careful, budget=Budget(tokens=10))
        expected = ["budget_exceeded", "invalid_input", "a", "policy_denied"]
        assert (await root.outcome(timeout=5)).unwrap() == expected


async def test_L7_of_two_rates_none_is_taken_of_where_one_is_used_up() -> None:
    async with Remit(":memory:", processes=HOSTED) as app:
        await app.apply_policy(
            policy("applies_to: {process: [child, other]}\nrate_limit: {calls: 2, per: 1h}", "a-wide"),
            policy("applies_to: {process: child}\nrate_limit: {calls: 1, per: 1h}", "b-narrow"),
        )
        calls = ["child:a", "child:b", "child:c", "other:d", "other:e"]
        assert await calls_of(app, *calls) == ["a", "policy_denied", "policy_denied", "d", "policy_denied"]
