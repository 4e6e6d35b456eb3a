"""Filters, tools and models under policies: what is found blocks or is taken out, and is decided once (L11, L13, L43)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, Field

from remit import (
    DomainError,
    MisuseError,
    Outcome,
    ProcessRef,
    Remit,
    TransientError,
    Usage,
    ask,
    call_process,
    continue_as,
    model,
    process,
    step,
    tool,
)
from remit.durable import wait_event
from tests.laws.isolated_tools import apart, undone_apart, undone_here
from tests.laws.scene import look_at, open_store, wait_until

MAIL = "jane.doe@example.com"
CARD = "4111 1111 1111 1111"
SENT: list[Any] = []


class Letter(BaseModel):
    to: str
    lines: list[str] = Field(default_factory=list)


@process("deliver")
async def deliver(letter: Letter) -> Letter:
    SENT.append(letter)
    return letter


@process("author", calls=[deliver])
async def author(letter: Letter) -> Letter | str:
    outcome: Outcome[Any] = await call_process(deliver, letter)
    return outcome.value if outcome.ok or outcome.error is None else outcome.error.code


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    SENT.clear()


def filtering(what: str, applies_to: str = "{process: deliver}") -> str:
    return f"policy: pii\nversion: 1.0.0\napplies_to: {applies_to}\nfilters:\n  - {{{what}}}\n"


async def written(app: Remit, *lines: str, to: str = "jane") -> Any:
    return (await (await app.start(author, Letter(to=to, lines=list(lines)))).outcome(timeout=5)).value


# -- inputs and results -----------------------------------------------------------------------------------------------


async def test_L43_an_input_is_blocked_naming_filter_and_path_and_never_the_text(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[deliver, author]) as app:
        await app.apply_policy(filtering("on: input, find: email, action: block"))
        assert await written(app, "hello", f"write to {MAIL}") == "policy_denied"
        (alert,) = await app.alerts(code="policy_denied")
        assert alert.details["filter"] == "email"
        assert alert.details["path"] == "/lines/1"
        assert MAIL not in alert.message + str(alert.details)
    assert SENT == []
    ((params, error),) = look_at(tmp_path, "SELECT params, error FROM journal WHERE kind = 'rejected'")
    assert orjson.loads(params)["lines"] == ["hello", "write to [redacted]"]
    assert MAIL.encode() not in params + error


async def test_L13_L43_what_crosses_is_the_redacted_value_and_the_caller_keeps_its_own() -> None:
    async with Remit(":memory:", processes=[deliver, author]) as app:
        await app.apply_policy(filtering("on: input, find: [email, card, iban], action: redact"))
        received = await written(app, f"mail {MAIL}", f"card {CARD}, thanks", "iban DE89 3704 0044 0532 0130 00.")
        assert received == Letter(to="jane", lines=["mail [redacted]", "card [redacted], thanks", "iban [redacted]."])
        assert [received] == SENT
        (root,) = await app.list(process="author")
        (below,) = (await app.tree(root.execution_id)).children
        assert below.input == received.model_dump()
        assert MAIL in root.input["lines"][0]
        verdicts = (await app.explain_policy(below.execution_id)).verdicts
        assert [(each.what, each.details.get("path")) for each in verdicts] == [
            ("admitted", None), ("redacted", "/lines/0"), ("redacted", "/lines/1"), ("redacted", "/lines/2"),
        ]  # fmt: skip


async def test_L43_a_result_is_redacted_or_kept_back() -> None:
    for action, expected in (("redact", Letter(to="jane", lines=["[redacted]"])), ("block", "policy_denied")):
        async with Remit(":memory:", processes=[deliver, author]) as app:
            await app.apply_policy(filtering(f"on: result, find: card, action: {action}"))
            assert await written(app, CARD) == expected
            (root,) = await app.list(process="author")
            (below,) = (await app.tree(root.execution_id)).children
            explained = await app.explain_policy(below.execution_id)
            assert [each.what for each in explained.verdicts] == [
                "admitted", "redacted" if action == "redact" else "denied",
            ]  # fmt: skip
            if action == "block":
                assert (below.status, below.result) == ("FAILED", None)
                assert CARD not in str(below.error)
                assert [each.execution_id for each in await app.alerts(code="policy_denied")] == [below.execution_id]


async def test_L43_a_value_that_does_not_fit_its_type_without_what_was_found_is_blocked() -> None:
    class Paid(BaseModel):
        card: str = Field(pattern="^[0-9]{16}$")

    @process("pay")
    async def pay(paid: Paid) -> str:
        return "paid"

    @process("shop", calls=[pay])
    async def shop() -> str:
        outcome = await call_process(pay, Paid(card="4111111111111111"))
        return outcome.error.code if outcome.error else outcome.value

    async with Remit(":memory:", processes=[pay, shop]) as app:
        await app.apply_policy(filtering("on: input, find: card, action: redact", "{process: pay}"))
        assert (await (await app.start(shop)).outcome(timeout=5)).unwrap() == "policy_denied"
        (alert,) = await app.alerts(code="policy_denied")
        assert "does not fit its type" in alert.message


async def test_L43_own_patterns_and_roots() -> None:
    async with Remit(":memory:", processes=[deliver, author]) as app:
        await app.apply_policy(filtering("on: input, name: staff, pattern: '^EMP-[0-9]{4}$', action: block"))
        with pytest.raises(MisuseError) as refused:
            await app.start(deliver, Letter(to="EMP-1234"))
        assert refused.value.details["filter"] == "staff"
        assert refused.value.details["path"] == "/to"
        assert (await (await app.start(deliver, Letter(to="see EMP-1234"))).outcome(timeout=5)).ok


async def test_L43_an_execution_that_starts_over_gets_its_new_input_through_the_same_filters() -> None:
    @process("again")
    async def again(texts: list[str]) -> list[str]:
        if len(texts) == 1:
            continue_as([*texts, MAIL])
        return texts

    async with Remit(":memory:", processes=[again]) as app:
        await app.apply_policy(filtering("on: input, find: email, action: redact", "{process: again}"))
        assert (await (await app.start(again, ["a"])).outcome(timeout=5)).unwrap() == ["a", "[redacted]"]


# -- tools and models -------------------------------------------------------------------------------------------------


@tool("mail.send", cost="0.01")
async def send(to: str, letter: Letter) -> str:
    SENT.append((to, letter))
    return "sent"


@tool("erp.write")
async def write(text: str) -> str:
    SENT.append(text)
    return "written"


@model("gpt-5-mini", max_input_tokens=10, max_tokens=10)
async def classify(text: str) -> tuple[str, Usage]:
    SENT.append(text)
    return "spam", Usage(tokens=5)


@step
async def plain(text: str) -> str:
    SENT.append(text)
    return text


@process("worker")
async def worker(text: str) -> list[str]:
    done = []
    for effect in (lambda: send(to=text, letter=Letter(to=text)), lambda: write(text), lambda: classify(text)):
        try:
            value = await effect()
            done.append(value[0] if isinstance(value, tuple) else value)
        except DomainError as error:
            done.append(error.code)
    return [*done, await plain(text)]


def on_worker(demands: str) -> str:
    return f"policy: tooling\nversion: 1.0.0\napplies_to: {{process: worker}}\n{demands}\n"


async def test_L29_L43_a_tool_or_model_that_no_policy_allows_does_not_run() -> None:
    async with Remit(":memory:", processes=[worker]) as app:
        await app.apply_policy(on_worker("tools: {allow: ['mail.*']}\nmodels: {deny: ['gpt-*']}"))
        root = await app.start(worker, "x")
        assert (await root.outcome(timeout=5)).unwrap() == ["sent", "policy_denied", "policy_denied", "x"]
        assert [("x", Letter(to="x")), "x"] == SENT
        verdicts = {each.name: each.verdict for each in await app.lineage(root.id)}
        assert verdicts == {
            "mail.send": "allowed",
            "erp.write": "denied by tooling@1.0.0",
            "gpt-5-mini": "denied by tooling@1.0.0",
        }
        assert len(await app.alerts(code="policy_denied")) == 2
        assert (await root.record()).usage.own.tokens == 0


async def test_L43_parameters_of_tools_and_models_are_redacted_or_blocked() -> None:
    async with Remit(":memory:", processes=[worker]) as app:
        await app.apply_policy(on_worker("filters: [{on: tool, find: email, action: redact}]"))
        root = await app.start(worker, MAIL)
        assert (await root.outcome(timeout=5)).unwrap() == ["sent", "written", "spam", MAIL]
        assert [("[redacted]", Letter(to="[redacted]")), "[redacted]", "[redacted]", MAIL] == SENT
        lineage = await app.lineage(root.id)
        assert lineage[0].params == {"to": "[redacted]", "letter": {"to": "[redacted]", "lines": []}}
        assert {each.verdict for each in lineage} == {"redacted by tooling@1.0.0"}
    SENT.clear()
    async with Remit(":memory:", processes=[worker]) as app:
        await app.apply_policy(on_worker("filters: [{on: tool, find: email, action: block}]"))
        root = await app.start(worker, MAIL)
        assert (await root.outcome(timeout=5)).unwrap() == [*["policy_denied"] * 3, MAIL]
        assert SENT == [MAIL]
        assert MAIL not in str([(each.params, each.error) for each in await app.lineage(root.id)])
        assert {each.details["path"] for each in await app.alerts(code="policy_denied")} == {"/letter/to", "/text"}


# -- decided once -----------------------------------------------------------------------------------------------------


async def test_L11_L43_replay_decides_nothing_again_and_takes_no_tokens(tmp_path: Path) -> None:
    @process("long", calls=[deliver])
    async def long(text: str) -> list[str]:
        first = await call_process(deliver, Letter(to=text))
        second = await call_process(deliver, Letter(to="b"))
        erp = await write(text)
        await wait_event("go")
        third = await call_process(deliver, Letter(to="c"))
        return [each.value.to if each.ok else each.error.code for each in (first, second, third) if each.error or each.ok] + [erp]

    policy = (
        "policy: all\nversion: 1.0.0\napplies_to: {process: deliver}\nrate_limit: {calls: 2, per: 1h}\n"
        "filters: [{on: input, find: email, action: redact}]\n"
        "rules: [{name: not-b, require: \"call.input.to != 'b'\"}]\n"
    )
    async with Remit(open_store(tmp_path), processes=[long, deliver]) as app:
        await app.apply_policy(policy, on_worker("filters: [{on: tool, find: email, action: redact}]").replace("worker", "long"))
        root = await app.start(long, MAIL)
        await wait_until(app, root.id, "PENDING_ASYNC", "WAITING_HUMAN_INPUT")
    for _ in range(3):  # each owner replays, under policies that would decide otherwise
        async with Remit(open_store(tmp_path), processes=[long, deliver]) as app:
            if await app.policies("tooling"):
                await app.remove_policy("tooling")
            await wait_until(app, root.id, "PENDING_ASYNC", "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[long, deliver]) as app:
        await app.send(root.id, "go")
        outcome = await app.outcome(root.id, timeout=5)
        assert outcome.unwrap() == ["[redacted]", "policy_denied", "c", "written"]
        assert [each.to for each in SENT if isinstance(each, Letter)] == ["[redacted]", "c"]
        assert [each for each in SENT if isinstance(each, str)] == ["[redacted]"]
        assert len(await app.alerts(code="policy_denied")) == 1


async def test_L11_L40_a_redacted_call_whose_version_is_not_the_pick_any_more_runs_no_second_time(tmp_path: Path) -> None:
    class Copied(Letter):
        copy_to: str = "nobody"

    @process("deliver", version="1.1.0")
    async def deliver_copies(letter: Copied) -> Copied:
        SENT.append(letter)
        return letter

    @process("waits", calls=["deliver"])
    async def waits(to: str) -> str:
        sent = (await call_process(ProcessRef[Letter, Letter]("deliver"), Letter(to=to))).unwrap()
        return f"{sent.to} {await ask(str, name='go')}"

    for redacts in (False, True):
        SENT.clear()
        store = f"sqlite:///{tmp_path / str(redacts)}.db"
        async with Remit(store, processes=[waits, deliver]) as app:
            if redacts:
                await app.apply_policy(filtering("on: input, find: email, action: redact"))
            root = await app.start(waits, MAIL)
            await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        async with Remit(store, processes=[waits, deliver, deliver_copies]) as app:
            await app.answer(root.id, "on")
            if not redacts:
                assert (await app.outcome(root.id, timeout=5)).unwrap() == f"{MAIL} on"
                continue
            paused = await wait_until(app, root.id, "PAUSED")
            assert paused.error is not None
            assert paused.error.code == "code_changed"
        async with Remit(store, processes=[waits, deliver]) as app:
            assert (await app.outcome(root.id, timeout=5)).unwrap() == "[redacted] on"
    assert len(SENT) == 1


async def test_L18_L43_an_attempt_takes_no_token_and_an_operators_retry_decides_rejections_anew() -> None:
    tries: list[int] = []

    @step
    async def shaky() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise TransientError("once more")

    @process("tried")
    async def tried(n: int) -> int:
        await shaky()
        return n

    @process("operated", calls=[tried, deliver])
    async def operated() -> int:
        first = (await call_process(tried, 1)).unwrap()
        (await call_process(deliver, Letter(to=MAIL))).unwrap()
        return first

    async with Remit(":memory:", processes=[tried, operated, deliver]) as app:
        await app.apply_policy(
            "policy: once\nversion: 1.0.0\napplies_to: {process: tried}\nrate_limit: {calls: 1, per: 1h}\n",
            filtering("on: input, find: email, action: block"),
        )
        root = await app.start(operated)
        outcome = await root.outcome(timeout=10)
        assert (len(tries), outcome.error.code if outcome.error else None) == (3, "policy_denied")
        await app.remove_policy("pii")
        await app.retry(root.id)
        assert (await root.outcome(timeout=5)).unwrap() == 1
        assert [Letter(to=MAIL)] == SENT


# -- workflows and bodies elsewhere -----------------------------------------------------------------------------------

OUTER = """
workflow_type: Outer
workflow_version: "1.0.0"
calls: ["Inner@*"]
steps:
  - {name: Inside, type: SUB_WORKFLOW, sub_workflow_type: Inner, input: {text: "'write to jane.doe@example.com'"}}
"""
INNER = """
workflow_type: Inner
workflow_version: "1.0.0"
tags: [pii]
department: mail
steps:
  - {name: Only, type: STANDARD, function: letters.only}
"""


async def test_L43_calls_of_workflows_are_governed_alike(tmp_path: Path) -> None:
    (tmp_path / "outer.yaml").write_text(OUTER, "utf-8")
    (tmp_path / "inner.yaml").write_text(INNER, "utf-8")
    (tmp_path / "letters.py").write_text("def only(state, context):\n    return {'told': state.text}\n", "utf-8")
    async with Remit(":memory:", processes=[str(tmp_path)]) as app:
        await app.apply_policy(filtering("on: input, find: email, action: redact", "{tag: pii, department: mail}"))
        root = await app.start("Outer", {})
        assert (await root.outcome(timeout=5)).ok
        (below,) = (await app.tree(root.id)).children
        assert below.input == {"text": "write to [redacted]"}
        assert below.policies == ["pii@1.0.0"]
        await app.remove_policy("pii")
        await app.apply_policy(
            "policy: closed\nversion: 1.0.0\napplies_to: {tag: pii}\nrules: [{name: no, require: 'false'}]\n"
        )
        outcome = await (await app.start("Outer", {"n": 2})).outcome(timeout=5)
        assert outcome.error is not None
        assert outcome.error.code == "policy_denied"


async def test_L22_L43_a_body_in_a_process_of_its_own_gets_no_further() -> None:
    async with Remit(":memory:", processes=[apart]) as app:
        await app.apply_policy(
            "policy: apart\nversion: 1.0.0\napplies_to: {tag: pii}\nisolation: process\ntools: {deny: ['erp.*']}\n"
            "filters: [{on: tool, find: email, action: redact}, {on: result, find: card, action: redact}]\n"
        )
        outcome = await (await app.start(apart, f"{MAIL} {CARD}")).outcome(timeout=20)
        assert outcome.unwrap() == ["sent to [redacted] [redacted]", "policy_denied", f"{MAIL} [redacted]"]


@pytest.mark.parametrize("saga", [undone_here, undone_apart], ids=lambda each: each.name)
async def test_L37_L43_a_compensation_gets_what_its_tool_got(saga: Any) -> None:
    async with Remit(":memory:", processes=[saga]) as app:
        await app.apply_policy(
            "policy: undo\nversion: 1.0.0\napplies_to: {tag: pii}\nfilters: [{on: tool, find: email, action: redact}]\n"
        )
        root = await app.start(saga, MAIL)
        (undone,) = (await root.compensated(timeout=20)).compensations
        assert undone.result == "posted to [redacted], and [redacted] taken back"


# -- four eyes --------------------------------------------------------------------------------------------------------


@process("approval")
async def approval() -> str:
    return await ask(str, name="ship", prompt="Ship it?")


@process("asking", calls=[approval])
async def asking() -> str:
    return (await call_process(approval, None)).unwrap()


async def test_L43_four_eyes_whoever_answers_is_named_and_is_not_the_owner() -> None:
    async with Remit(":memory:", processes=[approval, asking]) as app:
        await app.apply_policy("policy: eyes\nversion: 1.0.0\napplies_to: {process: asking}\napprovals: {four_eyes: true}\n")
        root = await app.start(asking, owner="Ann Noe")
        await wait_until(app, root.id, "WAITING_CHILD_HUMAN_INPUT")
        # a full-width letter, two spaces, one that does not break, one without width; and nobody, in several spellings
        aliases = ("Ann Noe", " ann noe ", "\uff21nn Noe", "Ann  Noe", "Ann\u00a0Noe", "Ann\u200b Noe\u200d")
        for by in (*aliases, None, " ", "\t", "\u200b"):
            with pytest.raises(MisuseError) as refused:
                await app.answer(root.id, "yes", by=by)
            assert refused.value.code == "four_eyes"
        await app.answer(root.id, "yes", by="bob")
        assert (await root.outcome(timeout=5)).unwrap() == "yes"
        (below,) = (await app.tree(root.id)).children
        (entry,) = [each for each in await app.journal(below.execution_id) if each.kind == "ask"]
        assert entry.by == "bob"
        (alert,) = await app.alerts(code="four_eyes")
        assert (alert.count, alert.details["ask"]) == (10, "ship")


async def test_L43_without_such_a_policy_anybody_answers() -> None:
    async with Remit(":memory:", processes=[approval, asking]) as app:
        root = await app.start(asking, owner="ann")
        await wait_until(app, root.id, "WAITING_CHILD_HUMAN_INPUT")
        await app.answer(root.id, "yes", by="ann")
        assert (await root.outcome(timeout=5)).unwrap() == "yes"


# -- time -------------------------------------------------------------------------------------------------------------


async def test_L43_L48_no_pattern_and_no_payload_stalls_the_engine() -> None:
    async with Remit(":memory:", processes=[deliver]) as app:
        await app.apply_policy(
            filtering("on: [input, result], find: [email, card, iban, secrets], action: redact"),
            "policy: evil\nversion: 1.0.0\nfilters: [{on: [input, result], pattern: '(a+)+b$', action: block},"
            " {on: input, pattern: '(x*)*y|c(.*z)?w', action: block}]\n",
        )
        most = 200_000
        for text in ("a" * most, "c" * most, "4111 1111 1111 1112 " * (most // 20), "DE12 " * (most // 5), "a@a." * (most // 4)):
            began = time.perf_counter()
            outcome = await (await app.start(deliver, Letter(to=text))).outcome(timeout=60)
            assert outcome.ok
            assert time.perf_counter() - began < 5, text[:10]
