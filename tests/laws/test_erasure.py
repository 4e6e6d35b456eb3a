"""Erasure: after it no file of the store, of its keys or of a backup holds a copy of what a tenant's executions worked on (L53)."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from remit import (
    DomainError,
    InvalidInput,
    Keyring,
    MisuseError,
    Remit,
    StoreError,
    TransientError,
    ask,
    call_process,
    process,
    set_progress,
    start_process,
    step,
    tool,
)  # fmt: skip
from remit.cli.backup import backup
from remit.control import custody
from remit.control.client import Client
from remit.durable import uuid4, wait_event
from remit.engine import keeping
from remit.engine.values.seam import digest
from remit.kernel.audit import beginning_of, findings
from remit.kernel.retry import Retry
from tests.laws.scene import flatten, look_at, open_store, until, wait_until
from tests.workflows.http_server import answer, serving

CANARY = "canary-4be1"
LONG = CANARY + "-long-" + "-".join(f"{CANARY}.{number}" for number in range(2_000))  # a value over some ten pages
Made = Callable[[], Remit]


async def take_back(result: str | None, text: str) -> str:
    return f"taken back {text}"


@step(compensate=take_back)
async def booked(text: str) -> str:
    return f"booked {text}"


@tool("look-up", cost="0.01")
async def look_up(text: str) -> dict[str, str]:
    return {"found": text}


tries = itertools.count()


@step
async def shaky(text: str) -> str:
    if next(tries) % 2 == 0:
        raise TransientError(f"try again with {text}")
    return text


@process("refuses")
async def refuses(text: str) -> str:
    raise DomainError(f"cannot do {text}", why=text)


@process("async_one")
async def async_one(text: str) -> str:
    raise ValueError(f"an async one fails over {text}")


@process("saga", saga=True)
async def saga(text: str) -> str:
    await booked(text)
    raise DomainError(f"after {text}", argument=text)


@process("everything", calls=[refuses, async_one, saga], retry=Retry(attempts=4, first=0))
async def everything(text: str) -> dict[str, str]:
    set_progress({"now at": text})
    set_progress({"then at": LONG})
    await shaky(text)
    found = await look_up(LONG)
    assert not (await call_process(refuses, text, key=f"key {text}")).ok
    assert not (await call_process(saga, text)).ok
    assert not (await call_process("nowhere", {"rejected": text})).ok
    await start_process(async_one, text)
    answer = await ask(dict[str, str], name="sure", prompt=f"Sure of {text}?", to=f"role:{text}")
    event = await wait_event("go", timeout="1h")
    return {"found": str(found), "answer": str(answer), "event": str(event), "id": str(await uuid4())}


def files_with(directory: Path, word: bytes = CANARY.encode()) -> list[str]:
    """Names of the files, at whatever depth, in which the word stands."""
    return sorted(path.name for path in directory.rglob("*") if path.is_file() and word in path.read_bytes())


def app_on(directory: Path, *, encrypted: bool) -> Remit:
    """An app on the store in a directory's `data`."""
    data = directory / "data"
    data.mkdir(exist_ok=True)
    keys = Keyring(data / "keys.db") if encrypted else None
    return Remit(open_store(data), processes=[everything, refuses, async_one, saga], encryption=keys)


async def live_through(app: Remit, tenant: str | None = "acme") -> str:
    """An execution that has left something wherever something can be left."""
    started = await app.start(everything, CANARY, key=f"root key {CANARY}", tenant=tenant)
    await app.send(started.id, "go", {"event": LONG})
    await wait_until(app, started.id, "WAITING_HUMAN_INPUT")
    await app.answer(started.id, {"answer": CANARY})
    assert (await started.outcome(timeout=10)).ok
    await until(lambda: all_over(app, started.id))
    return started.id


async def all_over(app: Remit, root: str) -> bool:
    """Whether everything has ended, and what was taken back is."""
    return all(each.ended_at and each.compensation != "running" for each in flatten(await app.tree(root)))


@pytest.fixture(params=[False, True], ids=["in the clear", "encrypted"])
def encrypted(request) -> bool:
    return request.param


async def test_L53_no_file_holds_a_copy_afterwards(tmp_path: Path, encrypted: bool, caplog) -> None:
    caplog.set_level(logging.DEBUG, logger="remit")
    async with app_on(tmp_path, encrypted=encrypted) as app:
        root = await live_through(app)
        assert bool(files_with(tmp_path)) is not encrypted
        done = await app.erase("acme", by="ann")
        assert (done.tenant, done.executions, done.cancelled) == ("acme", 4, 0)
        assert (done.keys > 0) is encrypted
        assert files_with(tmp_path) == []
        backup(tmp_path / "after.bak", store=open_store(tmp_path / "data"))
        assert CANARY not in str(await app.tree(root)) + str(await app.journal(root)) + str(await app.alerts())
    assert files_with(tmp_path) == []
    assert [line for line in caplog.text.splitlines() if CANARY in line] == [], "Remit's own log lines"


async def test_L53_the_skeleton_and_the_bill_stay(tmp_path: Path, encrypted: bool) -> None:
    async with app_on(tmp_path, encrypted=encrypted) as app:
        root = await live_through(app)
        before = flatten(await app.tree(root))
        lineage = await app.lineage(root)
        await app.erase("acme")
        after = flatten(await app.tree(root))
        for name in ("execution_id", "process", "version", "status", "usage", "created_at", "ended_at", "tenant", "attempt"):
            assert [getattr(each, name) for each in after] == [getattr(each, name) for each in before], name
        assert [each.erased for each in after] == [True] * 4
        assert [each.result for each in after][:1] == ["[erased]"]
        assert [(each.name, each.usage) for each in await app.lineage(root)] == [(each.name, each.usage) for each in lineage]
        assert {each.error.code for each in after if each.error is not None} == {"erased"}
        assert {each.step for record in after for each in record.compensations} == {"[erased]"}
        digests = "SELECT count(*) FROM executions WHERE length(digest) OR key IS NOT NULL OR label IS NOT NULL"
        assert look_at(tmp_path / "data", digests) == [(0,)]
        assert look_at(tmp_path / "data", "SELECT count(*) FROM journal WHERE length(key)") == [(0,)]


async def test_L53_of_what_callers_write_beside_payloads_the_names_stay_that_the_page_lists(tmp_path: Path) -> None:
    @process("named")
    async def named(_: dict[str, str]) -> str:
        await ask(str, name="kept-ask", timeout="1ms", on_timeout="none")
        return str(await wait_event("kept-event"))

    async with Remit(open_store(tmp_path), processes=[named]) as app:
        await app.apply_policy("policy: p\nversion: 1.0.0\nfilters: [{find: email, 'on': input, action: redact}]")
        value = {"gone-field": "ann@example.com"}
        root = await app.start(named, value, key="gone-key", tenant="acme", owner="kept-owner", region="kept-region")
        await app.send(root.id, "kept-event", 1, dedupe="gone-dedupe", by="kept-sender")
        await root.outcome(timeout=5)
        for word in ("gone-field", "gone-key", "gone-dedupe"):
            assert files_with(tmp_path, word.encode())
        await app.erase("acme", by="kept-eraser")
        record = await app.get(root.id)
        assert (record.owner, record.region, record.policies) == ("kept-owner", "kept-region", ["p@1.0.0"])
    for word in ("gone-field", "gone-key", "gone-dedupe"):
        assert files_with(tmp_path, word.encode()) == [], word
    for word in ("kept-ask", "kept-event", "kept-owner", "kept-region", "kept-sender", "kept-eraser"):
        assert files_with(tmp_path, word.encode()) == ["remit.db"], word


async def test_L53_whoever_reads_or_retries_what_is_erased_is_told(tmp_path: Path, encrypted: bool) -> None:
    async with app_on(tmp_path, encrypted=encrypted) as app:
        failed = await app.start(refuses, CANARY, tenant="acme", key="mine")
        await failed.outcome(timeout=5)
        await app.erase("acme")
        for act in (app.outcome, app.retry):
            with pytest.raises(MisuseError) as told:
                await act(failed.id)
            assert told.value.code == "erased"
        assert (await app.start(refuses, "another", tenant="acme", key="mine")).new, "its keys can be used anew"


async def test_L53_no_guess_can_be_checked_against_the_audit_log(tmp_path: Path, encrypted: bool) -> None:
    async with app_on(tmp_path, encrypted=encrypted) as app:
        started = await app.start(refuses, "7", tenant="acme")
        await started.outcome(timeout=5)
        salt = app.engine.store.audit_salt("acme")
        guess = app.engine.audit.mark("acme", digest(b'"7"'))
        (admitted, *_) = await app.audit(execution_id=started.id)
        assert admitted.details["input"] == guess, "with the salt a guess is checked"
        await app.erase("acme")
        assert files_with(tmp_path, salt) == []
        assert (await app.audit(execution_id=started.id))[0] == admitted, "the chain stands"
        await (await app.start(refuses, "7", tenant="acme")).outcome(timeout=5)
        assert app.engine.store.audit_salt("acme") != salt
        assert problems(app) == []
        await app.set_retention(keep="1ms")
        await until(lambda: sweeps_all(app))
        assert problems(app) == [], "a deleted root is no gap"


def problems(app: Remit) -> list[Any]:
    """What is wrong with the audit log, and what is missing in it."""
    store = app.engine.store
    beginning = beginning_of(store.audit_id())
    found = [each for chain in store.audit_chains() for each in findings(chain, store.audit_entries(chain), beginning)]
    return found + store.unaudited()


async def sweeps_all(app: Remit) -> bool:
    await app.sweep()
    return not await app.list()


async def test_L53_other_tenants_keep_everything(tmp_path: Path, encrypted: bool) -> None:
    async with app_on(tmp_path, encrypted=encrypted) as app:
        mine = await live_through(app, "globex")
        before = [await app.tree(mine), await app.journal(mine), await app.alerts()]
        await (await app.start(refuses, "other", tenant="acme")).outcome(timeout=5)
        await app.erase("acme")
        after = [await app.tree(mine), await app.journal(mine), await app.alerts(tenant="globex")]
        assert after == before
        await app.erase("globex")
        assert files_with(tmp_path) == []


async def test_L53_what_comes_after_an_erasure_is_kept(tmp_path: Path, encrypted: bool) -> None:
    async with app_on(tmp_path, encrypted=encrypted) as app:
        await (await app.start(refuses, CANARY, tenant="acme")).outcome(timeout=5)
        await app.erase("acme")
        new = await app.start(refuses, "later", tenant="acme")
        await new.outcome(timeout=5)
    async with app_on(tmp_path, encrypted=encrypted) as app:
        record = await app.get(new.id)
        assert (record.input, record.error.message) == ("later", "cannot do later")


async def test_L53_open_work_is_refused_unless_it_is_to_be_cancelled(tmp_path: Path, encrypted: bool) -> None:
    async with app_on(tmp_path, encrypted=encrypted) as app:
        waiting = await app.start(everything, CANARY, tenant="acme")
        await wait_until(app, waiting.id, "WAITING_HUMAN_INPUT")
        await app.schedule("nightly", "0 3 * * *", refuses, CANARY, tenant="acme")
        with pytest.raises(MisuseError, match=waiting.id) as refused:
            await app.erase("acme")
        assert (refused.value.code, refused.value.details["schedules"]) == ("open_executions", ["nightly"])
        assert (await app.get(waiting.id)).input == CANARY, "a refused erasure has changed nothing"
        done = await app.erase("acme", cancel_open=True)
        assert done.cancelled == 1
        record = await app.get(waiting.id)
        assert (record.status, record.erased, await app.schedules()) == ("CANCELLED", True, [])
        assert files_with(tmp_path) == []


async def test_L53_a_rollback_needs_its_payloads(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(custody, "ROLLBACK_S", 0.1)
    held: list[Any] = []

    async def hold(result: str | None, text: str) -> None:
        held.append(text)
        await until(lambda: released(held), 10)

    async def released(held: list[Any]) -> bool:
        return "go" in held

    @step(compensate=hold)
    async def taken(text: str) -> str:
        return text

    @process("undone", saga=True)
    async def undone(text: str) -> str:
        await taken(text)
        return str(await wait_event("go"))

    async with Remit(open_store(tmp_path), processes=[undone]) as app:
        started = await app.start(undone, CANARY, tenant="acme")
        await wait_until(app, started.id, "PENDING_ASYNC")
        with pytest.raises(MisuseError, match="rolled back"):
            await app.erase("acme", cancel_open=True)
        assert (await app.get(started.id)).input == CANARY
        held.append("go")
        await started.compensated(timeout=5)
        await app.erase("acme")
        assert files_with(tmp_path) == []


async def test_L53_a_backup_from_before_is_unreadable_once_its_keys_are_gone(tmp_path: Path) -> None:
    async with app_on(tmp_path, encrypted=True) as app:
        root = await live_through(app)
        backup(tmp_path / "before.bak", store=open_store(tmp_path / "data"))
        await app.erase("acme")
    old = Remit(f"sqlite:///{tmp_path / 'before.bak'}", processes=[everything], encryption=Keyring(tmp_path / "data" / "keys.db"))
    async with old as app:
        assert CANARY not in str(await app.tree(root)) + str(await app.journal(root)) + str(await app.alerts())
        record = await app.get(root)
        assert (record.input, record.result, record.key, record.erased) == ("[erased]", "[erased]", "[erased]", True)
        with pytest.raises(MisuseError) as told:
            await app.outcome(root)
        assert told.value.code == "erased"


async def test_L53_commands_of_other_processes_are_erased(tmp_path: Path, encrypted: bool) -> None:
    keys = Keyring(tmp_path / "data" / "keys.db") if encrypted else None
    async with app_on(tmp_path, encrypted=encrypted) as app:
        started = await app.start(everything, "plain", tenant="acme")
        await wait_until(app, started.id, "WAITING_HUMAN_INPUT")
        client = Client(open_store(tmp_path / "data"), keys)
        await client.command("answer", {"execution_id": started.id, "value": {"answer": CANARY}}, 5)
        await client.command("send", {"execution_id": started.id, "event": "go", "payload": LONG}, 5)
        await started.outcome(timeout=5)
        await until(lambda: all_over(app, started.id))
        assert (await client.command("erase", {"tenant": "acme"}, 30)).done["executions"] == 4
        assert files_with(tmp_path) == []


async def test_L53_a_workflows_state_and_what_servers_answered_are_erased(tmp_path: Path, encrypted: bool) -> None:
    state = {"type": "object", "properties": {"text": {"type": "string"}}, "additionalProperties": True}
    (tmp_path / "data").mkdir()
    async with serving(answer({"text": LONG})) as server:
        config = {"url": f"{server.url}/{{{{state.text}}}}", "method": "POST", "body": {"sent": "{{state.text}}"}}
        steps = [
            {"name": "Call", "type": "HTTP", "http_config": config},
            {"name": "Sure", "type": "HUMAN_IN_LOOP"},
        ]
        flow = tmp_path / "letters.yaml"
        flow.write_text(json.dumps({"workflow_type": "Letters", "initial_state_model": state, "steps": steps}))
        keys = Keyring(tmp_path / "data" / "keys.db") if encrypted else None
        app = Remit(open_store(tmp_path / "data"), processes=[flow], http_hosts=[server.host], encryption=keys)
        async with app:
            started = await app.start("Letters", {"text": CANARY}, tenant="acme")
            await wait_until(app, started.id, "WAITING_HUMAN_INPUT")
            assert CANARY in str((await app.lineage(started.id))[0].result)
            await app.erase("acme", cancel_open=True)
            assert files_with(tmp_path) == []
            assert (await app.get(started.id)).erased


async def test_L53_a_reader_in_the_way_is_waited_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(keeping, "_READERS_S", 0.5)
    async with app_on(tmp_path, encrypted=False) as app:
        await (await app.start(refuses, CANARY, tenant="acme")).outcome(timeout=5)
        reader = apsw.Connection(str(tmp_path / "data" / "remit.db"), flags=apsw.SQLITE_OPEN_READONLY)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM executions").get == 1
        with pytest.raises(StoreError, match="Another program"):
            await app.erase("acme")
        reader.close()
    async with app_on(tmp_path, encrypted=False) as app:
        await until(lambda: is_done(tmp_path / "data"))
        assert files_with(tmp_path) == []


async def is_done(data: Path) -> bool:
    return look_at(data, "SELECT count(*) FROM erasures WHERE done_at IS NULL") == [(0,)]


@pytest.mark.parametrize("tenant", ["", None, 7, "x" * 501])
async def test_L48_an_impossible_tenant_is_refused(tenant: Any) -> None:
    async with Remit(":memory:", processes=[refuses]) as app:
        with pytest.raises(InvalidInput):
            await app.erase(tenant)
        assert (await app.erase("nobody")).executions == 0
