"""What became of the orders, as lines of text; what was undone is read from the journals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from remit import Compensation, Entry, Record, Remit, Status

__all__ = ["compensation_order", "order_lines", "undone"]


def order_lines(tree: Record) -> Iterator[str]:
    """The order and its children: who, how it ended, what it cost."""
    yield f"{tree.key}: {_told(tree)}"
    for child in tree.children:
        undone = child.status is Status.COMPLETED and child.compensation is Compensation.DONE
        ended = f"{child.shown_status}, undone" if undone else child.shown_status
        yield f"    {child.process:<20} {ended:<18} ${child.usage.subtree.cost}"


def _told(order: Record) -> str:
    if order.error is not None:
        return f"{order.shown_status}, {order.error.message}"
    result: dict[str, Any] = order.result
    if result["stage"] == "backordered":
        return "backordered"
    return f"confirmed, {result['total'] / 100:,.2f} EUR, from {result['warehouse_id']} with {result['carrier']}"


async def undone(app: Remit, tree: Record) -> list[tuple[Record, Entry]]:
    """Every compensation below an execution, in the order in which they ran; each with the execution that it belongs to."""
    return sorted(await _found(app, tree), key=lambda each: each[1].started_at)


async def _found(app: Remit, node: Record) -> list[tuple[Record, Entry]]:
    """The same, by place instead of time: what a child did is undone before the step that stood before its call."""
    journal = await app.journal(node.execution_id)
    found = [(node, each) for each in journal if each.kind == "compensation" and each.generation == node.generation]
    calls = zip((each for each in journal if each.kind == "child"), node.children, strict=True)
    for call, child in reversed([each for each in calls if each[0].generation == node.generation]):
        before = (at for at, (owner, each) in enumerate(found) if owner is node and (each.undoes or 0) < call.position)
        at = next(before, len(found))
        found[at:at] = await _found(app, child)
    return found


def compensation_order(undone: Iterable[tuple[Record, Entry]]) -> Iterator[str]:
    """The numbered list of what was undone."""
    for number, (node, entry) in enumerate(undone, 1):
        yield f"{number}. {_line(node, entry)}"


def _line(node: Record, entry: Entry) -> str:
    step = entry.params["step"]
    line = f'Parent: Compensate "{step}" step' if node.parent_execution_id is None else f"Child: Undo {step}"
    if entry.skipped is not None:
        return f"{line} (no-op, failed before execution)"
    return f"{line} ({entry.error.code})" if entry.error is not None else line
