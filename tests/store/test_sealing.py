"""Payloads at rest: every column that holds one is sealed, bound to its row, and opened by whoever has the keys (L53)."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import apsw
import pytest

from remit import DomainError, Keyring, Remit, StoreError, ask, call_process, process, set_progress, step
from remit.control.client import Client
from remit.control.queries import Queries
from remit.durable import wait_event
from remit.store.sqlite.sealing import PAYLOADS, Sealing
from tests.laws.scene import look_at, open_store, wait_until

CANARY = "canary-7f3a"
TABLES = {  # what is not sealed, by table; docs/retention.md says why of each
    "executions": "n id parent_n process version status created_at ttl_ms digest key occurrence position department tenant owner region"
    " awaited detached compensation attempt generation epoch ttl_used_ms ttl_since started_at updated_at ended_at wake_at answered tokens"
    " input_tokens output_tokens cost estimated estimate_tokens estimate_cost reserved_tokens reserved_cost limit_tokens limit_cost terms",
    "journal": "execution_n generation position kind name key started_at ended_at completed due_at attempt tokens input_tokens"
    " output_tokens cost reserved_tokens reserved_cost",
    "events": "n execution_id name sent_at dedupe taken_by",
    "schedules": "tenant name expression zone skipped repeated overlap catch_up_ms target versions owner region limit_tokens limit_cost"
    " registered_by created_at updated_at next_at last_at last_execution waiting fired skips missed failed",
    "alerts": "n code execution_id tenant raised_at subject count last_at acknowledged_at acknowledged_by",
    "inbox": "id verb sent_at replied_at",
    "audit_salts": "tenant",
    "webhooks": "id url owner private added_at added_by",
}  # fmt: skip


@step
async def echo(text: str) -> str:
    return text + "!"


@process("inner")
async def inner(text: str) -> str:
    if text.endswith("fails"):
        raise DomainError(f"no good: {text}", text=text)
    return text


@process("outer", calls=["inner"])
async def outer(text: str) -> str:
    set_progress({"at": text})
    said = await echo(text)
    (await call_process("inner", said, key=f"{text}-key")).unwrap()
    assert not (await call_process("inner", text + "fails")).ok
    answer = await ask(str, name="sure", prompt=f"Sure of {text}?")
    return answer + str(await wait_event("go"))


def all_bytes(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file())


def keyring(directory: Path) -> Keyring:
    return Keyring(directory / "keys.db")


async def work(app: Remit, tenant: str | None = "acme") -> str:
    """An execution that has something in every column."""
    started = await app.start(outer, CANARY, key=CANARY, tenant=tenant)
    await wait_until(app, started.id, "WAITING_HUMAN_INPUT")
    await app.schedule(f"nightly-{tenant}", "0 3 * * *", inner, CANARY, tenant=tenant)
    await app.send(started.id, "go", {"sent": CANARY})
    await app.answer(started.id, CANARY)
    await started.outcome(timeout=5)
    return started.id


async def seen(app: Remit | Queries, root: str) -> list[Any]:
    """All that can be read of it."""
    async def of(found: Any) -> Any:
        return await found if asyncio.iscoroutine(found) else found

    tree = await of(app.tree(root))
    alerts = [(each.code, each.message, each.details) for each in await of(app.alerts())]
    return [tree, await of(app.journal(root)), await of(app.lineage(root)), alerts]


async def test_L53_sealed_or_not_the_same_is_read_and_no_file_holds_a_payload(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[outer, inner], encryption=keyring(tmp_path)) as app:
        root = await work(app)
        here = await seen(app, root)
        assert (await app.schedules())[0].input == CANARY
        assert CANARY in str(here)
    assert CANARY.encode() not in all_bytes(tmp_path)
    async with Remit(open_store(tmp_path), processes=[outer, inner], encryption=keyring(tmp_path)) as app:
        assert await seen(app, root) == here
        assert (await app.start(outer, CANARY, key=CANARY, tenant="acme")).new is False
    assert CANARY.encode() not in all_bytes(tmp_path)
    with Client(open_store(tmp_path), keyring(tmp_path)).queries() as queries:
        assert await seen(queries, root) == here


async def test_L53_in_the_clear_the_files_do_hold_it(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[outer, inner]) as app:
        await work(app)
    assert CANARY.encode() in all_bytes(tmp_path)


async def test_L53_every_payload_column_is_sealed_and_every_other_one_has_its_reason(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[outer, inner], encryption=keyring(tmp_path)) as app:
        await work(app)
        await app.add_webhook("http://127.0.0.1:9/hook", private=True)
    with Client(open_store(tmp_path), keyring(tmp_path)).reader():
        connection = apsw.Connection(str(tmp_path / "remit.db"), flags=apsw.SQLITE_OPEN_READONLY)
    page = (Path(__file__).parents[2] / "docs" / "retention.md").read_text("utf-8")
    for table, plain in TABLES.items():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall()]
        assert sorted(columns) == sorted([*PAYLOADS[table], *plain.split()]), table
        for column in PAYLOADS[table]:
            firsts = {row[0] for row in connection.execute(f"SELECT substr({column}, 1, 1) FROM {table} WHERE {column} IS NOT NULL")}
            assert firsts == ({b"\x01"} if firsts else set()), (table, column)
            assert f"`{column}`" in re.search(rf"^\| {table} \|.*$", page, re.MULTILINE)[0]
    others = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")} - set(TABLES)
    connection.close()
    assert all(f"`{table}`" in page for table in others)


async def test_L53_a_store_that_was_in_the_clear_is_sealed_from_then_on(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[outer, inner]) as app:
        before = await work(app)
        plain = await seen(app, before)
    async with Remit(open_store(tmp_path), processes=[outer, inner], encryption=keyring(tmp_path)) as app:
        started = await app.start(inner, "later-" + CANARY)
        await started.outcome(timeout=5)
        assert (await seen(app, before))[:3] == plain[:3]
    assert b"later-" + CANARY.encode() not in all_bytes(tmp_path)


async def test_L53_without_its_keyring_a_sealed_store_is_not_touched(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[inner], encryption=keyring(tmp_path)) as app:
        await (await app.start(inner, CANARY)).outcome(timeout=5)
    owned = look_at(tmp_path, "SELECT * FROM ownership")
    content = (tmp_path / "remit.db").read_bytes()
    wrong = Keyring(tmp_path / "other.db")
    wrong.open(None)
    for given in (None, wrong, Keyring(tmp_path / "absent.db")):
        with pytest.raises(StoreError) as refused:
            async with Remit(open_store(tmp_path), processes=[inner], encryption=given):
                raise AssertionError
        assert refused.value.code == "keyring_unusable"
        with pytest.raises(StoreError), Client(open_store(tmp_path), given).reader():
            raise AssertionError
    assert (tmp_path / "remit.db").read_bytes() == content
    assert look_at(tmp_path, "SELECT * FROM ownership") == owned, "a refused opening takes nothing over"
    assert not (tmp_path / "absent.db").exists()


async def test_L53_a_payload_put_into_another_row_is_refused(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[inner], encryption=keyring(tmp_path)) as app:
        one = await app.start(inner, "one")
        other = await app.start(inner, "other")
        for each in (one, other):
            await each.outcome(timeout=5)
    connection = apsw.Connection(str(tmp_path / "remit.db"))
    connection.execute("UPDATE executions SET input = (SELECT input FROM executions WHERE id = ?) WHERE id = ?", (one.id, other.id))
    connection.close()
    with Client(open_store(tmp_path), keyring(tmp_path)).queries() as queries:
        assert queries.get(one.id).input == "one"
        with pytest.raises(StoreError) as refused:
            queries.get(other.id)
        assert refused.value.code == "payload_damaged"


async def test_L53_listings_that_show_no_payload_open_none(tmp_path: Path, monkeypatch) -> None:
    async with Remit(open_store(tmp_path), processes=[inner], encryption=keyring(tmp_path)) as app:
        for number in range(3):
            await (await app.start(inner, str(number))).outcome(timeout=5)
        opened: list[str] = []
        real = Sealing._open

        def counted(self: Sealing, value: Any, table: str, row: str, column: str) -> Any:
            opened.append(column)
            return real(self, value, table, row, column)

        monkeypatch.setattr(Sealing, "_open", counted)
        with Client(open_store(tmp_path), keyring(tmp_path)).reader() as reader:
            rows = reader.subtree((await app.list())[0].execution_id)
            del opened[:]
            rows = reader.children(0)
            assert ([row.status for row in rows], opened) == (["COMPLETED"] * 3, [])
            assert ([row.input for row in rows], opened) == ([b'"0"', b'"1"', b'"2"'], ["input"] * 3)


async def test_L53_new_rows_have_the_new_key_after_a_rotation(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[inner], encryption=keyring(tmp_path)) as app:
        first = await app.start(inner, "one", tenant="acme")
        await first.outcome(timeout=5)
        key = await app.rotate_keys("acme", by="ann")
        second = await app.start(inner, "two", tenant="acme")
        await second.outcome(timeout=5)
        assert [(await app.get(each.id)).input for each in (first, second)] == ["one", "two"]
        assert [each.id for each in await app.keys("acme")][-1] == key.id
    connection = apsw.Connection(str(tmp_path / "remit.db"), flags=apsw.SQLITE_OPEN_READONLY)
    used = [row[0] for row in connection.execute("SELECT hex(substr(input, 2, 8)) FROM executions ORDER BY n")]
    connection.close()
    assert (used[0] != used[1], used[1].lower()) == (True, key.id)
    async with Remit(":memory:") as app:
        with pytest.raises(StoreError, match="not encrypted"):
            await app.rotate_keys("acme")
        assert await app.keys() == []


async def test_L53_a_command_of_another_process_is_sealed_for_whom_it_concerns(tmp_path: Path, monkeypatch) -> None:
    async with Remit(open_store(tmp_path), processes=[outer, inner], encryption=keyring(tmp_path)) as app:
        started = await app.start(outer, "x", tenant="acme")
        await wait_until(app, started.id, "WAITING_HUMAN_INPUT")
        monkeypatch.setenv("REMIT_KEYS", str(tmp_path / "keys.db"))
        client = Client(open_store(tmp_path))
        await client.command("send", {"execution_id": started.id, "event": "go", "payload": CANARY}, 5)
        await client.command("answer", {"execution_id": started.id, "value": CANARY}, 5)
        assert CANARY in (await started.outcome(timeout=5)).unwrap()
        assert {each.tenant for each in await app.keys()} == {"acme"}
        assert CANARY.encode() not in all_bytes(tmp_path)


async def test_L53_what_signs_messages_is_sealed_one_that_stood_in_the_clear_too(tmp_path: Path) -> None:
    from remit.control.releases.webhooks import webhook_views

    hook, secrets = "http://127.0.0.1:9/hook", ["whsec_" + each * 32 for each in "AB"]
    async with Remit(open_store(tmp_path)) as app:
        await app.add_webhook(hook, private=True, secret=secrets[0])
    assert secrets[0].encode() in all_bytes(tmp_path)
    assert (tmp_path / "remit.db").stat().st_mode & 0o777 == 0o600
    for again in (False, True):
        async with Remit(open_store(tmp_path), encryption=keyring(tmp_path)) as app:
            if not again:
                await app.add_webhook(hook, private=True, secret=secrets[1])
            assert sorted(each.secret for each in app.engine.outbox.webhooks.values()) == secrets
    stored = [row[0] for row in look_at(tmp_path, "SELECT secret FROM webhooks")]
    assert [each[:1] for each in stored] == [b"\x01", b"\x01"]
    assert secrets[1].encode() not in all_bytes(tmp_path)
    with Client(open_store(tmp_path), keyring(tmp_path)).reader() as reader:
        assert sorted(each.secret for each in reader.webhooks()) == secrets
        assert {each.secret for each in webhook_views(reader)} == {None}


async def test_L49_what_signs_messages_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with Remit(open_store(tmp_path)) as app:
        added = await app.add_webhook("http://127.0.0.1:9/hook", private=True, by="ann")
        assert added.secret is not None
        told = [repr(each) for each in (added, *app.engine.outbox.webhooks.values(), await app.webhooks(), await app.alerts())]
        await app.remove_webhook(added.id)
    rows = [str(row) for table in ("alerts", "audit", "audit_store", "outbox") for row in look_at(tmp_path, f"SELECT * FROM {table}")]
    assert rows
    assert added.secret not in "".join([*told, *rows, caplog.text])
