"""Holds what the world saw before a crash against what recovery made of it: names every broken promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from remit import Remit
from remit.kernel.audit import beginning_of
from remit.kernel.audit import findings as faults_of
from tests.faults.workload import LEGS, Answers, Seen, expected_acts, expected_undoing, nodes, voyage_of

__all__ = ["History", "findings"]

_TOKENS = LEGS * 7 + 80
_COST = Decimal("0.002")
_ONE_THOUGHT_AT_MOST = 150


@dataclass(frozen=True, slots=True)
class History:
    """What was seen before the crash, what after it, and what the human and the event said after it."""

    before: Sequence[Seen]
    after: Sequence[Seen]
    answers: Answers

    def acts(self) -> Iterator[Seen]:
        """Every act, of both sides."""
        return (seen for seen in (*self.before, *self.after) if seen.what == "acted")

    def again(self) -> Counter[str]:
        """The labels that were acted on after the crash, and how often."""
        return Counter(seen.label for seen in self.after if seen.what == "acted")

    def acknowledged(self, what: str, label: str) -> Any:
        """What the caller had been told before the crash, or None."""
        return next((seen for seen in self.before if (seen.what, seen.label) == (what, label)), None)


async def findings(app: Remit, labels: Iterable[str], history: History) -> list[str]:
    """Every promise that does not hold after `drive` has seen all roots through again; empty where all do."""
    broken = [*_repeated_steps(history), *_broken_chains(app)]
    for label in labels:
        broken += _lost_acknowledgements(label, history)
        tree = await app.tree(_root_id(label, history))
        broken += _second_children(tree, label, history)
        broken += _inexact_ledger(tree)
        broken += _disorderly_rollback(label, history)
        broken += _unfinished_rollback(await app.tree(_root_id(voyage_of(label), history)))
    return broken


def _root_id(label: str, history: History) -> str:
    return next(seen.execution for seen in history.after if (seen.what, seen.label) == ("started", label))


def _repeated_steps(history: History) -> Iterator[str]:
    """L46, L47: an act seen before the crash stood on acts that were durable, so those never run again."""
    again = history.again()
    for label, times in again.items():
        if times > 1:
            yield f"{label} ran {times} times in one recovery"
    for seen in history.before:
        for needed in seen.after:
            if needed in again:
                yield f"{seen.label} had run on the result of {needed}, which ran again"


def _broken_chains(app: Remit) -> Iterator[str]:
    """L49: no cut leaves a gap or a fork in the audit log, and every execution that there is has its admission there."""
    store = app.engine.store
    beginning = beginning_of(store.audit_id())
    for chain in store.audit_chains():
        rows = store.audit_entries(chain)
        yield from (each.message for each in faults_of(chain, rows, beginning))
        for row in rows:
            if row.execution and store.execution(row.execution) is None:
                yield f"row {row.seq} of {chain} tells of {row.execution}, which there is not"
    yield from (f"{each} has no admission in the audit log" for each in store.unaudited())


def _lost_acknowledgements(label: str, history: History) -> Iterator[str]:
    """L46: what a caller was told before the crash still holds."""
    started, now = history.acknowledged("started", label), _root_id(label, history)
    if started and started.execution != now:
        yield f"{label} was started as {started.execution}, and again as {now}"
    end = next(seen.value for seen in history.after if (seen.what, seen.label) == ("ended", label))
    if "failed" in end:
        yield f"{label} failed: {end['failed']}"
        return
    ended = history.acknowledged("ended", label)
    if ended and ended.value != end:
        yield f"{label} ended with {ended.value}, and again with {end}"
    if ended:
        yield from (f"{each} ran after its root had ended" for each in history.again() if _is_own(each, label))
    for what, field in (("answered", "verdict"), ("sent", "word")):
        told = history.acknowledged(what, label)
        if told and told.value != end[field]:
            yield f"{label}: the {field} {told.value!r} was accepted, and {end[field]!r} was used"
    if end["legs"] != LEGS * 3:
        yield f"{label} counts {end['legs']} acts of its legs"


def _is_own(act: str, root: str) -> bool:
    """Whether the act is the root's awaited work; its postscript may go on after its end."""
    return act.startswith(f"{root}/") and "/postscript/" not in act


def _second_children(tree: Any, label: str, history: History) -> Iterator[str]:
    """L8, L9: one execution for every call, and acts only in it."""
    ids: dict[str, str] = {}
    for node in nodes(tree):
        called = node.input["label"]
        if called in ids:
            yield f"{called} has two executions: {ids[called]} and {node.execution_id}"
        ids[called] = node.execution_id
        if node.status != "COMPLETED":
            yield f"{called} ended as {node.status}: {node.error}"
    acts = [seen for seen in history.acts() if seen.label.startswith(f"{label}/")]
    for seen in acts:
        if ids.get(seen.label.rpartition("/")[0]) != seen.execution:
            yield f"{seen.label} ran in {seen.execution}, which is not its execution"
    missing = expected_acts(label) - {seen.label for seen in acts}
    if missing:
        yield f"{label} ended without {sorted(missing)}"


def _disorderly_rollback(label: str, history: History) -> Iterator[str]:
    """L37: each is taken back once, in order; one that ran in a crash runs again, before the next."""
    order = expected_undoing(label)
    seen = [each for each in (*history.before, *history.after) if each.what == "undid" and each.label in order]
    places = [order.index(each.label) for each in seen]
    if places != sorted(places) or set(places) != set(range(len(order))):
        yield f"taken back were {[each.label for each in seen]}, and not {order}"
    for label_, times in Counter(each.label for each in history.after if each.what == "undid").items():
        if times > 1:
            yield f"{label_} was taken back {times} times in one recovery"
    yield from (f"{each.label} was taken back with {each.value}" for each in seen if each.value != 1)
    told = history.acknowledged("rolled back", voyage_of(label))
    if told and any(each.what == "undid" and each.label in order for each in history.after):
        yield f"{voyage_of(label)} was rolled back, and again"


def _unfinished_rollback(tree: Any) -> Iterator[str]:
    """L37: everything is undone in the end, and says so."""
    for node in nodes(tree):
        status = "COMPLETED" if node.process == "berth" else "FAILED_ROLLED_BACK"
        if (node.shown_status, node.compensation) != (status, "done"):
            yield f"{node.input['label']} ended as {node.shown_status}, its compensations {node.compensation}"
        if [each.status for each in node.compensations] != ["done", "done"]:
            yield f"{node.input['label']} lists {node.compensations}"


def _inexact_ledger(tree: Any) -> Iterator[str]:
    """L24, L27: the root's subtree is the sum of all own; what was open is estimated."""
    everything = nodes(tree)
    tokens = sum(node.usage.own.tokens for node in everything)
    cost = sum(Decimal(node.usage.own.cost) for node in everything)
    if (tokens, cost) != (tree.usage.subtree.tokens, Decimal(tree.usage.subtree.cost)):
        yield f"own usage adds up to {tokens} and {cost}, the root's subtree says {tree.usage.subtree}"
    if (tokens - _TOKENS) % _ONE_THOUGHT_AT_MOST or not 0 <= tokens - _TOKENS <= 2 * _ONE_THOUGHT_AT_MOST:
        yield f"{tokens} tokens were charged for {_TOKENS}, and {_ONE_THOUGHT_AT_MOST} for an open thought"
    if not _COST <= cost <= 3 * _COST:
        yield f"{cost} was charged for one look-up of {_COST}"
