"""Tenants: what is another's is not there, whichever way it is asked for (L44)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from typer.testing import CliRunner

import remit
from remit import Budget, MisuseError, Remit, Tenant, Usage, ask, call_process, charge, process, tool
from remit.cli import app as command_line
from remit.workflows import WorkflowBuilder, WorkflowStore
from tests.laws.scene import open_store, wait_until


class Approval(BaseModel):
    approved: bool


@tool("lookup")
async def look_up(sku: str) -> str:
    return sku


@process("below")
async def below(n: int) -> int:
    await look_up("a-1")
    await charge(Usage(tokens=n))
    return n


@process("asks", calls=[below])
async def asks(n: int) -> bool:
    (await call_process(below, n)).unwrap()
    return (await ask(Approval, name="ok", prompt="Ship it?")).approved


PROCESSES = [asks, below]
NOWHERE = "exec_" + "0" * 24

# What only operators do: it is about code, versions or the whole store, and takes no tenant's id.
OPERATORS = {
    "engine", "for_tenant", "host",
    "publish", "promote", "rollout", "rollback", "deprecate", "retire", "declare", "callers", "versions",
    "evaluate", "evaluations", "require_evaluation",
    "apply_policy", "policies", "remove_policy", "add_webhook", "webhooks", "remove_webhook",
    "acknowledge", "erase", "keys", "rotate_keys", "retention", "set_retention", "sweep",
    "set_department_budget", "department_budgets", "remove_department_budget",
}  # fmt: skip
# How a tenant asks for each thing that it may: what it passes beside the id.
WITH_AN_ID: dict[str, Callable[[Tenant, str], Awaitable[Any]]] = {
    "get": lambda it, x: it.get(x),
    "tree": lambda it, x: it.tree(x),
    "journal": lambda it, x: it.journal(x),
    "lineage": lambda it, x: it.lineage(x),
    "audit": lambda it, x: it.audit(execution_id=x),
    "explain_policy": lambda it, x: it.explain_policy(x),
    "outcome": lambda it, x: it.outcome(x, 1),
    "compensated": lambda it, x: it.compensated(x, 1),
    "answer": lambda it, x: it.answer(x, {"approved": True}),
    "send": lambda it, x: it.send(x, "go"),
    "cancel": lambda it, x: it.cancel(x),
    "retry": lambda it, x: it.retry(x),
    "top_up": lambda it, x: it.top_up(x, Budget(tokens=1)),
}
WITHOUT_ONE = {"start", "list", "alerts", "schedule", "schedules", "unschedule", "costs"}


def _public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_L44_whatever_an_app_does_a_tenant_does_on_its_own_part_or_only_operators_do() -> None:
    assert _public(Remit) - OPERATORS == _public(Tenant) == {*WITH_AN_ID, *WITHOUT_ONE}


def test_L44_every_method_of_a_tenant_s_that_takes_an_id_is_tried_with_another_s() -> None:
    taken = {
        name
        for name, method in inspect.getmembers(Tenant, inspect.isfunction)
        if not name.startswith("_") and {"execution_id", "root_id"} & set(list(inspect.signature(method).parameters)[:2])
    }
    assert taken == set(WITH_AN_ID)


def test_L44_every_method_of_a_tenant_s_goes_through_its_own_part() -> None:
    """Each names the tenant or looks at whose the id is, in its own few lines."""
    for name in {*WITH_AN_ID, *WITHOUT_ONE}:
        source = inspect.getsource(getattr(Tenant, name))
        assert ("self._own(" in source) if name in WITH_AN_ID else ("self.name" in source), name


async def _waiting(app: Remit, tenant: str | None) -> str:
    root = await app.start(asks, 3, key="one", tenant=tenant, budget=Budget(tokens=100))
    await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
    return root.id


async def _refusal(asked: Awaitable[Any]) -> tuple[type, str, str, dict[str, Any]]:
    with pytest.raises(MisuseError) as refused:
        await asked
    return type(refused.value), refused.value.code, str(refused.value), refused.value.details


def _anonymous(refusal: tuple[type, str, str, dict[str, Any]], execution_id: str) -> Any:
    kind, code, message, details = refusal
    told = {name: str(value).replace(execution_id, "ID") for name, value in details.items()}
    return kind, code, message.replace(execution_id, "ID"), told


@pytest.mark.parametrize("name", sorted(WITH_AN_ID))
@pytest.mark.parametrize("whose", ["globex", None])
@pytest.mark.parametrize("part", ["", ".1"])
async def test_L44_an_id_of_another_s_answers_as_an_unknown_one(name: str, whose: str | None, part: str) -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        other = await _waiting(app, whose) + part
        acme = app.for_tenant("acme")
        before = await app.tree(other)
        unknown = NOWHERE + part
        refused = [
            _anonymous(await _refusal(WITH_AN_ID[name](acme, each)), each) for each in (other, unknown)
        ]
        assert refused[0] == refused[1]
        assert refused[0][1] == "unknown_execution"
        assert await app.tree(other) == before


async def test_L44_whose_an_id_is_decides_one_query_that_reads_nothing_of_it() -> None:
    """A row of another's is not read and then refused: how large it is cannot be told by the time it takes."""
    async with Remit(":memory:", processes=PROCESSES) as app:
        other, own = await _waiting(app, "globex"), await _waiting(app, "acme")
        asked: list[tuple[str, Any]] = []
        store, rows = app.engine.store, app.engine.store._rows  # type: ignore[attr-defined]
        store._rows = lambda query, values=(): asked.append((query, values)) or rows(query, values)  # type: ignore[attr-defined]
        for execution_id in (other, NOWHERE):
            asked.clear()
            await _refusal(app.for_tenant("acme").get(execution_id))
            about_it = [each for each in asked if execution_id in each[1]]
            assert about_it == [("SELECT count(*) FROM executions WHERE id = ? AND tenant = ?", (execution_id, "acme"))]
            assert all(each in about_it or each[1] == ("tenant:acme",) for each in asked), "only its own audit chain"
        assert (await app.for_tenant("acme").get(own)).execution_id == own


async def test_L44_a_tenant_does_with_its_own_what_an_app_does() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        acme = app.for_tenant("acme")
        root = await acme.start(asks, 3, key="one", budget=Budget(tokens=100))
        again = await acme.start(asks, 3, key="one")
        assert (again.id, again.new) == (root.id, False)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        assert (await acme.get(root.id)).tenant == "acme"
        assert len((await acme.tree(root.id + ".1")).children) == 1
        assert [each.name for each in await acme.lineage(root.id)] == ["lookup"]
        assert [each.kind for each in await acme.journal(root.id)] == ["child", "ask"]
        await acme.top_up(root.id, Budget(tokens=5))
        await acme.answer(root.id, {"approved": True})
        assert (await acme.outcome(root.id, 5)).unwrap() is True
        assert (await acme.compensated(root.id, 5)).status == "COMPLETED"
        assert await acme.cancel(root.id) is False
        for act in (acme.send(root.id, "go"), acme.retry(root.id)):
            assert (await _refusal(act))[1] == "wrong_state"


async def test_L44_listings_alerts_schedules_keys_and_costs_are_a_tenant_s_own() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        ids = {tenant: await _waiting(app, tenant) for tenant in ("acme", "globex", None)}
        assert len(set(ids.values())) == 3  # one key each
        for tenant, own in ids.items():
            await app.schedule("daily", "0 9 * * *", below, 1, tenant=tenant)
            await app.top_up(own, Budget(tokens=1))
        acme = app.for_tenant("acme")
        assert {each.root_execution_id for each in await acme.list()} == {ids["acme"]}
        for narrowed in ({"root": ids["globex"]}, {"parent": ids["globex"]}, {"parent": NOWHERE}):
            assert await acme.list(**narrowed) == []
        assert [each.execution_id for each in await acme.alerts()] == [ids["acme"]]
        assert await acme.alerts(execution_id=ids["globex"]) == []
        assert [each.tenant for each in await acme.schedules()] == ["acme"]
        assert await acme.unschedule("daily") is True
        assert await acme.unschedule("daily") is False
        assert [each.tenant for each in await app.schedules()] == [None, "globex"]
        assert [(each.name, each.own.tokens) for each in await acme.costs("tenant")] == [("acme", 3)]
        (await acme.schedule("daily", "0 9 * * *", below, 1))
        assert [each.tenant for each in await acme.schedules()] == ["acme"]
        page = await acme.list(limit=1)
        assert {each.tenant for each in await app.for_tenant("globex").list(cursor=page.cursor)} <= {"globex"}


@pytest.mark.parametrize("named", [{"tenant": "globex"}, {"tenant": None}])
async def test_L44_no_argument_leads_out_of_a_tenant_s_part(named: dict[str, Any]) -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        acme = app.for_tenant("acme")
        root = await acme.start(below, 1, **named)  # type: ignore[call-overload]
        assert (await app.get(root.id)).tenant == "acme"
        for asked in (acme.list, acme.alerts, acme.schedules, acme.costs):
            with pytest.raises(TypeError, match="tenant"):
                await asked(**named)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["", 7, "x" * 501, "\ud800", None])
async def test_L44_L48_a_tenant_has_a_name(name: Any) -> None:
    async with Remit(":memory:") as app:
        with pytest.raises(remit.InvalidInput, match="tenant"):
            app.for_tenant(name)


# -- workflows --------------------------------------------------------------------------------------------------------


async def test_L44_the_store_and_the_builder_of_workflows_keep_to_a_tenant() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        other, own = await _waiting(app, "globex"), await _waiting(app, "acme")
        store, builder = WorkflowStore(app, tenant="acme"), WorkflowBuilder(app, tenant="acme")
        assert {each["root_workflow_id"] for each in await store.list_workflows()} == {own}
        assert await store.list_workflows(tenant="globex") == []
        assert await store.list_workflows(parent_workflow_id=other) == []
        assert {each["tenant"] for each in await store.list_workflows(tenant="acme")} == {"acme"}
        assert (await store.load_workflow(own))["tenant"] == "acme"
        for loading in (store.load_workflow, builder.load_workflow):
            refused = [_anonymous(await _refusal(loading(each)), each) for each in (other, NOWHERE)]
            assert refused[0] == refused[1]
            assert refused[0][1] == "unknown_execution"
        made = await builder.create_workflow("below", 1, idempotency_key="two")
        assert (await app.get(made.id)).tenant == "acme"
        assert (await _refusal(builder.create_workflow("below", 1, tenant="globex")))[1] == "cross_tenant"
        assert (await builder.load_workflow(made.id)).status == "PENDING"
        assert (await WorkflowBuilder(app).load_workflow(other)).workflow_type == "asks"


# -- the command line -------------------------------------------------------------------------------------------------

# Verbs that are about code, versions, files or the whole store.
STORE_WIDE = {
    "check", "publish", "versions", "callers", "declare", "promote", "rollout", "rollback", "deprecate", "retire",
    "backup", "restore", "migrate", "doctor", "explain", "evaluations", "require", "ack",
}  # fmt: skip


def test_L44_every_verb_that_takes_an_id_or_lists_takes_a_tenant() -> None:
    verbs = typer.main.get_command(command_line).commands  # type: ignore[attr-defined]
    narrowed = {name for name, verb in verbs.items() if any("--tenant" in each.opts for each in verb.params)}
    groups = {name for name, verb in verbs.items() if hasattr(verb, "commands")}
    assert set(verbs) - groups - narrowed == STORE_WIDE
    inner = [verb for name in groups for verb in verbs[name].commands.values()]
    by_id = [{each.name for each in verb.params} for verb in (*verbs.values(), *inner)]
    assert [names for names in by_id if "execution_id" in names and "tenant" not in names] == []


def test_L44_the_command_line_finds_nothing_of_another_s(tmp_path: Path) -> None:
    async def made() -> tuple[str, str]:
        async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
            return await _waiting(app, "globex"), await _waiting(app, "acme")

    other, own = asyncio.run(made())
    runner = CliRunner()
    place = ["--store", open_store(tmp_path), "--json"]

    def told(*arguments: str, whose: str) -> tuple[int, str]:
        ran = runner.invoke(command_line, [*arguments, "--tenant", whose, *place])
        return ran.exit_code, ran.stdout

    asked = {
        "tree": (), "show": (), "journal": (), "lineage": (), "cancel": (), "retry": (),
        "answer": ('{"approved": true}',), "send": ("go",), "top-up": ("--tokens", "1"),
    }  # fmt: skip
    for verb, more in asked.items():
        foreign, unknown = (told(verb, each, *more, whose="acme") for each in (other, NOWHERE))
        assert foreign[0] == unknown[0] == 2
        assert foreign[1].replace(other, "ID") == unknown[1].replace(NOWHERE, "ID")
        assert '"unknown_execution"' in foreign[1]
    assert told("show", own, whose="acme")[0] == 0
    assert other not in told("ps", whose="acme")[1]
    assert own in told("ps", whose="acme")[1]
    assert told("ps", "--parent", other, whose="acme")[0] == 2
    assert told("costs", "--by", "tenant", whose="acme")[1].count("globex") == 0
    assert told("answer", other, '{"approved": true}', whose="globex")[0] == 0


# -- whom a call says it is for ---------------------------------------------------------------------------------------

NAMES_ANOTHER = """
from remit.workflows import StartSubWorkflowDirective

def call(state, context):
    raise StartSubWorkflowDirective(workflow_type="below", initial_data=1, **{named})
"""
CALLING = """
workflow_type: Calling
workflow_version: "1.0.0"
calls: ["below@^1"]
steps:
  - {name: Call, type: STANDARD, function: steps.call}
"""


@pytest.mark.parametrize(
    ("named", "code"),
    [({"owner_id": "globex"}, "cross_tenant"), ({"data_region": "us"}, "region_violation"), ({"owner_id": "ann", "data_region": "eu"}, None)],
)
async def test_L44_L20_a_call_that_names_another_owner_or_region_ends_the_chain_and_is_told(
    tmp_path: Path, named: dict[str, str], code: str | None
) -> None:
    (tmp_path / "steps.py").write_text(NAMES_ANOTHER.replace("{named}", repr(named)), "utf-8")
    (tmp_path / "calling.yaml").write_text(CALLING, "utf-8")

    @process("above", calls=["Calling@^1"])
    async def above(_: int) -> str:
        outcome = await call_process("Calling", {})
        return f"handled: {outcome.status}"

    async with Remit(":memory:", processes=[above, below, str(tmp_path)]) as app:
        root = await app.start(above, 1, tenant="acme", owner="ann", region="eu")
        outcome = await root.outcome(timeout=10)
        if code is None:
            assert outcome.unwrap() == "handled: completed"
            return
        assert outcome.error is not None
        assert (outcome.error.code, str(outcome.error.error_class)) == (code, "SYSTEM")
        assert [str(each.status) for each in await app.list()] == ["FAILED", "FAILED_CHILD_WORKFLOW"]
        assert [each.tenant for each in await app.alerts(code=code)] == ["acme"]
