"""The shop of the orders example, opened for one test on books of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.orders.company import Company, company
from examples.orders.demo import main

__all__ = ["change", "diary", "free", "open_company", "order", "rows", "run_demo"]


@pytest.fixture
def open_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """A company on fresh books; what it sets in the environment is taken back."""
    monkeypatch.setenv("PAYMENTS_URL", "")
    with company(tmp_path) as found:
        yield found


def order(name: str = "o-1", customer: str = "aurora", **items: int) -> dict[str, Any]:
    """An order; the parts are named with '_' for '-'."""
    lines = [{"sku": sku.replace("_", "-"), "qty": quantity} for sku, quantity in items.items()]
    return {"order_id": name, "customer": customer, "items": lines or [{"sku": "YAW-SENSOR", "qty": 2}]}


def rows(found: Company, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the shop's books say."""
    with found.shop.reading() as books:
        return [tuple(row) for row in books.execute(query, values)]


def change(found: Company, statement: str, *values: Any) -> None:
    """What somebody does to the shop's books besides."""
    with found.shop.writing() as books:
        books.execute(statement, values)


def diary(found: Company, execution_id: str | None = None) -> list[str]:
    """What was really done, in order; by one execution, or by all."""
    told = rows(found, "SELECT ref, what FROM diary ORDER BY line")
    return [what for ref, what in told if execution_id in (None, ref)]


def free(found: Company, warehouse: str, sku: str) -> int:
    """How much of a part nobody holds."""
    ((quantity,),) = rows(found, "SELECT on_hand - held FROM stock WHERE warehouse = ? AND sku = ?", warehouse, sku)
    return int(quantity)


def run_demo(folder: str) -> None:
    """The demo as a program of its own, for those who kill it."""
    main(["--folder", folder])
