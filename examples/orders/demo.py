"""Four orders: one is confirmed, one waits for goods, two come to nothing: `python -m examples.orders [--folder DIR]`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remit import Record, Remit, RemitError

from .company import company
from .report import compensation_order, order_lines, undone

__all__ = ["ORDERS", "Processed", "main", "process_orders"]

ORDERS: tuple[dict[str, Any], ...] = (
    {"order_id": "order-1001", "customer": "aurora", "items": [{"sku": "PITCH-MOTOR", "qty": 2}, {"sku": "BLADE-BOLT", "qty": 40}]},
    {"order_id": "order-1002", "customer": "bancal", "items": [{"sku": "SLIP-RING", "qty": 5}]},
    {"order_id": "order-1003", "customer": "cirrus", "items": [{"sku": "PITCH-MOTOR", "qty": 1}]},
    {"order_id": "order-1004", "customer": "bancal", "items": [{"sku": "SLIP-RING", "qty": 2}]},
)  # fmt: skip
"""All is there; five slip rings are not; the card is declined; the only warehouse that has it is taking stock."""
_PATIENCE_S = 60.0
_HELP = """Runs four orders through the departments of a shop. The store, the shop's books and those of the payment
provider lie in one folder. Run again, it finds the same orders and does nothing twice; killed, it goes on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0, or 2 for what it cannot start on."""
    parser = argparse.ArgumentParser(prog="python -m examples.orders", description=_HELP)
    there = Path(os.path.relpath(Path(__file__).parent / "out"))
    parser.add_argument("--folder", type=Path, default=there, help="where everything is kept (%(default)s)")
    folder: Path = parser.parse_args(arguments).folder
    try:
        orders = asyncio.run(process_orders(folder))
    except RemitError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 2
    for processed in orders:
        print(*order_lines(processed.tree), sep="\n")
        if processed.undone:
            print("    Compensation Order:", *(f"    {line}" for line in processed.undone), sep="\n")
    print(f"\nLook closer: remit tree {orders[-1].tree.execution_id} --store {_store(folder)}")
    return 0


@dataclass(frozen=True, slots=True)
class Processed:
    """An order at its end, and what was undone of it, in order."""

    tree: Record
    undone: list[str]


async def process_orders(folder: Path) -> list[Processed]:
    """Run all orders, until each has ended and what it did is undone where it has to be."""
    with company(folder) as open_company:
        async with Remit(_store(folder), **open_company.terms()) as app:
            return [await _process(app, order) for order in ORDERS]


def _store(folder: Path) -> str:
    return f"sqlite:///{folder / 'remit.db'}"


async def _process(app: Remit, order: dict[str, Any]) -> Processed:
    """One after the other, so that each finds the stock that the one before has left."""
    execution = await app.start("OrderProcessing", order, key=order["order_id"], owner="sales")
    await execution.outcome(_PATIENCE_S)
    await execution.compensated(_PATIENCE_S)
    tree = await app.tree(execution.id)
    return Processed(tree, list(compensation_order(await undone(app, tree))))
