"""A version is promoted after an evaluation of its very content that shows what is required (L41)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remit import InvalidInput, MisuseError, Remit
from tests.laws.evaluation_scene import call, effects, offers, tax

CASES = [{"input": "shoe", "effects": effects("shoe", 4), "expect": "result.total > 0"}]


async def opened(app: Remit, *candidates: Any) -> None:
    """2.0.0 is current and was called twice; the candidates are published."""
    await app.publish(offers(), tax, *candidates)
    for each in ("offers@2.0.0", "tax@1.0.0"):
        await app.promote(each)
    await call(app, "shoe", "boots")


async def held_back(app: Remit, reference: str, why: str, to: Any = None) -> str:
    """The command that the refusal names."""
    with pytest.raises(MisuseError, match=why) as refused:
        await app.promote(reference, to)
    assert refused.value.code == "evaluation_required"
    assert refused.value.details["command"] in str(refused.value)
    return str(refused.value.details["command"])


async def test_L41_no_version_is_promoted_or_rolled_out_without_the_evaluation_that_is_required() -> None:
    good, worse = offers("2.1.0"), offers("2.2.0", plus=1)
    async with Remit(":memory:", processes=[offers(), good, worse, tax]) as app:
        await opened(app, good, worse)
        await app.require_evaluation("offers", recorded=2)
        for to in (None, 0.1, ["shop"]):
            command = await held_back(app, "offers@2.1.0", "there is none of its content", to)
            assert command == "remit evaluate offers@2.1.0 --recorded 2"
        await app.evaluate("offers@2.1.0", recorded=1)
        await held_back(app, "offers@2.1.0", "it was of 1 recorded calls, and 2 are asked for")
        await app.evaluate("offers@2.1.0", cases=CASES)
        await held_back(app, "offers@2.1.0", "it was of no recorded calls")
        await app.evaluate("offers@2.2.0", recorded=2)
        await held_back(app, "offers@2.2.0", r"0 of 2 cases passed, and 100\.00% must")
        await app.evaluate("offers@2.1.0", cases=CASES, baseline="2.2.0")
        await held_back(app, "offers@2.1.0", r"it was held against 2\.2\.0, and 2\.0\.0 is current")
        await app.evaluate("offers@2.1.0", recorded=2)
        assert (await app.rollout("offers@2.1.0", 0.1)).to_share == 0.1
        assert (await app.promote("offers@2.1.0")).state == "promoted"
        await app.require_evaluation("offers")
        assert (await app.promote("offers@2.2.0")).state == "promoted"


async def test_L41_a_candidate_that_costs_more_than_may_be_is_held_back() -> None:
    candidate = offers("2.1.0", level=True)
    async with Remit(":memory:", processes=[offers(), candidate, tax]) as app:
        await opened(app, candidate)
        dear = [{**CASES[0], "effects": [*CASES[0]["effects"], {"tool": "stock.level", "result": 1, "took": "80ms"}]}]
        await app.require_evaluation("offers", cases=dear, max_duration_increase=1.0)
        done = await app.evaluate("offers@2.1.0", cases=dear)
        assert done.passed
        await held_back(app, "offers@2.1.0", r"its duration went from 40 ms to 120 ms, and may rise by 100\.00%")
        await app.require_evaluation("offers", cases=dear, max_duration_increase=2.0, max_cost_increase=0)
        assert (await app.promote("offers@2.1.0")).state == "promoted"


async def test_L41_both_cases_and_recorded_calls_may_be_required_and_a_share_of_them(tmp_path: Path) -> None:
    candidate, file = offers("2.1.0"), tmp_path / "offers.yaml"
    file.write_text("- {input: shoe}\n- {input: sold, error: unrecorded_effect}\n", "utf-8")
    async with Remit(":memory:", processes=[offers(), candidate, tax]) as app:
        await opened(app, candidate)
        await app.require_evaluation("offers", cases=file, recorded=2, min_pass=0.5, by="ann")
        assert await held_back(app, "offers@2.1.0", "there is none") == f"remit evaluate offers@2.1.0 --cases {file}"
        await app.evaluate("offers@2.1.0", cases=CASES)
        await held_back(app, "offers@2.1.0", "it was of other cases")
        await app.require_evaluation("offers", cases=CASES, recorded=2, min_pass=0.5)
        assert await held_back(app, "offers@2.1.0", "no recorded calls") == "remit evaluate offers@2.1.0 --recorded 2"
        await app.evaluate("offers@2.1.0", recorded=2)
        await app.promote("offers@2.1.0")


async def test_L41_the_first_version_of_a_process_is_held_against_none() -> None:
    async with Remit(":memory:", processes=[offers(), tax]) as app:
        await app.publish(offers(), tax)
        await app.require_evaluation("offers", recorded=5, max_cost_increase=0)
        assert (await app.promote("offers@2.0.0")).state == "promoted"  # nothing could have been called yet
        await app.require_evaluation("tax", cases=[{"input": 1}], max_cost_increase=0)
        await held_back(app, "tax@1.0.0", "there is none")
        assert (await app.evaluate("tax@1.0.0", cases=[{"input": 1}])).baseline is None
        await app.promote("tax@1.0.0")


async def test_L41_an_evaluation_counts_for_the_content_it_was_of() -> None:
    async with Remit(":memory:", processes=[offers(), offers("2.1.0", recursion=1), tax]) as app:
        await opened(app)
        await app.require_evaluation("offers", recorded=2)
        assert (await app.evaluate("offers@2.1.0", recorded=2)).passed  # of what is hosted; another one is published then
        await app.publish(offers("2.1.0"))
        await held_back(app, "offers@2.1.0", "there is none of its content")


POLICY = """
policy: releases
version: 1.0.0
applies_to: {process: "off*", department: sales}
evaluation: {recorded: 2, max_cost_increase: 0}
"""


async def test_L41_L43_a_policy_asks_for_an_evaluation_of_the_versions_that_it_selects(tmp_path: Path) -> None:
    (tmp_path / "releases.yaml").write_text(POLICY, "utf-8")
    candidate, other = offers("2.1.0", department="sales"), offers("2.2.0")
    async with Remit(":memory:", processes=[offers(), candidate, other, tax]) as app:
        await opened(app, candidate, other)
        await app.apply_policy(tmp_path / "releases.yaml")
        assert (await app.rollout("offers@2.2.0", 0.1)).to_share == 0.1
        await app.rollback("offers@2.2.0")
        await held_back(app, "offers@2.1.0", "there is none of its content")
        await app.evaluate("offers@2.1.0", recorded=2)
        assert (await app.promote("offers@2.1.0")).state == "promoted"


async def test_L41_what_cannot_be_required_is_refused() -> None:
    async with Remit(":memory:") as app:
        for terms, told in (
            ({"min_pass": 0.5}, "cases=FILE"),
            ({"recorded": 0}, "at least 1"),
            ({"recorded": 1, "min_pass": 1.5}, "at most 1"),
            ({"recorded": 1, "max_cost_increase": -0.1}, "a share such as"),
            ({"recorded": 1, "max_fun_increase": 0.1}, "nothing that can be required"),
        ):
            with pytest.raises(InvalidInput, match=told):
                await app.require_evaluation("offers", **terms)  # type: ignore[arg-type]
