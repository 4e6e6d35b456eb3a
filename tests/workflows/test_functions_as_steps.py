"""Steps that are functions: what they are given, what becomes of what they return, change and raise."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, Field, field_validator

from remit import DefinitionError, InvalidInput, Remit, Usage, current, model, process, step, tool
from remit.workflows import StepContext
from tests.workflows.making import compiled, results, run


class Item(BaseModel):
    sku: str
    quantity: int = 1


class Order(BaseModel):
    order_id: str
    items: list[Item] = []
    amount: Decimal = Decimal(0)
    placed_at: datetime | None = None
    notes: dict[str, Any] = Field(default_factory=dict)

    @field_validator("amount")
    @classmethod
    def _positive(cls, value: Decimal) -> Decimal:
        if value < 0:
            raise ValueError("an amount is not negative")
        return value


async def test_L36_a_returned_dict_updates_the_fields_of_the_state_and_the_rest_stays_in_the_result() -> None:
    seen: list[Any] = []

    def price(state: Order, context: StepContext) -> dict[str, Any]:
        return {"amount": "12.50", "carrier": "by air", "placed_at": datetime(2026, 5, 4, tzinfo=UTC)}

    def look(state: Order, context: StepContext) -> None:
        seen.append((state.amount, state.placed_at, hasattr(state, "carrier"), context.previous_step_result))

    order = compiled("Order", {"name": "Price", "function": price}, {"name": "Look", "function": look}, state=Order)
    assert await results(order, {"order_id": "o-1"}) == {
        "amount": "12.50",
        "carrier": "by air",
        "placed_at": "2026-05-04T00:00:00+00:00",
    }
    previous = {"amount": "12.50", "carrier": "by air", "placed_at": "2026-05-04T00:00:00+00:00"}
    assert seen == [(Decimal("12.50"), datetime(2026, 5, 4, tzinfo=UTC), False, previous)]


async def test_changes_made_in_place_are_kept_and_what_a_step_keeps_cannot_reach_the_state() -> None:
    kept: list[Order] = []

    def add(state: Order) -> None:
        state.items.append(Item(sku="A", quantity=2))
        state.notes["by"] = "hand"
        kept.append(state)

    async def spoil(state: Order) -> dict[str, Any]:
        kept[0].items.clear()
        kept[0].notes["by"] = "somebody else"
        return {"seen": [state.items[0].sku, state.notes["by"]]}

    order = compiled("Order", {"name": "Add", "function": add}, {"name": "Spoil", "function": spoil}, state=Order)
    assert await results(order, {"order_id": "o-1"}) == {"seen": ["A", "hand"]}


async def test_L36_without_a_model_the_state_holds_whatever_steps_return() -> None:
    def add(state: Any) -> dict[str, Any]:
        state.more = [1]
        return {"total": state.price * 2}

    def drop(state: Any) -> None:
        del state.more

    def look(state: Any) -> dict[str, Any]:
        return {"seen": [state.total, state["price"], state.get("more"), state.get("nothing", "default")]}

    steps = [{"name": name, "function": function} for name, function in (("Add", add), ("Drop", drop), ("Look", look))]
    assert (await results(compiled("Any", *steps), {"price": 21}))["seen"] == [42, 21, None, "default"]


async def test_a_state_may_be_declared_by_a_json_schema() -> None:
    schema = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}

    def count(state: Any) -> dict[str, Any]:
        return {"count": state.count + 1}

    def spoil(state: Any) -> dict[str, Any]:
        return {"count": "many"}

    counted = compiled("Counted", {"name": "Count", "function": count}, state=schema)
    assert await results(counted, {"count": 1}) == {"count": 2}
    assert counted.definition.input.schema() == schema
    async with Remit(":memory:", processes=[counted]) as app:
        with pytest.raises(InvalidInput, match="initial data: at /count: '1' is not of type 'integer'"):
            await app.start(counted, {"count": "1"})
    outcome = await run(compiled("Spoiled", {"name": "Spoil", "function": spoil}, state=schema), {"count": 1})
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.details["path"]) == ("invalid_state", "/count")


CLOSED = {
    "properties": {
        "n": {"type": "integer", "default": 1},
        "sub": {"properties": {"q": {"type": "number", "default": 5}}, "default": {}},
        "given": {"properties": {"day": {"default": "Monday"}}},
        "empty": {},
    },
    "additionalProperties": False,
}


async def test_a_state_begins_with_the_defaults_of_its_json_schema() -> None:
    flow = compiled("Flow", {"name": "Wait", "type": "WAIT", "duration": 0}, state=CLOSED, result="state")
    seen = await results(flow, {"given": {}, "n": 3})
    assert {name: value for name, value in seen.items() if name in CLOSED["properties"]} == {
        "n": 3, "sub": {"q": 5}, "given": {"day": "Monday"},
    }  # fmt: skip


@pytest.mark.parametrize("strategy", ["SHALLOW", "REPLACE"])
async def test_L36_what_a_closed_schema_does_not_have_belongs_to_the_result_alone(strategy: str) -> None:
    def give(state: dict[str, Any]) -> dict[str, Any]:
        return {"n": state["n"] + 1, "other": 2}

    spread = {"name": "Spread", "type": "PARALLEL", "tasks": [{"name": "a", "function": give}], "merge_strategy": strategy}
    flow = compiled("Flow", {"name": "Give", "function": give}, spread, state=CLOSED)
    assert await results(flow, {}) == {"n": 3, "other": 2}
    left = compiled("Left", {"name": "Give", "function": give}, spread, state=CLOSED, result="state.other")
    assert await results(left, {}) is None


async def test_a_state_of_anything_is_read_and_written_by_name() -> None:
    def look(state: Any) -> dict[str, Any]:
        state["mark"] = 1
        with pytest.raises(KeyError):
            state["price"]
        return {"found": ["n" in state, "price" in state, "step_failures" in state]}

    flow = compiled("Any", {"name": "Look", "function": look}, result={"found": "state.found", "mark": "state.mark"})
    assert await results(flow, {"n": 1}) == {"found": [True, False, True], "mark": 1}


@pytest.mark.parametrize("by", ["returning", "changing"])
async def test_a_value_that_the_model_refuses_fails_the_step(by: str) -> None:
    def spoil(state: Order) -> dict[str, Any]:
        if by == "returning":
            return {"amount": "-1"}
        state.amount = Decimal(-1)
        return {}

    outcome = await run(compiled("Order", {"name": "Spoil", "function": spoil}, state=Order), {"order_id": "o-1"})
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.details["path"]) == ("invalid_state", "/amount")
    assert "an amount is not negative" in outcome.error.message


@pytest.mark.parametrize("value", [float("nan"), {"deep": float("inf")}, object()])
async def test_L13_what_json_cannot_hold_fails_the_step_and_is_not_changed_in_silence(value: Any) -> None:
    def spoil(state: Order) -> dict[str, Any]:
        state.notes["value"] = value
        return {}

    def give(state: Order) -> dict[str, Any]:
        return {"value": value}

    def spoil_dict(state: dict[str, Any]) -> None:
        state["notes"]["value"] = value

    for function, code in ((spoil, "invalid_state"), (spoil_dict, "invalid_state"), (give, "contract_violation")):
        outcome = await run(compiled("Order", {"name": "Give", "function": function}, state=Order), {"order_id": "o-1"})
        assert outcome.error is not None
        assert outcome.error.code == code


async def test_a_function_may_take_the_state_as_a_dict() -> None:
    def change(state: dict[str, Any], context: StepContext) -> dict[str, Any]:
        state["notes"]["seen"] = state["items"][0]["sku"]
        return {"amount": 5}

    def look(state: Order) -> dict[str, Any]:
        return {"seen": [state.notes, str(state.amount)]}

    order = compiled("Order", {"name": "Change", "function": change}, {"name": "Look", "function": look}, state=Order)
    found = await results(order, {"order_id": "o-1", "items": [{"sku": "A"}]})
    assert found["seen"] == [{"seen": "A"}, "5"]


async def test_what_is_no_dict_is_the_result_under_the_name_of_the_step() -> None:
    order = compiled("Order", {"name": "Rate", "function": lambda state: "good"}, state=Order)
    assert await results(order, {"order_id": "o-1"}) == {"Rate": "good"}


async def test_the_context_says_where_the_step_runs() -> None:
    seen: list[StepContext] = []

    def look(state: Order, context: StepContext, **_: Any) -> dict[str, Any]:
        seen.append(context)
        assert current().execution_id == context.workflow_id
        return {"name": context.step_name}

    order = compiled("Order", {"name": "A", "function": look}, {"name": "B", "function": look}, state=Order)
    outcome = await run(order, {"order_id": "o-1"})
    first, second = seen
    assert (first.step_name, first.previous_step_result) == ("A", None)
    assert (second.step_name, second.previous_step_result) == ("B", {"name": "A"})
    assert first.workflow_id == first.root_workflow_id == outcome.execution_id
    assert (first.workflow_type, first.parent_workflow_id, first.loop_item, first.loop_index) == ("Order", None, None, None)


async def test_L36_the_result_is_what_result_says_with_every_value_as_data() -> None:
    order = compiled(
        "Order",
        {"name": "Price", "function": lambda state: {"amount": "2.50"}},
        state=Order,
        result={"order": "state.order_id", "total": "state.amount", "first": "{{ state.items[0].sku }}!", "fixed": 3},
    )
    found = await results(order, {"order_id": "o-1", "items": [{"sku": "A"}]})
    assert found == {"order": "o-1", "total": "2.50", "first": "A!", "fixed": 3}


async def test_initial_data_are_checked_against_the_model_and_recorded_as_given() -> None:
    order = compiled("Order", {"name": "Nothing", "function": lambda state: None}, state=Order)
    async with Remit(":memory:", processes=[order]) as app:
        with pytest.raises(InvalidInput) as caught:
            await app.start(order, {"order_id": "o-1", "items": [{"quantity": 1}]})
        assert caught.value.details["path"] == "/items/0/sku"
        execution = await app.start(order, Order(order_id="o-2", amount=Decimal("1.5")))
        assert (await execution.record()).input == {"order_id": "o-2", "amount": "1.5"}
        await execution.outcome(timeout=5)


async def test_L9_a_default_that_differs_each_time_changes_no_identity() -> None:
    class Ticket(BaseModel):
        number: str = Field(default_factory=lambda: str(uuid4()))

    ticket = compiled("Ticket", {"name": "Show", "function": lambda state: {"shown": state.number}}, state=Ticket)
    async with Remit(":memory:", processes=[ticket]) as app:
        first, second = [await app.start(ticket, {}, key="ticket-1") for _ in range(2)]
        assert first.id == second.id
        shown = (await first.outcome(timeout=5)).unwrap()["shown"]
        [entry] = [entry for entry in await app.journal(first.id) if entry.name == "initial_state"]
        assert entry.result["number"] == shown


async def test_L26_L29_a_step_tool_or_model_of_python_keeps_its_kind_and_price() -> None:
    @tool("erp.lookup", cost="0.02")
    def lookup(state: Order) -> dict[str, Any]:
        return {"stock": 7}

    @model("classifier", max_input_tokens=100, max_tokens=10, input_price="10", output_price="20")
    async def classify(state: Order, context: StepContext) -> tuple[str, Usage]:
        return "urgent", Usage(input_tokens=50, output_tokens=5)

    @step
    def count(state: Order) -> dict[str, Any]:
        return {"count": len(state.items)}

    order = compiled(
        "Order",
        {"name": "Lookup", "function": lookup},
        {"name": "Classify", "function": classify},
        {"name": "Count", "function": count},
        state=Order,
    )
    async with Remit(":memory:", processes=[order]) as app:
        execution = await app.start(order, {"order_id": "o-1"})
        outcome = await execution.outcome(timeout=5)
        assert outcome.unwrap() == {"stock": 7, "Classify": "urgent", "count": 0}
        assert (outcome.usage.own.tokens, outcome.usage.own.cost) == (55, "0.0206")
        lineage = [(entry.kind, entry.name, entry.params["step"]) for entry in await app.lineage(execution.id)]
        assert lineage == [("tool", "erp.lookup", "Lookup"), ("model", "classifier", "Classify")]
        assert (await app.lineage(execution.id))[0].params["state"]["order_id"] == "o-1"


async def test_what_cannot_be_a_step_is_refused_when_the_workflow_is_compiled() -> None:
    with pytest.raises(DefinitionError, match="takes the state first"):
        compiled("Order", {"name": "A", "function": lambda: None})
    with pytest.raises(DefinitionError, match=r"step 'A': nothing is given for|nothing is given for 'steps.missing'"):
        compiled("Order", {"name": "A", "function": "steps.missing"})
    with pytest.raises(DefinitionError, match="is no pydantic model"):
        compiled("Order", {"name": "A", "function": lambda state: None}, state=dict)

    @process("other")
    async def other() -> None: ...

    with pytest.raises(DefinitionError, match="is no function"):
        compiled("Order", {"name": "A", "function": other.definition})


@pytest.mark.parametrize("number", [2**64, -(2**70), 10**400])
async def test_L13_an_integer_beyond_64_bits_stays_exact_in_state_result_and_journal(number: int) -> None:
    seen: list[Any] = []

    def count(state: Any) -> dict[str, Any]:
        return {"number": number}

    def look(state: Any) -> None:
        seen.append(state.number)

    counted = compiled("Counted", {"name": "Count", "function": count}, {"name": "Look", "function": look})
    async with Remit(":memory:", processes=[counted]) as app:
        execution = await app.start(counted, {})
        assert (await execution.outcome(timeout=10)).unwrap() == {"number": number}
        assert (await app.journal(execution.id))[0].result == {"result": {"number": number}}
    assert seen == [number]


@pytest.mark.parametrize("raised", [GeneratorExit, KeyboardInterrupt])
async def test_L48_what_a_thread_raises_to_leave_fails_its_step_and_nothing_else(raised: type[BaseException]) -> None:
    def leave(state: Any) -> None:
        raise raised

    outcome = await run(compiled("Left", {"name": "Leave", "function": leave}), {})
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.message) == ("domain_error", f"{raised.__name__} was raised in a thread")
