"""The audit log: what is in it, in the commit of what it tells of, and nothing but digests (L49)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

import remit
from remit import (
    Budget,
    DomainError,
    InvalidInput,
    MisuseError,
    Remit,
    RemitError,
    Retry,
    StoreError,
    TransientError,
    Usage,
    ask,
    call_process,
    current,
    model,
    process,
    start_process,
    step,
    tool,
)
from remit.durable import wait_event
from remit.engine.values.seam import digest
from remit.kernel.audit import beginning_of
from remit.kernel.audit import findings as faults_of
from tests.laws.registry_scene import caller, child
from tests.laws.scene import look_at, open_store, wait_until

SECRET = "4111-swordfish"


@tool("desk.look_up", cost="0.002")
async def look_up(name: str) -> str:
    if name == "nobody":
        raise DomainError("no such name", code="not_found")
    return f"{name} is {SECRET}"


@model("small", max_input_tokens=100, max_tokens=50)
async def think(question: str) -> tuple[str, Usage]:
    return SECRET, Usage(input_tokens=60, output_tokens=20)


@step
async def plain(n: int) -> int:
    return n


@process("leaf")
async def leaf(n: int) -> int:
    return await plain(n)


@process("tools")
async def tools(name: str) -> str:
    found, (thought, _) = await look_up(name), await think(name)
    return found + thought


@process("branch", calls=[leaf, tools])
async def branch(n: int) -> int:
    await start_process(leaf, n)
    return (await call_process(leaf, n)).unwrap()


@process("stray", calls=[leaf])
async def stray(n: int) -> str:
    return str((await call_process("tools", SECRET)).status)


@process("bad")
async def bad(n: int) -> int:
    raise DomainError("no", code="nothing_doing")


@process("torn", calls=[leaf])
async def torn(n: int) -> int:
    return "no number"


@process("above", calls=[torn])
async def above(n: int) -> int:
    return (await call_process(torn, n)).unwrap()


_stumbled: set[str] = set()


@process("clumsy", retry=Retry(attempts=2, first=0.001))
async def clumsy(n: int) -> int:
    if current().execution_id not in _stumbled:
        _stumbled.add(current().execution_id)
        raise TransientError("stumbled")
    return n


@process("long", ttl="30ms")
async def long(n: int) -> int:
    await asyncio.sleep(5)
    return n


@process("asking")
async def asking(n: int) -> str:
    return await ask(str, name="well", prompt="Well?")


@process("hasty")
async def hasty(n: int) -> str:
    return await ask(str, name="well", prompt="Well?", timeout="1ms", on_timeout="no")


@process("listening")
async def listening(n: int) -> Any:
    return await wait_event("word")


@process("spending")
async def spending(n: int) -> str:
    return await look_up("ann")


PROCESSES = [leaf, tools, branch, stray, bad, torn, above, clumsy, long, asking, hasty, listening, spending]


async def kinds(app: Remit, root: str) -> list[tuple[str, str]]:
    """The entries of a trace: what happened, and to what below the root."""
    return [(each.kind, (each.execution_id or "")[len(root) :]) for each in await app.audit(execution_id=root)]


async def ended(app: Remit, target: Any, value: Any, **terms: Any) -> str:
    execution = await app.start(target, value, **terms)
    await execution.outcome(timeout=10)
    return execution.id


async def _answered(app: Remit) -> str:
    execution = await app.start(asking, 1)
    await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
    await app.answer(execution.id, SECRET, by="dana")
    await execution.outcome(timeout=10)
    return execution.id


async def _sent(app: Remit) -> str:
    execution = await app.start(listening, 1)
    await app.send(execution.id, "word", SECRET, dedupe="one", by="dana")
    await app.send(execution.id, "word", SECRET, dedupe="one", by="dana")
    await execution.outcome(timeout=10)
    return execution.id


async def _cancelled(app: Remit) -> str:
    execution = await app.start(listening, 1)
    await app.cancel(execution.id, by="dana")
    await app.cancel(execution.id, by="dana")
    return execution.id


async def _retried(app: Remit) -> str:
    root = await ended(app, bad, 1)
    await app.retry(root, by="dana")
    await app.outcome(root, timeout=10)
    return root


async def _topped_up(app: Remit) -> str:
    budget = Budget(cost="0.001", on_exhausted="suspend")
    execution = await app.start(spending, 1, budget=budget)
    await wait_until(app, execution.id, "PAUSED")
    await app.top_up(execution.id, Budget(cost="1.00"), by="dana")
    await execution.outcome(timeout=10)
    return execution.id


def after(target: Any, value: Any = 1, **terms: Any) -> Callable[[Remit], Awaitable[str]]:
    return lambda app: ended(app, target, value, **terms)


ACTS: dict[str, tuple[Callable[[Remit], Awaitable[str]], list[tuple[str, str]]]] = {
    "roots and children": (
        after(branch),
        [("admitted", ""), ("admitted", ".1"), ("admitted", ".2"), ("completed", "")],
    ),
    "tools and models": (
        after(tools, "ann"),
        [("admitted", ""), ("tool.called", ""), ("tool.returned", ""), ("model.called", ""), ("model.returned", ""),
         ("completed", "")],
    ),
    "a tool that fails": (
        after(tools, "nobody"), [("admitted", ""), ("tool.called", ""), ("tool.returned", ""), ("failed", "")]
    ),
    "rejections": (after(stray), [("admitted", ""), ("rejected", ""), ("completed", "")]),
    "failures": (after(bad), [("admitted", ""), ("failed", "")]),
    "aborts": (after(above), [("admitted", ""), ("admitted", ".1"), ("aborted", ".1"), ("aborted", "")]),
    "attempts": (after(clumsy), [("admitted", ""), ("retried", ""), ("completed", "")]),
    "expiries": (after(long), [("admitted", ""), ("expired", "")]),
    "asks that nobody answers": (after(hasty), [("admitted", ""), ("unanswered", ""), ("completed", "")]),
    "answers": (_answered, [("admitted", ""), ("answered", ""), ("completed", "")]),
    "events": (_sent, [("admitted", ""), ("sent", ""), ("completed", "")]),
    "cancels": (_cancelled, [("admitted", ""), ("cancel.ordered", ""), ("cancelled", "")]),
    "retries": (
        _retried, [("admitted", ""), ("failed", ""), ("retry.ordered", ""), ("failed", "")]
    ),
    "a budget that is exhausted, and topped up": (
        _topped_up,
        [("admitted", ""), ("topped_up", ""), ("tool.called", ""), ("tool.returned", ""), ("completed", "")],
    ),
    "a tool that nothing is left for": (
        after(spending, budget=Budget(cost="0.001")), [("admitted", ""), ("tool.refused", ""), ("failed", "")]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTS)
async def test_L49_what_is_done_in_a_trace_is_in_its_chain(name: str, tmp_path: Path) -> None:
    act, expected = ACTS[name]
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        root = await act(app)
        assert await kinds(app, root) == expected
        by_people = [each for each in await app.audit(execution_id=root) if each.kind in _PEOPLES]
        assert all(each.actor == "dana" for each in by_people)
        store = app.engine.store
        rows = store.audit_entries(root)
        assert faults_of(root, rows, beginning_of(store.audit_id())) == []
    told = str(look_at(tmp_path, "SELECT * FROM audit"))
    assert SECRET not in told, "digests, and no payload"
    assert digest(f'"{SECRET}"'.encode()).hex() not in told, "and none that a guess can be checked against (L53)"


_PEOPLES = frozenset({"answered", "sent", "cancel.ordered", "retry.ordered", "topped_up"})


async def test_L49_entries_hold_digests_of_what_crossed_and_what_was_used() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        terms = {"owner": "ann", "tenant": "acme", "region": "eu", "budget": Budget(tokens=1_000, cost="1.00")}
        root = await ended(app, tools, "bob", **terms)
        admitted, called, returned, _, thought, completed = await app.audit(execution_id=root)
        mark = app.engine.audit.mark
    assert (admitted.actor, admitted.execution_id) == ("ann", root)
    assert admitted.details == {
        "process": "tools", "version": "1.0.0", "input": mark("acme", digest(b'"bob"')), "tenant": "acme", "region": "eu",
        "limit_tokens": 1_000, "limit_cost": "1.00",
    }  # fmt: skip
    assert called.details["params"] == mark("acme", digest(b'{"name":"bob"}'))
    assert returned.details["result"] == mark("acme", digest(f'"bob is {SECRET}"'.encode()))
    assert (called.details["name"], called.details["position"]) == ("desk.look_up", 0)
    assert (returned.details["usage"], thought.details["usage"]["tokens"]) == ({"tokens": 0, "cost": "0.002"}, 80)
    assert completed.details == {"result": mark("acme", digest(f'"bob is {SECRET}{SECRET}"'.encode()))}


async def test_L49_what_is_done_to_versions_is_in_the_chain_of_control() -> None:
    two, three, order = child("2.0.0"), child("2.1.0"), caller("order")
    async with Remit(":memory:", processes=[order, two, three]) as app:
        await app.publish(two, three, order, by="ann")
        await app.publish(two, by="ann")
        await app.promote("inventory@2.0.0", by="bob")
        await app.rollout("inventory@2.1.0", to=["order"], by="cat")
        await app.rollback("inventory@2.1.0", by="dan")
        await app.declare("order@1.0.0", with_="inventory@3", by="eve")
        await app.deprecate("inventory@2.0.0", by="fay")
        await app.retire("inventory@2.1.0", by="gil")
        with pytest.raises(MisuseError):
            await app.promote("inventory@2.1.0", by="hal")
        with pytest.raises(MisuseError):
            await app.publish(child("2.0.0", dict))
        told = await app.audit(tenant="")
    assert [(each.kind, each.actor, each.details.get("version")) for each in told] == [
        ("published", "ann", "2.1.0"), ("published", "ann", "2.0.0"), ("published", "ann", "1.0.0"),
        ("promoted", "bob", "2.0.0"), ("rolled_out", "cat", "2.1.0"), ("rolled_back", "dan", "2.1.0"),
        ("declared", "eve", "1.0.0"), ("deprecated", "fay", "2.0.0"), ("retired", "gil", "2.1.0"),
        ("refused", "hal", None), ("refused", None, None),
    ]  # fmt: skip
    assert told[-2].details == {"act": "promote", "what": "inventory@2.1.0", "code": "wrong_state"}
    assert told[-1].details == {"act": "publish", "what": ["inventory@2.0.0"], "code": "version_exists"}


async def test_L49_a_root_that_is_refused_is_in_its_tenant_s_chain() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        with pytest.raises(InvalidInput):
            await app.start(leaf, "no number", tenant="acme", owner="ann")
        with pytest.raises(MisuseError):
            await app.start("nothing", tenant="acme")
        refused = await app.audit(tenant="acme", kind="refused")
        assert [(each.actor, each.details) for each in refused] == [
            ("ann", {"act": "start", "what": "leaf", "code": "invalid_input"}),
            (None, {"act": "start", "what": "nothing", "code": "unknown_process"}),
        ]
        assert await app.audit(tenant="") == []


async def test_L49_an_entry_that_cannot_be_asked_for_so_is_refused() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        for asked in ({"execution_id": "x"}, {"tenant": "a", "execution_id": "exec_" + "0" * 24}, {"limit": 0}):
            with pytest.raises(MisuseError):
                await app.audit(**asked)


async def test_L49_an_entry_is_in_the_commit_of_what_it_tells_of(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        store, commit, seen = app.engine.store, app.engine.store.commit, list[tuple[set[str], set[str]]]()

        def watched(batch: Any) -> None:
            created = {record.id for record in batch.created.values()}
            seen.append((created, {row.execution for row in batch.audit if row.kind == "admitted"}))
            commit(batch)

        store.commit = watched  # type: ignore[method-assign]
        root = await ended(app, branch, 1)
        store.commit = commit  # type: ignore[method-assign]
    assert all(created == admitted for created, admitted in seen)
    assert set().union(*(created for created, _ in seen)) == {root, f"{root}.1", f"{root}.2"}


async def test_L23_L49_a_former_owner_s_entry_is_refused(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        root = await ended(app, leaf, 1)
        before = await kinds(app, root)
        taking = apsw.Connection(str(tmp_path / "remit.db"))
        taking.execute("UPDATE ownership SET epoch = epoch + 1")
        taking.close()
        app.engine.audit.entry(root, "answered", {}, "mallory")
        with pytest.raises(StoreError, match="refused"):
            await app.engine.durability.barrier()
        assert look_at(tmp_path, "SELECT kind FROM audit WHERE chain = ?", root) == [(kind,) for kind, _ in before]


async def test_L49_a_trace_that_left_memory_goes_on_with_its_chain(tmp_path: Path) -> None:
    for _ in range(2):
        async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
            if not look_at(tmp_path, "SELECT 1 FROM executions"):
                execution = await app.start(listening, 1)
                await wait_until(app, execution.id, "PENDING_ASYNC")
            else:
                root = look_at(tmp_path, "SELECT id FROM executions")[0][0]
                await app.send(root, "word", "go")
                await app.outcome(root, timeout=10)
                assert await kinds(app, root) == [("admitted", ""), ("sent", ""), ("completed", "")]
                rows = app.engine.store.audit_entries(root)
                assert faults_of(root, rows, beginning_of(app.engine.store.audit_id())) == []


async def test_L49_a_chain_whose_last_entry_is_not_durable_yet_goes_on_from_it() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        root = await ended(app, leaf, 1)
        app.engine.audit.entry(root, "one", {})
        app.engine.audit.forget(root)
        app.engine.audit.entry(root, "two", {})
        assert [kind for kind, _ in await kinds(app, root)] == ["admitted", "completed", "one", "two"]
        rows = app.engine.store.audit_entries(root)
        assert faults_of(root, rows, beginning_of(app.engine.store.audit_id())) == []


async def test_L49_a_store_that_is_migrated_begins_its_log_then(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        await ended(app, leaf, 1)
    old = apsw.Connection(str(tmp_path / "remit.db"))
    old.execute("DROP TABLE audit; DROP TABLE audit_store")
    script = next(Path(remit.__file__).parent.glob("store/migrations/sqlite/*_audit.sql")).read_text()
    old.execute(script)
    old.close()
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        assert app.engine.store.unaudited() == []
        await ended(app, leaf, 2)
        assert app.engine.store.unaudited() == []


async def test_L49_the_code_of_an_author_s_error_may_be_any_text() -> None:
    @process("half")
    async def half(n: int) -> int:
        raise DomainError("no", code="half \ud800")

    async with Remit(":memory:", processes=[half]) as app:
        root = await ended(app, half, 1)
        assert (await app.audit(execution_id=root))[-1].details["code"] == "half ?"


async def test_L44_L49_a_tenant_reads_its_own_log_and_what_it_was_denied_is_in_it() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        other = await ended(app, leaf, 1, tenant="other")
        mine = app.for_tenant("mine")
        own = await mine.start(leaf, 1)
        await own.outcome(timeout=10)
        assert [each.kind for each in await mine.audit(execution_id=own.id)] == ["admitted", "completed"]
        for reading in (mine.audit(execution_id=other), mine.get(other), mine.cancel(other, by="mallory")):
            with pytest.raises(MisuseError):
                await reading
        denied = await mine.audit()
        assert [(each.kind, each.details["what"]) for each in denied] == [("refused", other)] * 3
        assert "refused" not in [each.kind for each in await app.audit(execution_id=other)]


async def test_L49_what_operators_are_refused_is_in_the_chain_that_it_was_about() -> None:
    nowhere = "exec_" + "0" * 24
    async with Remit(":memory:", processes=PROCESSES) as app:
        root = await ended(app, leaf, 1)
        with pytest.raises(MisuseError):
            await app.retry(root, by="mallory")
        with pytest.raises(MisuseError):
            await app.answer(nowhere, 1, by="mallory")
        with pytest.raises(MisuseError):
            await app.cancel("no id \ud800")
        (told,) = await app.audit(execution_id=root, kind="refused")
        assert (told.actor, told.details) == ("mallory", {"act": "retry", "what": root, "code": "wrong_state"})
        elsewhere = await app.audit(tenant="", kind="refused")
        assert [(each.actor, each.details["what"]) for each in elsewhere] == [("mallory", nowhere), (None, "no id ?")]


async def test_L49_what_is_done_to_policies_is_in_the_chain_of_control() -> None:
    text = "policy: careful\nversion: 1.0.0\nlimits:\n  depth: 3\n"
    async with Remit(":memory:", processes=PROCESSES) as app:
        await app.apply_policy(text, by="ann")
        await app.remove_policy("careful", by="bob")
        with pytest.raises(RemitError):
            await app.remove_policy("careful", by="cat")
        told = await app.audit(tenant="")
    assert [(each.kind, each.actor) for each in told] == [
        ("policy_applied", "ann"), ("policy_removed", "bob"), ("refused", "cat")
    ]  # fmt: skip


async def test_L49_whoever_reads_payloads_is_in_the_log_before_they_get_them(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        root = await ended(app, tools, "ann", tenant="acme")
        for reading in (app.get, app.tree, app.journal, app.for_tenant("acme").lineage):
            before = len(look_at(tmp_path, "SELECT 1 FROM audit WHERE kind = 'read'"))
            await reading(root, by="dana")
            assert len(look_at(tmp_path, "SELECT 1 FROM audit WHERE kind = 'read'")) == before + 1
        await app.get(root)
        read = await app.audit(execution_id=root, kind="read")
        assert [(each.actor, each.details["what"]) for each in read] == [
            ("dana", what) for what in ("get", "tree", "journal", "lineage")
        ]
        with pytest.raises(MisuseError):
            await app.get("exec_" + "0" * 24, by="mallory")
        (refused,) = await app.audit(tenant="", kind="refused")
        assert (refused.actor, refused.details["act"]) == ("mallory", "get")


async def test_L49_a_listing_is_in_the_chain_of_each_tenant_that_it_shows(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        first, second = [await ended(app, bad, 1, tenant="acme") for _ in range(2)]
        other = await ended(app, bad, 1, tenant="globex")
        nobody = await ended(app, bad, 1)
        assert len(await app.list()) == 4
        assert look_at(tmp_path, "SELECT 1 FROM audit WHERE kind = 'read'") == []
        assert len(await app.list(by="dana")) == 4
        durable = look_at(tmp_path, "SELECT chain, actor, details FROM audit WHERE kind = 'read' ORDER BY chain")
        assert [(chain, actor, orjson.loads(details)) for chain, actor, details in durable] == [
            (chain, "dana", {"what": "list", "shown": shown, "newest": newest, "oldest": oldest})
            for chain, shown, newest, oldest in (
                ("tenant:", 1, nobody, nobody), ("tenant:acme", 2, second, first), ("tenant:globex", 1, other, other)
            )
        ]  # fmt: skip
        own = app.for_tenant("acme")
        alerts = await own.alerts(by="erin")
        await own.list(by="erin", limit=1)
        assert await own.list(status="ACTIVE", by="erin") == []  # nothing was shown
        read = [each.details for each in await own.audit(kind="read") if each.actor == "erin"]
    assert read == [
        {"what": "alerts", "shown": len(alerts), "newest": alerts[0].id, "oldest": alerts[-1].id},
        {"what": "list", "shown": 1, "newest": second, "oldest": second},
    ]


async def test_L49_L53_what_is_done_to_what_is_kept_is_in_the_tenant_s_chain() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        await ended(app, bad, 1, tenant="acme")
        (alert,) = await app.alerts()
        await app.acknowledge(alert.id, by="ann")
        await app.set_retention("acme", "1d", by="bob")
        await app.erase("acme", by="cat")
        with pytest.raises(MisuseError):
            await app.acknowledge(99, by="dan")
        told = await app.audit(tenant="acme")
        (refused,) = await app.audit(tenant="", kind="refused")
    assert [(each.kind, each.actor) for each in told] == [
        ("alert_acknowledged", "ann"), ("retention_set", "bob"), ("erasure_begun", "cat"), ("tenant_erased", "cat")
    ]  # fmt: skip
    assert (refused.actor, refused.details) == ("dan", {"act": "acknowledge", "what": "99", "code": "unknown_alert"})
