"""What the documents that Remit was built from say of a call and no other test shows as they say it (L8, L16, L27, L44)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from remit import (
    Budget,
    DomainError,
    Remit,
    Retry,
    TransientError,
    Usage,
    call_process,
    charge,
    current,
    process,
    start_process,
    tool,
)
from tests.laws.scene import every, flatten, working

# -- one tenant, owner and region in the whole trace ------------------------------------------------------------------


@process("here")
async def here() -> list[str | None]:
    now = current()
    return [now.tenant, now.owner, now.region]


@process("between", calls=[here])
async def between() -> list[list[str | None]]:
    child = await start_process(here)
    awaited = (await call_process(here)).unwrap()
    return [awaited, (await child.outcome()).unwrap()]


@process("origin", calls=[between])
async def origin() -> list[list[str | None]]:
    return (await call_process(between)).unwrap()


@pytest.mark.parametrize("terms", [("acme", "sales", "eu"), ("globex", None, "us"), (None, None, None)])
async def test_L44_every_execution_of_a_trace_has_its_roots_tenant_owner_and_region(terms):
    tenant, owner, region = terms
    async with Remit(":memory:", processes=[origin, between, here]) as app:
        root = await app.start(origin, tenant=tenant, owner=owner, region=region)
        assert (await root.outcome(5)).unwrap() == [list(terms)] * 2
        records = flatten(await app.tree(root.id))
        assert [(each.tenant, each.owner, each.region) for each in records] == [terms] * 4


@pytest.mark.parametrize("place", [call_process, start_process])
@pytest.mark.parametrize("name", ["tenant", "owner", "region", "tenant_id", "owner_id"])
async def test_L44_no_call_has_a_parameter_that_names_another(place, name):
    @process("names_another", calls=[here])
    async def names_another() -> str:
        with pytest.raises(TypeError, match=name):
            await place(here, **{name: "globex"})
        return "refused"

    async with Remit(":memory:", processes=[names_another, here]) as app:
        root = await app.start(names_another, tenant="acme")
        assert (await root.outcome(5)).unwrap() == "refused"
        assert len(flatten(await app.tree(root.id))) == 1


# -- figure 02: the life of one governed call ---------------------------------------------------------------------------


class Request(BaseModel):
    sku: str


class Reservation(BaseModel):
    sku: str
    took: str


@tool("erp.reserve", cost="0.02")
async def reserve(sku: str) -> str:
    await asyncio.sleep(0.03)
    return sku


@process("allocation", ttl="10m")
async def allocation(request: Request) -> Reservation:
    await charge(Usage(tokens=1_200, cost="0.012"))
    return Reservation(sku=await reserve(request.sku), took=current().trace_id)


@process("ordering", calls=[allocation])
async def ordering(sku: str) -> list[Any]:
    outcome = await call_process(allocation, Request(sku=sku), estimate=2_000)
    taken = outcome.unwrap()
    assert isinstance(taken, Reservation)
    return [taken.took, outcome.execution_id, outcome.usage.subtree.tokens, outcome.usage.subtree.cost]


async def test_L8_figure_02_a_call_is_checked_leased_run_and_collected_with_its_telemetry():
    async with Remit(":memory:", processes=[ordering, allocation]) as app:
        root = await app.start(ordering, "W-1", budget=Budget(tokens=10_000))
        child = f"{root.id}.1"
        assert (await root.outcome(5)).unwrap() == [root.id, child, 1_200, "0.032"]
        record = (await every(app, root.id))[".1"]
        assert (record.parent_execution_id, record.depth, record.attempt, record.ttl_ms) == (root.id, 1, 1, 600_000)
        assert (record.input, record.result) == ({"sku": "W-1"}, {"sku": "W-1", "took": root.id})
        assert (record.usage.own.tokens, record.usage.own.cost, record.budget["reserved_tokens"]) == (1_200, "0.032", 0)
        assert record.created_at <= record.started_at < record.ended_at
        assert 30 <= record.duration_ms < 5_000
        [entry] = await app.lineage(root.id)
        assert (entry.execution_id, entry.name, entry.params, entry.result) == (child, "erp.reserve", {"sku": "W-1"}, "W-1")
        assert await app.alerts() == []


# -- the class of an error is all a parent needs to know ----------------------------------------------------------------


@process("ends", retry=Retry(attempts=2, first=0.001))
async def ends(how: str) -> str:
    if how == "transient":
        raise TransientError("the line is down")
    if how == "domain":
        raise DomainError("No stock left", code="out_of_stock")
    if how == "hangs":
        await working(30)
    return how


async def test_L16_a_parent_decides_by_class_and_code_without_looking_into_its_child():
    @process("decides", calls=[ends])
    async def decides(how: str) -> str:
        outcome = await call_process(ends, how, ttl="200ms")
        match outcome.status, outcome.error and outcome.error.error_class, outcome.error and outcome.error.code:
            case "completed", None, None:
                return "go on"
            case "failed", "DOMAIN", "out_of_stock":
                return "back order"
            case "failed", "DOMAIN", "retries_exhausted":
                return "call the supplier"
            case "timed_out", "DOMAIN", "lease_expired":
                return "ask again tomorrow"
            case other:
                return f"no idea: {other}"

    expected = {
        "completes": "go on",
        "domain": "back order",
        "transient": "call the supplier",
        "hangs": "ask again tomorrow",
    }
    async with Remit(":memory:", processes=[decides, ends]) as app:
        roots = {how: await app.start(decides, how) for how in expected}
        assert {how: (await root.outcome(5)).unwrap() for how, root in roots.items()} == expected


# -- twelve children, one bill ------------------------------------------------------------------------------------------


async def test_L27_what_twelve_children_cost_is_on_the_bill_of_the_one_that_caused_it():
    @process("part")
    async def part(number: int) -> None:
        await charge(Usage(tokens=number, cost=f"0.0{number:02}"))
        if number == 12:
            raise DomainError("spent for nothing")

    @process("pipeline", calls=[part])
    async def pipeline() -> int:
        outcomes = [await call_process(part, number) for number in range(1, 13)]
        return sum(outcome.ok for outcome in outcomes)

    async with Remit(":memory:", processes=[pipeline, part]) as app:
        root = await app.start(pipeline)
        outcome = await root.outcome(5)
        assert outcome.unwrap() == 11
        assert (outcome.usage.own.tokens, outcome.usage.subtree.tokens) == (0, sum(range(1, 13)))
        assert outcome.usage.subtree.cost == "0.078"


# -- status polling instead of depth ------------------------------------------------------------------------------------


async def test_L14_a_flat_parent_polls_what_it_started_instead_of_nesting():
    @process("stage")
    async def stage(seconds: float) -> float:
        await working(seconds)
        return seconds

    @process("flat", calls=[stage])
    async def flat() -> list[str]:
        children = [await start_process(stage, seconds) for seconds in (0.02, 0.04)]
        seen = [[str(await child.status()) for child in children]]
        while seen[-1] != ["COMPLETED"] * 2:
            await working(0.01)
            seen.append([str(await child.status()) for child in children])
        assert {status for statuses in seen for status in statuses} <= {"PENDING", "ACTIVE", "COMPLETED"}
        return seen[-1]

    async with Remit(":memory:", processes=[flat, stage]) as app:
        root = await app.start(flat)
        assert (await root.outcome(5)).unwrap() == ["COMPLETED"] * 2
        assert [each.depth for each in flatten(await app.tree(root.id))] == [0, 1, 1]
