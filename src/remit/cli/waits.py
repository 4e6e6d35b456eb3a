"""What executions wait for that does not come by itself, and the command that brings it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from remit.cli.options import DEFAULT_STORE
from remit.cli.values import compact, example_of
from remit.control.asks import labels
from remit.control.views import Record
from remit.engine.definitions import Catalog
from remit.kernel.states import Status
from remit.store.port import Reader
from remit.store.records import JournalRecord

__all__ = ["Wait", "moves", "nodes_of", "waits_of"]

_BY_CHILDREN = frozenset({Status.PENDING_SUB_WORKFLOW, Status.WAITING_CHILD_HUMAN_INPUT})


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait: `kind` is ask, event, paused or code; `command` ends it, its values being a pattern to edit."""

    execution_id: str
    process: str
    kind: str
    name: str
    prompt: str
    to: str | None
    command: str


def nodes_of(tree: Record) -> Iterator[Record]:
    """The node and everything below it, depth first."""
    yield tree
    for child in tree.children:
        yield from nodes_of(child)


def moves(node: Record, catalog: Catalog | None = None) -> bool:
    """Whether an execution goes on without anybody: it runs, is about to, sleeps, or its child has just ended."""
    if node.ended_at is not None or node.status in (Status.PAUSED, Status.WAITING_HUMAN_INPUT):
        return False
    if catalog is not None and catalog.to_continue(node.process, node.version) is None:
        return False
    if node.status in _BY_CHILDREN:
        return not any(child.awaited and child.ended_at is None for child in node.children)
    return not any(each.get("kind") == "event" for each in node.waiting_on.first)


def waits_of(tree: Record, reader: Reader, store: str, catalog: Catalog | None = None) -> list[Wait]:
    """Every wait in a tree that somebody must end, asks first."""
    place = "" if store == DEFAULT_STORE else f" --store {shlex.quote(store)}"
    found = reader.open_asks(tree.execution_id)
    asks = [_ask(owner, entry, label, place, tree) for (owner, entry), label in zip(found, labels(found), strict=True)]
    return asks + [wait for node in nodes_of(tree) for wait in _others(node, place, catalog)]


def _ask(owner: str, entry: JournalRecord, label: str, place: str, tree: Record) -> Wait:
    asked = orjson.loads(entry.params or b"{}")
    pattern = compact(example_of(orjson.loads(entry.terms or b"{}").get("schema") or {}))
    node = next((node for node in nodes_of(tree) if node.execution_id == owner), tree)
    several = (
        f" --ask {shlex.quote(label)}" if sum(each.get("kind") == "ask" for each in node.waiting_on.first) > 1 else ""
    )
    command = f"remit answer {owner} {shlex.quote(pattern)}{several}{place}"
    return Wait(owner, node.process, "ask", label, asked.get("prompt") or entry.name, asked.get("to"), command)


def _others(node: Record, place: str, catalog: Catalog | None) -> Iterator[Wait]:
    if node.ended_at is not None:
        return
    own: tuple[dict[str, Any], ...] = node.waiting_on.first
    for each in own:
        if each.get("kind") == "event":
            name = str(each["name"])
            yield Wait(
                node.execution_id,
                node.process,
                "event",
                name,
                f"event {name!r}",
                None,
                f"remit send {node.execution_id} {shlex.quote(name)} null{place}",
            )
    if node.status is Status.PAUSED and node.error is not None:
        yield Wait(
            node.execution_id, node.process, "paused", node.error.code, node.error.message, None, _mend(node, place)
        )
    elif (
        catalog is not None
        and node.status not in _BY_CHILDREN
        and catalog.to_continue(node.process, node.version) is None
    ):
        told = f"code for {node.process} {node.version}, which is not hosted here"
        yield Wait(node.execution_id, node.process, "code", node.process, told, None, "remit run TARGET --with MODULE")


def _mend(node: Record, place: str) -> str:
    if node.error is not None and node.error.code == "budget_exhausted":
        needed = node.error.details.get("needed", 0)
        by = f"--tokens {needed}" if node.error.details.get("unit") == "tokens" else "--cost 1.00"
        return f"remit top-up {node.root_execution_id} {by}{place}"
    return f"remit retry {node.execution_id}{place}"
