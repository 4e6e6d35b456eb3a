"""Steps that wait for people, time and events; loops, jumps and inserted steps; retries and timeouts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from remit import DefinitionError, DomainError, InvalidInput, MisuseError, Remit
from remit.workflows import StepContext, WorkflowJumpDirective, WorkflowPauseDirective
from tests.laws.scene import wait_until
from tests.workflows.making import compiled, results, run

ran: list[Any] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()


class State(BaseModel):
    order_id: str = "o-1"
    approved: bool | None = None
    reviewer: str | None = None
    count: int = 0
    items: list[dict[str, Any]] = []
    level: str = "low"
    until: datetime | None = None


class Approval(BaseModel):
    approved: bool
    reviewer: str = "nobody"


def noting(name: str, next_step: str | None = None, **values: Any) -> dict[str, Any]:
    """A STANDARD step that notes its run and returns these."""

    def note(state: Any) -> dict[str, Any]:
        ran.append(name)
        return values

    return {"name": name, "function": note, "next_step": next_step}


HUMAN = {"name": "Approve", "type": "HUMAN_IN_LOOP"}


async def answered(flow: Any, *answers: Any, **terms: Any) -> dict[str, Any]:
    """The result of a workflow whose questions get these answers, one after the other."""
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {}, **terms)
        for answer in answers:
            await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
            await app.answer(execution.id, answer)
            await asyncio.sleep(0.02)
        found: dict[str, Any] = (await execution.outcome(timeout=5)).unwrap()
        return found


# -- people -----------------------------------------------------------------------------------------------------------


async def test_an_answer_goes_to_the_function_validated_and_as_keywords() -> None:
    def decide(state: State, context: StepContext, **user_input: Any) -> dict[str, Any]:
        ran.append((context.validated_input, user_input))
        return {"approved": user_input["approved"], "reviewer": context.validated_input.reviewer}

    flow = compiled("Flow", {**HUMAN, "function": decide, "input_model": Approval}, state=State)
    assert await answered(flow, {"approved": True}) == {"approved": True, "reviewer": "nobody"}
    assert ran == [(Approval(approved=True), {"approved": True})]


async def test_without_a_function_the_answer_is_merged_into_the_state() -> None:
    flow = compiled("Flow", {**HUMAN, "schema": {"properties": {"approved": {"type": "boolean"}}}}, state=State,
                    result={"approved": "state.approved"})  # fmt: skip
    assert await answered(flow, {"approved": False}) == {"approved": False}
    keyed = compiled("Flow", {**HUMAN, "output_key": "decision"})
    assert await answered(keyed, {"approved": False}) == {"decision": {"approved": False}}


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"type": "boolean"}, True),
        ({"enum": ["yes", "no"]}, "yes"),
        ({"type": "array", "items": {"type": "integer"}}, [1, 2]),
        ({"properties": {"approved": {"type": "boolean"}}}, {"approved": True}),
        (None, None),
    ],
)
async def test_L48_an_answer_that_is_kept_under_a_key_is_any_value_its_schema_takes(schema: Any, answer: Any) -> None:
    flow = compiled("Flow", {**HUMAN, "output_key": "decision", "schema": schema})
    assert await answered(flow, answer) == {"decision": answer}
    asked = compiled("Flow", {**HUMAN, "output_key": "decision", "schema": schema, "timeout": 0.01,
                              "on_timeout": {"value": answer}})  # fmt: skip
    assert await results(asked, {}) == {"decision": answer}


async def test_L48_fields_are_still_asked_for_as_an_object_and_a_pause_before_asks_for_one() -> None:
    def pause(state: Any) -> None:
        raise WorkflowPauseDirective(waiting_for="a word")

    keyed = {**HUMAN, "output_key": "decision", "schema": {"required": ["approved"]}}
    flow = compiled("Flow", {"name": "Pause", "function": pause}, keyed)
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        for asked, answer in (("Pause", {"note": "n"}), ("Approve", {"approved": True})):
            await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
            with pytest.raises(InvalidInput, match=f"to '{asked}' does not fit: 3 is not of type 'object'"):
                await app.answer(execution.id, 3)
            await app.answer(execution.id, answer)
            await asyncio.sleep(0.02)
        assert (await execution.outcome(timeout=5)).unwrap() == {"note": "n", "decision": {"approved": True}}


async def test_L48_an_answer_that_does_not_fit_is_refused_and_the_wait_goes_on() -> None:
    flow = compiled("Flow", {**HUMAN, "prompt": "Approve {{ state.order_id }}?", "assignee": "role:{{ state.level }}",
                             "input_model": Approval}, state=State)  # fmt: skip
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        with pytest.raises(InvalidInput, match="is not of type 'boolean'"):
            await app.answer(execution.id, {"approved": "maybe"})
        with pytest.raises(InvalidInput):
            await app.answer(execution.id, True)
        [entry] = await app.journal(execution.id)
        assert entry.params == {"prompt": "Approve o-1?", "to": "role:low"}
        await app.answer(execution.id, {"approved": True})
        assert (await execution.outcome(timeout=5)).ok


async def test_a_function_without_input_comes_first_and_its_pause_asks() -> None:
    def request(state: State, context: StepContext) -> None:
        ran.append("request")
        raise WorkflowPauseDirective({"count": 7}, waiting_for="manager_approval")

    def decide(state: State, context: StepContext, **user_input: Any) -> dict[str, Any]:
        assert state.count == 7
        return {"input": user_input, "previous": context.previous_step_result}

    flow = compiled("Flow", {**HUMAN, "function": request}, {"name": "Decide", "function": decide}, state=State)
    found = await answered(flow, {"approved": True})
    assert found["input"] == {"approved": True}
    assert found["previous"] == {"count": 7, "approved": True}
    assert ran == ["request"]


async def test_a_pause_of_any_step_asks_for_what_the_next_step_needs() -> None:
    def pause(state: State) -> None:
        ran.append("pause")
        raise WorkflowPauseDirective(waiting_for="review")

    def process(state: State, context: StepContext) -> dict[str, Any]:
        return {"by": context.validated_input.reviewer}

    flow = compiled("Flow", {"name": "Pause", "function": pause},
                    {"name": "Process", "function": process, "input_model": Approval}, state=State)  # fmt: skip
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        with pytest.raises(InvalidInput):
            await app.answer(execution.id, {"reviewer": "u-1"})
        await app.answer(execution.id, {"approved": True, "reviewer": "u-1"})
        assert (await execution.outcome(timeout=5)).unwrap()["by"] == "u-1"
        assert ran == ["pause"]


async def test_required_input_is_taken_from_the_state_else_asked_for() -> None:
    def use(state: State, context: StepContext, reviewer: str) -> dict[str, Any]:
        return {"used": reviewer}

    step = {"name": "Use", "function": use, "required_input": ["reviewer", {"count": "int"}]}
    flow = compiled("Flow", step, state=State)
    assert await results(flow, {"reviewer": "u-1", "count": 1}) == {"used": "u-1"}
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        with pytest.raises(InvalidInput, match="is not of type 'integer'"):
            await app.answer(execution.id, {"reviewer": "u-2", "count": "x"})
        await app.answer(execution.id, {"reviewer": "u-2", "count": 2})
        assert (await execution.outcome(timeout=5)).unwrap() == {"used": "u-2"}


async def test_a_function_that_needs_what_nobody_gives_fails_with_a_word_on_how_to_give_it() -> None:
    flow = compiled("Flow", {"name": "Use", "function": lambda state, *, reviewer: {}})
    outcome = await run(flow, {})
    assert outcome.error is not None
    assert outcome.error.code == "invalid_input"
    assert "required_input" in outcome.error.message


async def test_nobody_answers_in_time() -> None:
    human = {**HUMAN, "timeout": 0.05, "input_model": Approval}
    valued = compiled("Flow", {**human, "on_timeout": {"value": {"approved": False}}})
    assert await results(valued, {}) == {"approved": False}
    led = compiled("Flow", {**human, "on_timeout": "Late"}, noting("Not"), noting("Late", late=True))
    assert (await results(led, {}))["late"] is True
    failed = compiled("Flow", {**human, "on_failure": "Late"}, noting("Not"), noting("Late", late=True))
    assert (await results(failed, {}))["step_failures"]["Approve"]["code"] == "ask_timeout"
    outcome = await run(compiled("Flow", human), {})
    assert outcome.error is not None
    assert outcome.error.code == "ask_timeout"
    with pytest.raises(DefinitionError, match="the value of on_timeout does not fit at /approved"):
        compiled("Flow", {**human, "on_timeout": {"value": {"approved": "perhaps"}}})


async def test_the_timeout_of_a_question_is_not_that_of_its_function() -> None:
    async def slow(state: State, **user_input: Any) -> dict[str, Any]:
        await asyncio.sleep(0.3)
        return {"slow": True}

    flow = compiled("Flow", {**HUMAN, "function": slow, "timeout": 0.2})
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        await app.answer(execution.id, {})
        assert (await execution.outcome(timeout=5)).unwrap() == {"slow": True}


# -- time and events --------------------------------------------------------------------------------------------------


async def test_a_wait_for_a_time_a_moment_or_an_event() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    flow = compiled(
        "Flow",
        {"name": "A", "type": "WAIT", "duration": "{{ state.count }}"},
        {"name": "B", "type": "WAIT", "until": "{{ state.until }}"},
        {"name": "C", "type": "WAIT", "event": "paid", "key": "{{ state.order_id }}"},
        {"name": "D", "type": "WAIT", "event": "shipped", "output_key": "shipped"},
        state=State,
        result={"approved": "state.approved"},
    )
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {"until": soon.isoformat()})
        await app.send(execution.id, "paid", {"approved": True})
        await app.send(execution.id, "shipped", 7)
        assert (await execution.outcome(timeout=5)).unwrap() == {"approved": True}
        assert datetime.now(UTC) >= soon


async def test_an_event_that_does_not_come_in_time() -> None:
    wait = {"name": "Wait", "type": "WAIT", "event": "paid", "timeout": 0.05}
    assert await results(compiled("Flow", {**wait, "on_timeout": {"value": {"paid": False}}}), {}) == {"paid": False}
    led = compiled("Flow", {**wait, "on_timeout": "Late"}, noting("Late", late=True))
    assert (await results(led, {}))["step_failures"]["Wait"]["code"] == "event_timeout"


async def test_a_moment_that_is_none_fails_the_step() -> None:
    outcome = await run(compiled("Flow", {"name": "Wait", "type": "WAIT", "until": "tomorrow"}), {})
    assert outcome.error is not None
    assert "which is no moment" in outcome.error.message


# -- decisions and jumps ----------------------------------------------------------------------------------------------


async def test_the_first_route_that_holds_and_the_default() -> None:
    routes = [{"condition": "state.count > 10", "target": "High"}, {"condition": "result.flag", "next_step": "Flagged"},
              {"default": "Low"}]  # fmt: skip
    flow = compiled(
        "Flow",
        {"name": "Check", "type": "DECISION", "function": lambda state: {"flag": state.level == "high"}, "routes": routes},
        {**noting("High", to="high"), "next_step": "End"},
        {**noting("Flagged", to="flagged"), "next_step": "End"},
        noting("Low", to="low"),
        noting("End"),
        state=State,
    )
    for given, to in (({"count": 11}, "high"), ({"level": "high"}, "flagged"), ({}, "low")):
        assert (await results(flow, given))["to"] == to


async def test_no_route_is_a_failure_and_no_routes_go_on() -> None:
    step = {"name": "Check", "type": "DECISION", "routes": [{"condition": "state.count > 10", "target": "Check"}]}
    outcome = await run(compiled("Flow", step, state=State), {})
    assert outcome.error is not None
    assert outcome.error.code == "no_route"
    flow = compiled("Flow", {"name": "Check", "type": "DECISION", "function": lambda state: None}, noting("End", end=True))
    assert await results(flow, {}) == {"end": True}


async def test_a_jump_backwards_runs_steps_again_as_new_visits() -> None:
    def count(state: State, context: StepContext) -> dict[str, Any]:
        ran.append(context.step_name)
        if state.count < 2:
            raise WorkflowJumpDirective("Before", {"count": state.count + 1})
        return {}

    flow = compiled("Flow", noting("Before"), {"name": "Count", "function": count}, state=State, result="state.count")
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        assert (await execution.outcome(timeout=5)).unwrap() == 2
        assert ran == ["Before", "Count"] * 3
        assert [entry.params for entry in await app.journal(execution.id) if entry.name == "Count"] == [
            {}, {"visit": 2}, {"visit": 3},
        ]  # fmt: skip


async def test_a_jump_to_nowhere_names_the_nearest_step() -> None:
    def jump(state: Any) -> None:
        raise WorkflowJumpDirective("Endd")

    outcome = await run(compiled("Flow", {"name": "Jump", "function": jump}, noting("End")), {})
    assert outcome.error is not None
    assert (outcome.error.code, ran) == ("unknown_step", [])
    assert "Did you mean 'End'?" in outcome.error.message


async def test_L48_a_workflow_that_goes_round_without_end_is_ended() -> None:
    flow = compiled("Flow", {"name": "A", "type": "JUMP", "target_step": "A"})
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        outcome = await execution.outcome(timeout=20)
        assert outcome.error is not None
        assert outcome.error.code == "limit_exceeded"
        assert await app.alerts(code="blocked_event_loop") == []


async def test_steps_are_inserted_where_the_state_matches() -> None:
    rules = [
        {"condition_key": "level", "value_match": "high", "steps_to_insert": [noting("Review"), noting("Sign")]},
        {"condition_key": "state.level", "value_is_not": ["low", "high"], "steps_to_insert": [noting("Other")]},
    ]
    flow = compiled("Flow", {**noting("Evaluate"), "dynamic_injection": {"rules": rules}}, noting("End"), state=State)
    for level, expected in (("low", []), ("high", ["Review", "Sign"]), ("odd", ["Other"])):
        ran.clear()
        await results(flow, {"level": level})
        assert ran == ["Evaluate", *expected, "End"]


async def test_steps_are_inserted_where_a_condition_holds_and_jumps_lead_in_and_out_of_them() -> None:
    injection = {"condition": "state.count > 10", "steps": [noting("Review"), noting("Sign")], "insert_after": "Evaluate"}
    flow = compiled("Flow", {**noting("Evaluate"), "dynamic_injection": injection}, noting("Ship"), noting("End"), state=State)
    for count, expected in ((10, []), (11, ["Review", "Sign"])):
        ran.clear()
        await results(flow, {"count": count})
        assert ran == ["Evaluate", *expected, "Ship", "End"]
    left = {**injection, "steps": [noting("Review", next_step="End"), noting("Sign")]}
    ran.clear()
    await results(compiled("Flow", {**noting("Evaluate"), "dynamic_injection": left}, noting("Ship"), noting("End"), state=State),
                  {"count": 11})  # fmt: skip
    assert ran == ["Evaluate", "Review", "End"]


# -- loops ------------------------------------------------------------------------------------------------------------


async def test_a_loop_over_a_list_gives_each_item_by_name_and_in_the_context() -> None:
    def add(state: State, context: StepContext, line: dict[str, Any]) -> dict[str, Any]:
        assert line == context.loop_item
        ran.append((line["sku"], context.loop_index))
        line["sku"] = "spoilt"
        return {"count": state.count + line["n"]}

    body = [
        {"name": "Add", "function": add},
        {"name": "Odd", "type": "DECISION", "routes": [{"condition": "line.n == 2", "target": "Two"}, {"default": "Skip"}]},
        noting("Two"),
        noting("Skip"),
    ]
    loop = {"name": "Each", "type": "LOOP", "mode": "ITERATE", "iterate_over": "items", "item_var_name": "line"}
    flow = compiled("Flow", {**loop, "max_iterations": 10, "loop_body": body},
                    {"name": "End", "function": lambda state, context: {"end": context.previous_step_result}}, state=State)  # fmt: skip
    found = await results(flow, {"items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]})
    assert found == {"count": 3, "end": {"loop_iterations": 2}}
    assert ran == [("a", 0), "Skip", ("b", 1), "Two", "Skip"]


async def test_a_loop_while_a_condition_holds_stops_at_its_limit() -> None:
    body = [{"name": "Count", "function": lambda state: {"count": state.count + 1}}]
    loop = {"name": "Poll", "type": "LOOP", "mode": "WHILE", "loop_body": body}
    for condition, limit, count in (("state.count < 3", 10, 3), ("count < 9", 5, 5), ("loop_index < 2", 5, 2)):
        flow = compiled("Flow", {**loop, "while_condition": condition, "max_iterations": limit}, state=State)
        assert (await results(flow, {}))["count"] == count


async def test_a_list_longer_than_the_limit_is_refused_before_anything_is_done() -> None:
    loop = {"name": "Each", "type": "LOOP", "mode": "ITERATE", "iterate_over": "items", "max_iterations": 1}
    outcome = await run(compiled("Flow", {**loop, "loop_body": [noting("Add")]}, state=State), {"items": [{}, {}]})
    assert outcome.error is not None
    assert (outcome.error.code, ran) == ("limit_exceeded", [])


async def test_a_jump_out_of_a_loop_leaves_it() -> None:
    def leave(state: State, context: StepContext) -> None:
        ran.append(context.loop_index)
        if context.loop_index == 1:
            raise WorkflowJumpDirective("End")

    loop = {"name": "Each", "type": "LOOP", "mode": "ITERATE", "iterate_over": "items", "max_iterations": 9}
    flow = compiled("Flow", {**loop, "loop_body": [{"name": "Leave", "function": leave}]}, noting("Not"), noting("End"), state=State)
    await results(flow, {"items": [{}] * 5})
    assert ran == [0, 1, "End"]


async def test_L48_a_loop_of_a_thousand_steps() -> None:
    async def count(state: State) -> dict[str, Any]:
        return {"count": state.count + 1}

    loop = {"name": "Loop", "type": "LOOP", "mode": "WHILE", "while_condition": "count < 1000", "max_iterations": 2000}
    flow = compiled("Flow", {**loop, "loop_body": [{"name": "Count", "function": count}]}, state=State, result="state.count")
    assert await results(flow, {}) == 1000


async def test_a_loop_may_have_a_timeout() -> None:
    body = [{"name": "Wait", "type": "WAIT", "duration": 0.05}]
    loop = {"name": "Poll", "type": "LOOP", "mode": "WHILE", "while_condition": "True", "max_iterations": 100, "timeout": 0.2}
    flow = compiled("Flow", {**loop, "loop_body": body, "on_timeout": "Late"}, noting("Late", late=True))
    assert (await results(flow, {}))["step_failures"]["Poll"]["code"] == "step_timeout"


# -- failures, retries, timeouts --------------------------------------------------------------------------------------


def failing(times: int, error: Exception) -> Any:
    """A function that fails so often, then works."""

    def attempt(state: Any) -> dict[str, Any]:
        ran.append("attempt")
        if len(ran) <= times:
            raise error
        return {"worked": True}

    return attempt


async def test_L18_a_step_is_tried_again_as_often_as_it_says_and_no_other_step_is() -> None:
    retry = {"attempts": 3, "delay": 0.01}
    flow = compiled("Flow", noting("Before"), {"name": "Try", "function": failing(3, ConnectionError("down")), "retry": retry})
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        assert (await execution.outcome(timeout=5)).unwrap() == {"worked": True}
        assert (ran, (await execution.record()).attempt) == (["Before", "attempt", "attempt", "attempt"], 1)


async def test_L18_exhausted_retries_are_a_failure_of_the_domain_that_can_be_handled() -> None:
    step = {"name": "Try", "function": failing(9, ConnectionError("down")), "retry": {"attempts": 2, "delay": 0.01}}
    flow = compiled("Flow", {**step, "on_failure": "Handle"}, noting("Handle"))
    found = await results(flow, {})
    assert found["step_failures"]["Try"]["code"] == "retries_exhausted"
    assert ran == ["attempt", "attempt", "Handle"]


async def test_L18_a_failure_of_the_domain_is_not_tried_again() -> None:
    step = {"name": "Try", "function": failing(9, DomainError("no_luck")), "retry": {"attempts": 5, "delay": 0.01}}
    outcome = await run(compiled("Flow", step), {})
    assert outcome.error is not None
    assert (outcome.error.code, ran) == ("no_luck", ["attempt"])


async def test_L18_without_a_retry_of_its_own_the_execution_is_tried_again() -> None:
    flow = compiled("Flow", noting("Before"), {"name": "Try", "function": failing(2, ConnectionError("down"))},
                    retry={"attempts": 3, "delay": 0.01})  # fmt: skip
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        assert (await execution.outcome(timeout=5)).ok
        assert (ran, (await execution.record()).attempt) == (["Before", "attempt", "attempt"], 2)


async def test_a_step_that_takes_longer_than_its_timeout() -> None:
    async def slow(state: Any) -> None:
        await asyncio.sleep(10)

    step = {"name": "Slow", "function": slow, "timeout_seconds": 0.05}
    led = compiled("Flow", {**step, "on_timeout": "Late"}, noting("Not"), noting("Late"))
    await results(led, {})
    tried = compiled("Flow", {**step, "on_timeout": "Late", "retry": {"attempts": 2, "delay": 0.01}}, noting("Late"))
    shown = (await results(tried, {}))["step_failures"]["Slow"]
    assert shown["code"] == "retries_exhausted"
    assert shown["message"] == "All 2 attempts failed; the last: step 'Slow' took longer than its timeout of 50ms"
    assert ran == ["Late", "Late"]


async def test_L19_a_failure_is_handled_and_shown_to_the_steps_that_follow() -> None:
    def fail(state: Any) -> None:
        raise ValueError("no such address")

    def look(state: State) -> dict[str, Any]:
        return {"seen": state.step_failures}

    flow = compiled("Flow", {"name": "Fail", "function": fail, "on_failure": "Look"}, {"name": "Look", "function": look}, state=State)
    shown = {"Fail": {"code": "domain_error", "message": "no such address", "error_class": "DOMAIN"}}
    assert await results(flow, {}) == {"seen": shown, "step_failures": shown}


async def test_answering_what_nobody_asks_is_refused() -> None:
    flow = compiled("Flow", {"name": "Wait", "type": "WAIT", "duration": "1h"})
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        await wait_until(app, execution.id, "PENDING_ASYNC")
        with pytest.raises(MisuseError, match="Nothing waits for an answer"):
            await app.answer(execution.id, {})
