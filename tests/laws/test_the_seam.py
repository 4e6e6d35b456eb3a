"""Input and result are the only bridge: nothing is shared, nothing changes type, live as in replay (L13)."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, Field

from remit import DefinitionError, InvalidInput, ProcessRef, Remit, ask, call_process, current, process, step
from tests.laws.scene import every, open_store, wait_until


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Box:
    sizes: dict[str, int]
    tags: set[str] = field(default_factory=set)


class Line(BaseModel):
    sku: str
    count: int = Field(gt=0)
    price: Decimal


class Order(BaseModel):
    id: uuid.UUID
    day: date
    at: datetime
    wait: timedelta
    colour: Colour
    lines: list[Line]
    box: Box
    point: Point
    pair: tuple[int, str]
    raw: bytes
    note: str | None = None


def an_order() -> Order:
    """One of every type that crosses."""
    return Order(
        id=uuid.UUID(int=7),
        day=date(2026, 2, 28),
        at=datetime(2026, 2, 28, 12, 30, 1, 250_000, tzinfo=UTC),
        wait=timedelta(days=1, microseconds=3),
        colour=Colour.BLUE,
        lines=[Line(sku="A-1", count=2, price=Decimal("19.990"))],
        box=Box({"a": 1}, {"x", "y"}),
        point=Point(1, 2),
        pair=(1, "one"),
        raw=b"\x00\xff",
    )


seen: list[Any] = []
inside: list[Order] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()
    inside.clear()


def types_of(order: Order) -> list[str]:
    """The types in an order, by name; a value that changed type changes this list."""
    values = [order, *(getattr(order, name) for name in type(order).model_fields)]
    values += [order.lines[0], order.lines[0].price, order.box.tags, order.point.x, order.pair]
    return [type(value).__name__ for value in values]


@process("mirror")
async def mirror(order: Order) -> Order:
    inside.append(order)
    seen.append(types_of(order))
    order.lines[0].count += 1
    order.box.tags.add("from the child")
    return order


@step
async def reflect(order: Order) -> Order:
    seen.append(types_of(order))
    order.box.sizes["from the step"] = 1
    return order


async def test_L13_types_and_values_arrive_as_they_left_live_and_in_replay(tmp_path):
    lives: list[list[Order]] = []

    @process("root", calls=[mirror])
    async def root(order: Order) -> list[str]:
        by_call = (await call_process(mirror, order)).unwrap()
        by_step = await reflect(by_call)
        lives.append([order, by_call, by_step])
        await ask(bool, name="go")
        return [*types_of(order), *types_of(by_call), *types_of(by_step)]

    async with Remit(open_store(tmp_path), processes=[root, mirror]) as app:
        started = await app.start(root, an_order())
        await wait_until(app, started.id, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[root, mirror]) as app:
        await app.answer(started.id, True)
        expected = types_of(an_order())
        assert (await app.outcome(started.id, 5)).unwrap() == expected * 3
    assert seen == [expected] * 2
    assert lives[0] == lives[1]
    assert lives[0][0] == an_order()
    assert lives[0][2].box.sizes == {"a": 1, "from the step": 1}


async def test_L13_nothing_is_shared_in_either_direction():
    @process("root", calls=[mirror])
    async def root(order: Order) -> list[Any]:
        returned = (await call_process(mirror, order)).unwrap()
        again = (await call_process(mirror, order)).unwrap()
        found = [order.lines[0].count, sorted(order.box.tags), returned.lines[0].count, sorted(returned.box.tags)]
        returned.box.tags.clear()
        inside[0].lines.clear()
        return [*found, sorted(again.box.tags), len(returned.lines)]

    order = an_order()
    async with Remit(":memory:", processes=[root, mirror]) as app:
        started = await app.start(root, order)
        order.lines.clear()
        result = (await started.outcome(5)).unwrap()
        assert result == [2, ["x", "y"], 3, ["from the child", "x", "y"], ["from the child", "x", "y"], 1]
        record = (await every(app, started.id))[".1"]
        assert record.input["lines"][0]["count"] == 2
        assert record.result["lines"][0]["count"] == 3


async def test_L13_what_an_outcome_gave_can_be_changed_without_changing_what_was_recorded(tmp_path):
    @process("root", calls=[mirror])
    async def root(order: Order) -> int:
        outcome = await call_process(mirror, order)
        outcome.unwrap().lines.clear()
        await ask(bool, name="go")
        return len((await call_process(mirror, order)).unwrap().lines)

    async with Remit(open_store(tmp_path), processes=[root, mirror]) as app:
        started = await app.start(root, an_order())
        await wait_until(app, started.id, "WAITING_HUMAN_INPUT")
        assert len((await every(app, started.id))[".1"].result["lines"]) == 1
        await app.answer(started.id, True)
        assert (await started.outcome(5)).unwrap() == 1


async def test_L13_two_who_await_one_keyed_call_share_no_result():
    @process("root", calls=[mirror])
    async def root(order: Order) -> int:
        first = (await call_process(mirror, order, key="one")).unwrap()
        second = (await call_process(mirror, order, key="one")).unwrap()
        first.lines.clear()
        return len(second.lines)

    async with Remit(":memory:", processes=[root, mirror]) as app:
        assert (await (await app.start(root, an_order())).outcome(5)).unwrap() == 1


BAD_INPUTS = [
    ("text", ""),
    ({"sku": "A", "count": 0, "price": "1"}, "/count"),
    ({"sku": "A", "count": 1}, "/price"),
    ({"sku": "A", "count": 1, "price": "much"}, "/price"),
    (None, ""),
    ([], ""),
    (float("nan"), ""),
]


@process("line")
async def line(value: Line) -> str:
    seen.append(value)
    return value.sku


@pytest.mark.parametrize(("value", "path"), BAD_INPUTS, ids=repr)
async def test_L13_a_bad_input_is_invalid_input_says_where_and_never_reaches_the_callee(value, path):
    @process("root", calls=[line])
    async def root() -> list[str]:
        error = (await call_process("line", value)).error
        return [error.code, str(error.error_class), error.details["path"]] if error else ["completed"]

    async with Remit(":memory:", processes=[root, line]) as app:
        code, error_class, where = (await (await app.start(root)).outcome(5)).unwrap()
        assert (code, error_class) == ("invalid_input", "DOMAIN")
        assert where.startswith(path)
        with pytest.raises(InvalidInput):
            await app.start(line, value)
        assert len(await app.list()) == 1
    assert seen == []


BAD_RESULTS = [{"sku": "A", "count": 0, "price": "1"}, {"sku": "A"}, None, 7, object(), float("inf"), [an_order()]]


@pytest.mark.parametrize("result", BAD_RESULTS, ids=lambda each: type(each).__name__)
async def test_L13_a_wrong_result_is_a_contract_violation_found_before_the_child_completes(result):
    @process("liar")
    async def liar() -> Line:
        return result

    @process("middle", calls=[liar])
    async def middle() -> str:
        outcome = await call_process(liar)
        seen.append(outcome)
        return outcome.status

    @process("root", calls=[middle])
    async def root() -> str:
        outcome = await call_process(middle)
        seen.append(outcome)
        return outcome.status

    async with Remit(":memory:", processes=[root, middle, liar]) as app:
        started = await app.start(root)
        outcome = await started.outcome(5)
        assert (outcome.error.code, str(outcome.error.error_class)) == ("contract_violation", "SYSTEM")
        there = await every(app, started.id)
        statuses = [str(there[each].status) for each in ("", ".1", ".1.1")]
        assert statuses == ["FAILED_CHILD_WORKFLOW", "FAILED_CHILD_WORKFLOW", "FAILED"]
        assert there[".1.1"].result is None
        assert outcome.error.origin == there[".1.1"].execution_id
        assert "contract_violation" in {alert.code for alert in await app.alerts()}
    assert seen == []


async def test_L13_a_model_that_was_changed_into_something_invalid_does_not_cross():
    @process("root", calls=[line])
    async def root(value: Line) -> str:
        value.count = -5
        outcome = await call_process(line, value)
        return outcome.error.code if outcome.error else "completed"

    async with Remit(":memory:", processes=[root, line]) as app:
        started = await app.start(root, Line(sku="A", count=1, price=Decimal(1)))
        assert (await started.outcome(5)).unwrap() == "invalid_input"


class Opaque:
    """No data."""


UNFIT = [Opaque, type, "frozenset[Opaque]", list[Opaque], dict[str, Opaque], tuple[int, Opaque]]


@pytest.mark.parametrize("kind", UNFIT, ids=str)
@pytest.mark.parametrize("side", ["input", "result"])
def test_L13_types_that_do_not_round_trip_are_refused_when_the_process_is_defined(kind, side):
    async def body(value: Any) -> Any:
        return value

    body.__annotations__ = {"value": kind, "return": int} if side == "input" else {"value": int, "return": kind}
    with pytest.raises(DefinitionError) as caught:
        process("unfit")(body)
    assert "unfit" in str(caught.value)


async def test_L13_only_the_identity_of_its_caller_reaches_a_child():
    @process("reads")
    async def reads() -> list[str | None]:
        here = current()
        return [here.parent_execution_id, here.tenant, here.owner, here.region]

    @process("root", calls=[reads])
    async def root() -> list[str | None]:
        return (await call_process(reads)).unwrap()

    async with Remit(":memory:", processes=[root, reads]) as app:
        started = await app.start(root, tenant="acme", owner="sales", region="eu")
        assert (await started.outcome(5)).unwrap() == [started.id, "acme", "sales", "eu"]


async def test_L13_a_typed_reference_decodes_as_the_caller_declares():
    class Small(BaseModel):
        sku: str

    @process("root", calls=["whole"])
    async def root() -> list[str]:
        small = (await call_process(ProcessRef[str, Small]("whole@^1"), "A")).unwrap()
        plain = (await call_process("whole", "A")).unwrap()
        return [type(small).__name__, small.sku, type(plain).__name__]

    @process("whole")
    async def whole(sku: str) -> Line:
        return Line(sku=sku, count=1, price=Decimal(1))

    async with Remit(":memory:", processes=[root, whole]) as app:
        assert (await (await app.start(root)).outcome(5)).unwrap() == ["Small", "A", "Line"]
