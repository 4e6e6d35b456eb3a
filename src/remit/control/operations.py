"""What operators and outside systems do to executions: answer, send, cancel, retry, top up."""

from __future__ import annotations

from typing import Any
from unicodedata import category, normalize

import orjson

from remit.control.asks import called, labels
from remit.control.auditing.refusals import on_record
from remit.control.queries import unknown
from remit.engine.engine import Engine
from remit.engine.node import Node
from remit.engine.terms import history_begins
from remit.engine.values.json_schemas import validator_of
from remit.engine.values.seam import SeamError, canonical, digest
from remit.engine.values.texts import optional_text, short_text
from remit.errors import InvalidInput, MisuseError
from remit.kernel.states import TERMINAL, Status
from remit.kernel.trace import root_of
from remit.kernel.usage import Budget
from remit.store.records import EffectKind, JournalRecord

__all__ = ["Operations"]


class Operations:
    """Commands on one engine. Each is durable when it returns; a refused one has changed nothing.

    `by` says who commands: the audit log has it (L49).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _node(self, execution_id: str) -> Node:
        node = self._engine.traces.load(execution_id)
        if node is None:
            raise unknown(execution_id)
        return node

    @on_record
    async def answer(self, execution_id: str, value: Any, ask: str | None = None, by: str | None = None) -> None:
        """Answer an open ask at the execution or below it.

        Raises MisuseError: `already_answered`, `no_open_ask`, `ambiguous_ask` (it lists them), `four_eyes` where a policy
        wants another person than the owner; InvalidInput for a value that does not fit what was asked for.
        """
        engine = self._engine
        optional_text(by, "by")
        self._node(execution_id)
        await engine.durability.settled()
        asked, entry = self._open_ask(execution_id, ask)
        node = self._node(asked)
        living = engine.settling.entry_of(node, entry.position)
        if living is None or living.ended_at is not None:
            raise MisuseError(
                f"Ask {entry.name!r} of {asked} has its answer already; the first one stands",
                code="already_answered",
                execution_id=asked,
            )
        self._refuse_own_approval(node, living, by)
        payload = _checked(value, living)
        told = {"ask": entry.name, "position": entry.position, "answer": engine.audit.mark(node.record.tenant, digest(payload))}
        engine.audit.entry(asked, "answered", told, by)
        if by is not None:
            living.terms = orjson.dumps({**orjson.loads(living.terms or b"{}"), "by": by})
        engine.settling.settle(node, living, payload, None)
        await engine.durability.barrier()

    def _refuse_own_approval(self, node: Node, entry: JournalRecord, by: str | None) -> None:
        """Under a policy of four eyes, whoever answers is named and is not the one on whose behalf the trace runs (L43)."""
        governance = self._engine.governance
        policy = governance.over(node).regime.four_eyes if governance is not None else None
        if policy is None:
            return
        owner = node.trace.root.record.owner
        details = {"policy": policy, "execution_id": node.id, "ask": entry.name, "owner": owner, "by": by}
        if not _person(by):
            problem = "Say who answers: `remit answer ID VALUE --as NAME`, or answer(..., by=)"
        elif _person(by) == _person(owner):
            problem = f"{by!r} owns this trace: somebody else has to answer"
        else:
            return
        message = f"Policy {policy} wants four eyes on {entry.name!r}. {problem}."
        self._engine.alert(node, "four_eyes", message, details, about=entry.name)
        raise MisuseError(message, code="four_eyes", details=details)

    def _open_ask(self, execution_id: str, ask: str | None) -> tuple[str, JournalRecord]:
        store = self._engine.store
        found = store.open_asks(execution_id)
        named = [(owner, entry) for owner, entry in found if ask is None or ask == owner or called(entry, ask)]
        if len(named) == 1:
            return named[0]
        if len(named) > 1:
            lines = [
                {"execution_id": owner, "ask": label, "prompt": orjson.loads(entry.params or b"{}").get("prompt")}
                for (owner, entry), label in zip(named, labels(named), strict=True)
            ]
            listing = "; ".join(f"{line['ask']} at {line['execution_id']}" for line in lines)
            raise MisuseError(
                f"{len(named)} asks are open below {execution_id}: {listing}. Name one with ask=, or answer at its execution.",
                code="ambiguous_ask",
                asks=lines,
            )
        if self._answered(execution_id, ask):
            raise MisuseError(
                f"{execution_id} has its answer already; the first one stands",
                code="already_answered",
                execution_id=execution_id,
            )
        which = f" named {ask!r}" if ask is not None else ""
        raise MisuseError(
            f"Nothing{which} waits for an answer at {execution_id} or below it",
            code="no_open_ask",
            execution_id=execution_id,
        )

    def _answered(self, execution_id: str, ask: str | None) -> bool:
        store = self._engine.store
        return any(
            entry.kind is EffectKind.ASK and entry.result is not None and (ask is None or called(entry, ask))
            for record in store.subtree(execution_id)
            for entry in store.journal(record.n)
        )

    @on_record
    async def send(
        self, execution_id: str, event: str, payload: Any, dedupe: str | None = None, by: str | None = None
    ) -> bool:
        """Send an event; False where its deduplication key was seen before (L50)."""
        await self._engine.durability.settled()
        node = self._node(execution_id)
        short_text(event, "event")
        optional_text(dedupe, "dedupe")
        optional_text(by, "by")
        # who was not told that it came sends again, and what came may have ended the execution
        if node.ended and not self._engine.settling.has_come(node, event, dedupe):
            raise MisuseError(
                f"{execution_id} has ended ({node.record.status}); it takes no events", code="wrong_state"
            )
        told = _plain(payload, f"event {event!r}")
        sent = self._engine.settling.send(node, event, told, dedupe, by)
        self._engine.traces.let_go(node)
        await self._engine.durability.barrier()
        return sent

    @on_record
    async def cancel(
        self, execution_id: str, reason: str = "an operator asked for it", by: str | None = None
    ) -> bool:
        """Cancel an execution and everything below it that is not detached; False where it had ended (L35)."""
        optional_text(by, "by")
        node = self._node(execution_id)
        if not node.ended:
            self._engine.audit.entry(execution_id, "cancel.ordered", {"reason": reason}, by)
        cancelled = self._engine.endings.cancel(execution_id, reason)
        await self._engine.durability.barrier()
        return cancelled

    @on_record
    async def retry(self, execution_id: str, from_step: str | None = None, by: str | None = None) -> None:
        """Run a failed chain again, or a paused execution on; with `from_step`, what came from that step on is made anew (L34)."""
        engine = self._engine
        optional_text(by, "by")
        await engine.durability.settled()
        node = self._node(execution_id)
        engine.keeping.refuse_erased(node.record)
        status = node.record.status
        if status is Status.COMPLETED or (status not in TERMINAL and status is not Status.PAUSED):
            raise MisuseError(
                f"{execution_id} is {status}; only a failed, timed out, cancelled or paused execution can be retried",
                code="wrong_state",
            )
        if status is not Status.PAUSED:
            engine.sagas.refuse_retry(engine.endings.chain(node))
        if from_step is not None:
            self._set_aside_from(node, from_step)
        engine.audit.entry(execution_id, "retry.ordered", {"was": str(status), "from_step": from_step}, by)
        if status is Status.PAUSED:
            engine.resume(node)
        else:
            engine.endings.reopen(node)
        await engine.durability.barrier()

    def _set_aside_from(self, node: Node, step: str) -> None:
        """The first entry of that name and all that came after it, calls included."""
        engine = self._engine
        if engine.sagas.is_undone(node):
            raise MisuseError(
                f"{node.id} was rolled back: nothing that it did before {step!r} stands. Retry it without from_step; it runs in full.",
                code="wrong_state",
                execution_id=node.id,
            )
        engine.durability.flush()
        entries = engine.store.journal(node.record.n, node.record.generation)
        since = history_begins(node.record)
        children = [each for each in engine.store.children(node.record.n) if each.position >= since]
        named = [(entry.position, entry.name, _said_in(entry)) for entry in entries]
        named += [(child.position, child.process, child.label) for child in children]
        found = [position for position, *names in named if step in names]
        found = found or [position for position, *names in named if any(_is_part(step, name) for name in names)]
        if not found:
            there = sorted({name for _, *names in named for name in names if name is not None})
            raise MisuseError(
                f"{node.id} has recorded no step {step!r}; it has: {', '.join(there)}", code="invalid_input"
            )
        begin = min(found)
        for entry in entries:
            if entry.position >= begin:
                engine.durability.set_aside(entry)
        for child in children:
            if child.position >= begin and child.key is not None:
                below = engine.traces.load(child.id)
                assert below is not None
                if not below.ended:
                    engine.endings.cancel(child.id, f"its caller is retried from step {step!r}")
                engine.durability.unclaim(below)

    @on_record
    async def top_up(self, root_id: str, budget: Budget, by: str | None = None) -> None:
        """Raise a root's limits by a budget; executions paused for want of it go on (L26)."""
        engine = self._engine
        if not isinstance(budget, Budget):
            raise InvalidInput(f"top_up({budget!r}): give a Budget(tokens=..., cost=...)")
        optional_text(by, "by")
        self._node(root_id)
        node = self._node(root_of(root_id))
        record = node.record
        if record.limit_tokens is None and record.limit_cost is None:
            raise MisuseError(f"{node.id} has no budget limit: there is nothing to top up", code="wrong_state")
        if record.limit_tokens is not None and budget.tokens:
            record.limit_tokens += budget.tokens
        if record.limit_cost is not None and budget.cost_micros:
            record.limit_cost += budget.cost_micros
        node.account.tokens.limit, node.account.cost.limit = record.limit_tokens, record.limit_cost
        details = {
            "tokens": budget.tokens,
            "cost": budget.cost,
            "limit_tokens": record.limit_tokens,
            "limit_cost": record.limit_cost,
        }
        engine.durability.touch(node)
        engine.audit.entry(node.id, "topped_up", details, by)
        engine.alert(node, "topped_up", f"The budget of {node.id} was topped up", details, f"to {details}")
        await engine.durability.barrier()
        for paused in engine.store.subtree(node.id, open_only=True):
            if paused.status is Status.PAUSED and paused.error is not None and b'"budget_exhausted"' in paused.error:
                engine.resume(self._node(paused.id))


def _person(name: str | None) -> str:
    """A name as it is compared: without what differs in case, in how letters are encoded, in spaces and in what is not seen."""
    folded = normalize("NFKC", normalize("NFKC", name or "").casefold())
    return "".join(each for each in folded if category(each)[0] not in "CZ")


def _said_in(entry: JournalRecord) -> str | None:
    """The step of a workflow that called a tool or model; None where no workflow did."""
    if entry.kind not in (EffectKind.TOOL, EffectKind.MODEL):
        return None
    params = orjson.loads(entry.params or b"{}")
    return params.get("step") if isinstance(params, dict) and isinstance(params.get("step"), str) else None


def _is_part(step: str, name: str | None) -> bool:
    """Whether something recorded is a task, an item or a later visit of a workflow's step: `Ship.express`, `Ship[3]`, `Ship#2`."""
    return name is not None and name.startswith(step) and name[len(step) : len(step) + 1] in {".", "[", "#"}


def _plain(value: Any, where: str) -> bytes:
    try:
        return canonical(value, where)
    except SeamError as error:
        raise InvalidInput(str(error), path=error.path) from None


def _checked(value: Any, entry: JournalRecord) -> bytes:
    """The answer as JSON, checked against what was asked for."""
    payload = _plain(value, f"the answer to {entry.name!r}")
    schema = orjson.loads(entry.terms or b"{}").get("schema") or {}
    problem = next(iter(validator_of(schema).iter_errors(orjson.loads(payload))), None)
    if problem is not None:
        path = "/" + "/".join(str(part) for part in problem.absolute_path) if problem.absolute_path else ""
        raise InvalidInput(
            f"The answer to {entry.name!r} does not fit{f' at {path}' if path else ''}: {problem.message}", path=path
        )
    return payload
