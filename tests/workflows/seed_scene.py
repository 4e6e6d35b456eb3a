"""Where the third document's workflows run: a directory of files and functions made for one test, and a gate to hold them at."""

from __future__ import annotations

import asyncio
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from pieces import Piece
from remit import Record, Remit
from seedmap import pieces_of_documents
from tests.laws.scene import flatten, until

__all__ = ["FLIGHT", "PREAMBLE", "SNIPPETS", "STOCK", "Gate", "code", "gate", "note", "notes", "shown", "shows", "snippet", "write", "yaml"]

PREAMBLE = """
import asyncio
from datetime import timedelta
from typing import Any, Optional

from pydantic import BaseModel

from remit.workflows import StartSubWorkflowDirective, StepContext, WorkflowJumpDirective, WorkflowPauseDirective
from tests.workflows.seed_scene import gate, note, notes


class OrderState(BaseModel):
    order_id: str = "order-1"
    items: list[dict] = [{"sku": "WIDGET-1", "qty": 2}]
    owner_id: Optional[str] = None
    data_region: Optional[str] = None
    customer_warehouse: Optional[str] = None
    inventory_allocated: bool = False
    warehouse_id: Optional[str] = None


def noted(state, context):
    note(context.step_name)
    return {}


async def hold(state, context):
    note(context.step_name)
    await gate.passed(context.step_name)
    return {}
"""

notes: list[Any] = []
"""What the functions of the workflows have said, in order."""


def note(what: Any) -> None:
    """Called by the workflows' functions."""
    notes.append(what)


class Gate:
    """Holds steps by name until a test opens the way."""

    def __init__(self) -> None:
        self._gates: dict[str, asyncio.Event] = {}

    def open(self, name: str) -> None:
        """Let the step of that name pass, now and later."""
        self._gates.setdefault(name, asyncio.Event()).set()

    def shut(self) -> None:
        """As before any was opened."""
        self._gates.clear()

    async def passed(self, name: str) -> None:
        """Return once the gate is open for that name."""
        await self._gates.setdefault(name, asyncio.Event()).wait()


gate = Gate()


def write(directory: Path, functions: str, **workflows: str) -> Path:
    """A directory of workflow files, `steps.py` beside them; the names of the files are the keywords."""
    (directory / "steps.py").write_text(PREAMBLE + textwrap.dedent(functions), "utf-8")
    for name, text in workflows.items():
        (directory / f"{name}.yaml").write_text(textwrap.dedent(text), "utf-8")
    return directory


async def shows(app: Remit, root: str, *expected: str) -> list[Record]:
    """Wait until the executions of a trace, each before its children, show these statuses; give them."""

    async def seen() -> list[Record]:
        records = flatten(await app.tree(root))
        return records if [str(each.status) for each in records] == list(expected) else []

    return await until(seen)


async def shown(app: Remit, root: str) -> list[tuple[str, str]]:
    """Process and status of each execution of a trace."""
    return [(each.process, str(each.status)) for each in flatten(await app.tree(root))]


# -- a flight and its stock: the parent and the child of the document's saga ------------------------------------------

FLIGHT = """
workflow_type: OrderProcessing
steps:
  - {name: Reserve_Flight, function: steps.noted, compensate_function: steps.undo}
  - {name: Allocate_Inventory, function: steps.spawn, compensate_function: steps.undo}
  - {name: Charge_Payment, function: steps.noted, compensate_function: steps.undo}
"""
STOCK = """
workflow_type: InventoryAllocation
saga_enabled: true
steps:
  - {name: Check_Stock, function: steps.noted, compensate_function: steps.undo}
  - {name: Reserve_Items, function: steps.noted, compensate_function: steps.undo}
  - {name: Update_Ledger, function: steps.fails, compensate_function: steps.undo}
"""


# -- the document's own snippets ----------------------------------------------------------------------------------------

SNIPPETS = {
    "monolith": "c8e318166825",
    "composed": "961f94322c59",
    "trigger": "084bcc370dca",
    "merging": "e862ce67e68e",
    "initial data": "6726fc7b01f8",
    "state model": "16aabd69f6c9",
    "retrieve results": "a03ad9f48098",
    "owner and region": "063a58003acc",
    "propagation": "9fa1853e062d",
    "on_failure": "de003ad80224",
    "workaround": "5895b3228f31",
    "saga": "ef36eaa61bca",
    "compensation order": "7cf5f7aa3cd8",
    "children": "aefa1c1189a7",
    "blocked": "66de1e6b529c",
    "tree": "2ab9e5a7313a",
    "parallel": "35e65a5cec80",
    "spawners": "cbb33e2333b2",
    "idempotency": "2938dbcdef80",
    "minimal data": "96f6a4cfe6b2",
    "contract": "6274f56ca73d",
    "timeouts": "d774439ab989",
}
FILLED = 'initial_data={"order_id": state.order_id, "items": state.items}'


@cache
def _by_hash() -> dict[str, Piece]:
    return {piece.hash: piece for piece in pieces_of_documents() if piece.seed == "sub-workflows"}


def snippet(name: str) -> str:
    """A snippet as it stands in the document, without comments that only say good or bad."""
    return _by_hash()[SNIPPETS[name]].text


def code(name: str) -> str:
    """A Python snippet, its imports those of Remit; what the document leaves out with three dots is filled in."""
    text = snippet(name).replace("from ruvon.models import", "from remit.workflows import")
    return re.sub(r"initial_data=\{\.\.\.\}|(?<=, )\.\.\.(?=\))", FILLED, text)


def yaml(name: str) -> str:
    """A YAML snippet with a function for each step that the document gives none, named as the step is."""
    lines = snippet(name).splitlines()
    filled = []
    for number, line in enumerate(lines):
        filled.append(line)
        named = re.match(r'(\s*)- name: "(\w+)"', line)
        follows = lines[number + 1] if number + 1 < len(lines) else ""
        if named and not re.match(rf"{named[1]}  (type|function_path):", follows):
            filled.append(f"{named[1]}  function: steps.noted")
    return "\n".join(filled) + "\n"
