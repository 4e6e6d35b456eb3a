"""Costs: every charge belongs to whoever used it and to whoever caused it, and both bills add up (L31)."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import remit
from remit import Budget, CostView, InvalidInput, Remit, Usage, call_process, charge, model, process, tool
from remit.testing import TestApp
from tests.laws.scene import flatten, look_at, open_store

MIGRATIONS = Path(remit.__file__).parent / "store" / "migrations" / "sqlite"


def bills(found: list[CostView]) -> dict[str | None, tuple[int, int]]:
    """Own and caused tokens by name."""
    return {each.name: (each.own.tokens, each.caused.tokens) for each in found}


@model("m-large", max_input_tokens=30_000, max_tokens=0)
async def think(tokens: int) -> tuple[str, Usage]:
    return "thought", Usage(tokens=tokens, cost=f"{tokens / 100_000:.3f}")


@tool("lookup", cost="0.161")
async def look_up(tokens: int) -> str:
    await asyncio.sleep(0)
    return "found"


@process("model-call", department="research")
async def model_call(tokens: int) -> str:
    return (await think(tokens))[0]


@process("tool-invoke", department="platform")
async def tool_invoke(tokens: int) -> str:
    found = await look_up(tokens)
    await charge(Usage(tokens=tokens))
    return found


@process("data-fetch", department="research")
async def data_fetch(tokens: int) -> None:
    await charge(Usage(tokens=tokens, cost="0.124"))


@process("transform", department="platform", calls=[model_call, tool_invoke])
async def transform(_: int) -> None:
    (await call_process(model_call, 22_100)).unwrap()
    (await call_process(tool_invoke, 16_100)).unwrap()


@process("validate", department="research")
async def validate(tokens: int) -> None:
    await charge(Usage(tokens=tokens, cost="0.341"))


@process("report", department="finance", calls=[data_fetch, transform, validate])
async def report(_: int) -> None:
    (await call_process(data_fetch, 12_400)).unwrap()
    (await call_process(transform, 0)).unwrap()
    (await call_process(validate, 34_100)).unwrap()


FIGURE_03 = [report, data_fetch, transform, validate, model_call, tool_invoke]


async def test_L31_figure_03_by_department_process_tenant_and_model(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=FIGURE_03) as app:
        root = await app.start(report, 0, tenant="acme", budget=Budget(tokens=100_000))
        assert (await root.outcome(timeout=10)).usage.subtree == Usage(84_700, cost="0.847")
        by_department = await app.costs()
        assert bills(by_department) == {
            "finance": (0, 84_700), "platform": (16_100, 0), "research": (12_400 + 22_100 + 34_100, 0),
        }  # fmt: skip
        assert [each.own.cost for each in by_department] == ["0.00", "0.161", "0.686"]
        assert by_department[0].caused.cost == "0.847"
        assert bills(await app.costs("tenant")) == {"acme": (84_700, 84_700)}
        assert bills(await app.costs("process"))["model-call"] == (22_100, 0)
        assert bills(await app.costs("version"))["report@1.0.0"] == (0, 84_700)
        assert bills(await app.costs("model")) == {None: (62_600, 62_600), "m-large": (22_100, 22_100)}
        assert await app.costs(tenant="globex") == []
        days = look_at(tmp_path, "SELECT DISTINCT day FROM usage")
        assert days == [(int(datetime.now(UTC).timestamp() // 86_400),)]
    async with Remit(open_store(tmp_path)) as app:
        assert await app.costs() == by_department


async def test_L31_an_execution_that_used_nothing_writes_no_row(tmp_path: Path) -> None:
    @process
    async def idle(n: int) -> int:
        return n

    async with Remit(open_store(tmp_path), processes=[idle]) as app:
        assert (await (await app.start(idle, 1)).outcome(timeout=5)).ok
        assert look_at(tmp_path, "SELECT count(*) FROM usage") == [(0,)]


async def test_L31_costs_are_narrowed_to_days_and_tenants() -> None:
    async with TestApp([data_fetch]) as app:
        today = app.clock.date().date()
        for tenant in ("acme", None, "globex"):
            await app.run(data_fetch, 100, tenant=tenant)
            await app.clock.advance("1d")
        found = [
            bills(await app.costs("tenant", since=today, until=today + timedelta(days=1))),
            bills(await app.costs("tenant", since=today + timedelta(days=1))),
            bills(await app.costs("tenant", until=today + timedelta(days=1))),
            bills(await app.for_tenant("acme").costs("tenant")),
        ]
        assert found == [
            {"acme": (100, 100)},
            {None: (100, 100), "globex": (100, 100)},
            {"acme": (100, 100)},
            {"acme": (100, 100)},
        ]
        midnight = datetime.combine(today, datetime.min.time(), UTC)
        assert await app.costs(since=midnight) == await app.costs(since=today)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"by": "owner"}, "by='owner': give one of department, tenant, process, version, model"),
        ({"since": datetime(2026, 11, 21, 9, tzinfo=UTC)}, "usage is kept by days in UTC"),
        ({"until": datetime(2026, 11, 21)}, "usage is kept by days in UTC"),  # noqa: DTZ001
        ({"since": "2026-11-21"}, "give a date"),
        ({"tenant": ""}, "tenant"),
    ],
)
async def test_L31_what_cannot_be_asked_is_said_so(terms: dict[str, Any], said: str) -> None:
    async with Remit(":memory:") as app:
        with pytest.raises(InvalidInput, match=said):
            await app.costs(**terms)


# -- whatever the trees are like --------------------------------------------------------------------------------------

def _trees(levels: int) -> st.SearchStrategy[Any]:
    below = st.lists(_trees(levels - 1), max_size=2) if levels else st.just([])
    return st.tuples(st.integers(0, 2), st.integers(0, 50), st.sampled_from(["ok", "fails"]), below)


def _worker(number: int) -> Any:
    @process(f"worker-{number}", department=f"d{number % 2}" if number else None, calls=["worker-*"])
    async def worker(plan: list[Any]) -> None:
        _, used, ends, below = plan
        calls = [call_process(f"worker-{each[0]}", each, key=str(n)) for n, each in enumerate(below)]
        assert {each.status for each in await asyncio.gather(*calls)} <= {"completed", "failed"}
        if used:
            await charge(Usage(tokens=used, cost=f"0.{used:06d}"))
        if ends == "fails":
            raise ValueError(ends)

    return worker


WORKERS = [_worker(number) for number in range(15)]


def _plain(tree: Any, level: int = 0) -> list[Any]:
    number, used, ends, below = tree
    return [number + 3 * level, used, ends, [_plain(each, level + 1) for each in below]]


@settings(max_examples=15, deadline=None)
@given(st.lists(_trees(4), min_size=1, max_size=3))
def test_L31_L27_the_sums_of_both_bills_are_the_ledgers_of_the_roots(trees: list[Any]) -> None:
    async def go() -> None:
        async with Remit(":memory:", processes=WORKERS) as app:
            roots = [await app.start(f"worker-{each[0]}", _plain(each), tenant=f"t{n % 2}") for n, each in enumerate(trees)]
            for root in roots:
                await root.outcome(timeout=10)
            records = [record for root in roots for record in flatten(await app.tree(root.id))]
            ledgers = [(await app.get(root.id)).usage.subtree for root in roots]
            for by in ("department", "process", "version", "tenant", "model"):
                found = await app.costs(by)
                for side in ("own", "caused"):
                    sides = [getattr(each, side) for each in found]
                    assert sum(each.tokens for each in sides) == sum(each.tokens for each in ledgers)
                    assert _micros(sides) == _micros(ledgers)
            by_department: dict[str | None, int] = {}
            for record in records:
                by_department[record.department] = by_department.get(record.department, 0) + record.usage.own.tokens
            own = {each.name: each.own.tokens for each in await app.costs()}
            assert {name: used for name, used in by_department.items() if used} == {
                name: used for name, used in own.items() if used
            }

    asyncio.run(go())


def _micros(usages: list[Usage]) -> int:
    return sum(round(float(each.cost) * 1_000_000) for each in usages)


async def _billed(directory: Path) -> list[CostView]:
    async with Remit(open_store(directory), processes=FIGURE_03) as app:
        for _ in range(2):
            await (await app.start(report, 0, tenant="acme")).outcome(timeout=10)
        return await app.costs("model")


def _change(directory: Path, statement: str) -> None:
    connection = apsw.Connection(str(directory / "remit.db"))
    connection.execute(statement)
    connection.close()


async def test_L31_rows_outlive_the_executions_they_tell_of(tmp_path: Path) -> None:
    before = await _billed(tmp_path)
    _change(tmp_path, "DELETE FROM executions; DELETE FROM journal")
    async with Remit(open_store(tmp_path)) as app:
        assert await app.list() == []
        assert await app.costs("model", since=date(2020, 1, 1)) == before


async def test_L31_what_was_used_before_there_were_such_rows_is_billed_too(tmp_path: Path) -> None:
    before = await _billed(tmp_path)
    (migration,) = MIGRATIONS.glob("*_costs.sql")
    _, insert = migration.read_text("utf-8").split("INSERT INTO usage")
    _change(tmp_path, "DELETE FROM usage; INSERT INTO usage" + insert)
    async with Remit(open_store(tmp_path)) as app:
        assert await app.costs("model") == before
        assert bills(await app.costs()) == {"finance": (0, 169_400), "platform": (32_200, 0), "research": (137_200, 0)}
