"""Evaluations: a candidate beside the world, held against the current version, on cases and on recorded calls (L41)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from remit import InvalidInput, MisuseError, Remit, Retry
from tests.laws.evaluation_scene import RAN, Offer, call, effects, offers, shop, tax
from tests.laws.scene import wait_until


async def opened(app: Remit, *inputs: str) -> None:
    """2.0.0 is current and was called."""
    await app.publish(offers(), tax)
    for each in ("offers@2.0.0", "tax@1.0.0"):
        await app.promote(each)
    await call(app, *inputs)
    RAN.clear()


# -- recorded calls ---------------------------------------------------------------------------------------------------


async def test_L41_a_candidate_that_does_the_same_passes_without_reaching_the_world_or_the_store() -> None:
    async with Remit(":memory:", processes=[offers(), offers("2.1.0"), tax]) as app:
        await opened(app, "shoe", "sold", "boots")
        before = await app.list(limit=100)
        done = await app.evaluate("offers@2.1", recorded=10, by="ann")
        assert RAN == []
        assert [each.execution_id for each in await app.list(limit=100)] == [each.execution_id for each in before]
        assert (done.version, done.baseline, done.passed, done.passes) == ("2.1.0", "2.0.0", True, 3)
        assert [each.candidate.status for each in done.cases] == ["COMPLETED", "FAILED", "COMPLETED"]
        for each in done.cases:
            assert each.current is not None
            assert (each.candidate.result, each.candidate.error) == (each.current.result, each.current.error)
            assert each.candidate.used == each.current.used
            assert each.candidate.effects[:1] == ["tool price.list"]
            assert each.candidate.duration_ms == each.current.duration_ms > 0
            assert (each.differences, each.unmade) == ([], [])
        assert done.candidate.as_dict() == done.current.as_dict()  # type: ignore[union-attr]
        assert done.candidate.tokens == 2 * (120 + 7)
        assert await app.evaluations("offers") == [done.summary()]
        assert await app.evaluations("offers", "2.0.0") == []


async def test_L41_what_differs_in_the_result_is_told_by_pointer() -> None:
    async with Remit(":memory:", processes=[offers(), offers("2.1.0", plus=1), tax]) as app:
        await opened(app, "shoe")
        (case,) = (done := await app.evaluate("offers@2.1.0", recorded=1)).cases
        assert not done.passed
        assert [(each.kind, each.pointer) for each in case.problems] == [("result", "/total")]
        assert case.differences == [{"pointer": "/total", "current": 8, "candidate": 9}]
        assert case.problems[0].message == "expected 8, is 9"
        assert (await app.evaluate("offers@2.1.0", recorded=1, ignore=["/total"])).passed
        assert not (await app.evaluate("offers@2.1.0", recorded=1, ignore=["/tot"])).passed
        said = await app.evaluate("offers@2.1.0", recorded=1, expect=["result.total == current.total + 1"])
        assert said.passed
        assert said.cases[0].differences == case.differences
        unmet = await app.evaluate("offers@2.1.0", recorded=1, expect=["result.total == current.total"])
        assert unmet.cases[0].problems[0].kind == "condition"


async def test_L41_an_effect_that_was_not_recorded_is_told_and_never_run() -> None:
    async with Remit(":memory:", processes=[offers(), offers("2.1.0", twice=True), offers("2.2.0", style="long"), tax]) as app:
        await opened(app, "shoe")
        (case,) = (await app.evaluate("offers@2.1.0", recorded=1)).cases
        assert [each.kind for each in case.problems] == ["unrecorded_effect"]
        assert 'tool price.list({"sku":"shoe"})' in case.problems[0].message
        assert case.candidate.error == "unrecorded_effect"
        assert case.candidate.used.cost == 100_000  # once, as it was recorded
        assert case.unmade == ["model small", "call tax"]
        (case,) = (await app.evaluate("offers@2.2.0", recorded=1)).cases
        assert "what was recorded of it differs at /style" in case.problems[0].message
        assert RAN == []


async def test_L41_a_step_that_is_named_live_runs_and_nothing_else_does() -> None:
    async with Remit(":memory:", processes=[offers(), offers("2.2.0", style="long"), tax]) as app:
        await opened(app, "shoe")
        done = await app.evaluate("offers@2.2.0", recorded=1, live=["small"], expect=["result.stamp != current.stamp"])
        assert RAN == ["describe shoe long"]
        assert done.passed
        assert done.cases[0].candidate.effects == ["tool price.list", "model small (live)", "call tax"]
        assert done.cases[0].unmade == ["model small"]


async def test_L41_a_result_that_callers_of_the_major_could_not_take_does_not_pass() -> None:
    class Bare(BaseModel):
        total: int
        stamp: str | None = None

        def __init__(self, **given: Any) -> None:
            super().__init__(**{**given, "stamp": None})

    async with Remit(":memory:", processes=[offers(), offers("2.1.0", Bare), offers("3.0.0", Bare), tax]) as app:
        await opened(app, "shoe")
        within = await app.evaluate("offers@2.1.0", recorded=1, expect=["result.total > 0"])
        assert [(each.kind, each.pointer) for each in within.cases[0].problems] == [("contract", "/stamp")]
        assert within.breaks
        assert {each["pointer"] for each in within.findings if each["kind"] == "breaks"} == {"/stamp"}
        beyond = await app.evaluate("offers@3.0.0", recorded=1, expect=["result.total > 0"])
        assert beyond.passed  # its callers have to declare: that is another gate
        assert not beyond.breaks
        assert beyond.findings == within.findings


async def test_L41_people_events_time_and_children_answer_as_they_did() -> None:
    async with Remit(":memory:", processes=[shop(), shop("2.1.0"), tax]) as app:
        root = await app.start("shop@2.0.0", "shoe")
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        await app.answer(root.id, True)
        await app.send(root.id, "paid", {"sum": 3})
        recorded = (await root.outcome(timeout=5)).unwrap()
        RAN.clear()
        (case,) = (done := await app.evaluate("shop@2.1.0", recorded=1)).cases
        assert done.passed
        assert case.candidate.result == recorded == "True {'sum': 3} 6 COMPLETED"
        assert case.candidate.effects == ["call tax", "ask agree", "event paid", "sleep"]
        assert case.candidate.duration_ms < 5_000  # a wait for people counts nothing
        assert RAN == []


async def test_L41_only_calls_that_ended_by_themselves_are_taken_the_last_ones_first() -> None:
    async with Remit(":memory:", processes=[offers(), offers("2.1.0"), tax]) as app:
        with pytest.raises(MisuseError, match=r"No call of offers 2\.0\.0 is recorded") as refused:
            await app.evaluate("offers@2.1.0", recorded=1, baseline="2.0.0")
        assert refused.value.code == "nothing_recorded"
        await opened(app, "one", "twos", "three", "four44")
        done = await app.evaluate("offers@2.1.0", recorded=2)
        assert [each.candidate.result["total"] for each in done.cases] == [12, 10]
        with pytest.raises(MisuseError, match="No other version of 'tax' is current"):
            await app.evaluate("tax@1.0.0", recorded=1)


async def test_L41_L53_what_was_erased_is_no_case() -> None:
    async with Remit(":memory:", processes=[offers(), offers("2.1.0"), tax]) as app:
        for tenant, sku in (("acme", "boots"), ("globex", "hat")):
            await (await app.start("offers@2.0.0", sku, tenant=tenant)).outcome(timeout=5)
        assert len((await app.evaluate("offers@2.1.0", recorded=5)).cases) == 2
        (case,) = (await app.evaluate("offers@2.1.0", recorded=5, tenant="acme")).cases
        assert case.candidate.result["total"] == 10
        await app.erase("acme")
        (case,) = (done := await app.evaluate("offers@2.1.0", recorded=5)).cases
        assert (case.candidate.result["total"], done.passed) == (6, True)


async def test_L18_a_failure_that_was_tried_again_counts_as_it_ended() -> None:
    async with Remit(":memory:", processes=[offers(), offers("2.1.0"), tax]) as app:
        await call(app, "shoe", target="offers@2.0.0")
        root = await app.start("offers@2.0.0", "flaky", retry=Retry(attempts=2, first=0.001))
        assert not (await root.outcome(timeout=5)).ok
        RAN.clear()
        done = await app.evaluate("offers@2.1.0", recorded=2)
        assert done.passed
        assert sorted(str(each.candidate.error) for each in done.cases) == ["None", "retries_exhausted"]
        assert RAN == []


# -- cases ------------------------------------------------------------------------------------------------------------


async def test_L41_cases_say_what_is_expected_and_show_the_current_version_beside() -> None:
    cases: list[dict[str, Any]] = [
        {"name": "equal", "input": "shoe", "effects": effects("shoe", 4), "expect": "result.total == 9"},
        {"input": "shoe", "effects": effects("shoe", 4), "expect": ["result.total > 0", "input == 'boot'"]},
        {"input": "sold", "effects": effects("sold", 4), "error": "sold_out"},
        {"input": "sold", "effects": effects("sold", 4)},
        {"input": 7},
        {"input": "shoe", "effects": effects("shoe", 4), "result": {"total": 8, "stamp": "x"}},
        {"input": "shoe", "effects": effects("other", 4)},
        {"input": "shoe", "effects": effects("shoe", 4, error="no_luck")[:2]},
    ]
    async with Remit(":memory:", processes=[offers(), offers("2.1.0", plus=1), tax]) as app:
        done = await app.evaluate("offers@2.1.0", cases=cases)
        assert [[each.kind for each in case.problems] for case in done.cases] == [
            [],
            ["condition"],
            [],
            ["status"],
            ["input"],
            ["result", "result"],
            ["unrecorded_effect"],
            ["unrecorded_effect"],
        ]
        first = done.cases[0]
        assert (first.case, done.cases[1].case) == ("equal", "case 2")
        assert first.current is not None
        assert (first.current.result["total"], first.candidate.result["total"]) == (8, 9)
        assert (first.candidate.used.tokens, first.candidate.duration_ms) == (12, 40)
        assert (done.passes, done.passed, RAN) == (2, False, [])


async def test_L41_a_childs_failure_a_case_names_is_the_candidates_to_handle() -> None:
    async with Remit(":memory:", processes=[offers(), tax]) as app:
        case = {"input": "shoe", "effects": effects("shoe", 4, error="no_luck"), "error": "no_luck"}
        (done,) = (await app.evaluate("offers@2.0.0", cases=[case])).cases
        assert (done.candidate.status, done.problems) == ("FAILED_CHILD_WORKFLOW", [])
        case["effects"] = effects("shoe", 4, version="2.0.0")
        (done,) = (await app.evaluate("offers@2.0.0", cases=[case])).cases
        assert "2.0.0 was called, which this version does not declare" in done.problems[0].message


async def test_L41_cases_are_read_from_yaml_and_json_lines_and_refused_with_their_place(tmp_path: Path) -> None:
    yaml, lines, wrong = tmp_path / "cases.yaml", tmp_path / "cases.jsonl", tmp_path / "wrong.yaml"
    case = {"input": "shoe", "effects": effects("shoe", 4), "expect": "result.total == 8"}
    lines.write_text(json.dumps(case) + "\n\n" + json.dumps(case) + "\n", "utf-8")
    yaml.write_text(f"- {json.dumps(case)}\n", "utf-8")
    async with Remit(":memory:", processes=[offers(), tax]) as app:
        assert (await app.evaluate("offers@2.0.0", cases=lines)).passes == 2
        assert (await app.evaluate("offers@2.0.0", cases=str(yaml))).passes == 1
        for text, told in (
            ("- {input: 1, expcet: x}", r"wrong\.yaml, case 1/expcet"),
            ("- {input: 1, expect: 'nothing.x'}", r"case 1: expect: .*nothing"),
            ("- {input: 1, effects: [{result: 1}]}", "case 1/effects/0: .*an effect has one of step"),
            ("- {input: 1, effects: [{call: x, took: soon}]}", "case 1: .*soon"),
            ("[]", "cases are a list"),
            ("- [", r"wrong\.yaml:1:\d: This is no YAML"),
        ):
            wrong.write_text(text, "utf-8")
            with pytest.raises(MisuseError, match=told) as refused:
                await app.evaluate("offers@2.0.0", cases=wrong)
            assert refused.value.code == "invalid_input"
        for wanted in ({}, {"recorded": 1, "cases": [case]}, {"recorded": 0}, {"cases": [case], "expect": ["true"]}):
            with pytest.raises(InvalidInput):
                await app.evaluate("offers@2.0.0", **wanted)
        with pytest.raises(InvalidInput, match="begins with"):
            await app.evaluate("offers@2.0.0", recorded=1, ignore=["total"])
        broken = tmp_path / "broken.jsonl"
        broken.write_text('{"input": 1}\n{', "utf-8")
        with pytest.raises(MisuseError, match=r"broken\.jsonl:2: this is no JSON"):
            await app.evaluate("offers@2.0.0", cases=broken)
        with pytest.raises(MisuseError, match="cannot be read"):
            await app.evaluate("offers@2.0.0", cases=tmp_path / "none.yaml")


async def test_L41_what_is_evaluated_is_hosted_and_is_what_was_published() -> None:
    async with Remit(":memory:", processes=[offers("2.1.0", result=Offer, recursion=1), tax]) as app:
        with pytest.raises(MisuseError, match=r"No code of offers@3 is hosted here; of 'offers' there are: 2\.1\.0"):
            await app.evaluate("offers@3", cases=[{"input": "x"}])
        with pytest.raises(MisuseError, match="there are: offers, tax"):
            await app.evaluate("others@3", cases=[{"input": "x"}])
        with pytest.raises(InvalidInput, match=r"offers@1\.0\.0"):
            await app.evaluate("offers", cases=[{"input": "x"}])
        await app.publish(offers("2.1.0"))
        with pytest.raises(MisuseError, match="published with other content") as refused:
            await app.evaluate("offers@2.1.0", cases=[{"input": "x"}])
        assert refused.value.code == "version_exists"


async def test_L41_a_body_that_does_not_end_does_not_hold_up_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    from remit import process

    monkeypatch.setattr("remit.control.evaluating.rehearsing.PATIENCE_MS", 200)

    @process("endless")
    async def endless(_: int) -> None:
        await asyncio.Event().wait()

    async with Remit(":memory:", processes=[endless, offers(), tax]) as app:
        evaluating = asyncio.create_task(app.evaluate("endless@1.0.0", cases=[{"input": 1}]))
        await call(app, "shoe", target="offers")
        assert not evaluating.done()
        (case,) = (await evaluating).cases
        assert case.candidate.error == "lease_expired"
