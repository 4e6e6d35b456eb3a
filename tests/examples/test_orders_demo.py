"""The orders demo as a program: what it prints, run twice, and killed in the middle of a rollback."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from examples.orders.demo import ORDERS, Processed, main, process_orders
from remit import Remit
from remit.testing.faults import Exited, Killed, child_argv, run_until_killed
from tests.examples.test_orders import SEEDS_FIVE

PROJECT = Path(__file__).parents[2]
DECLINED = [
    "1. Child: Undo Authorize",
    "2. Child: Undo Check_Credit",
    '3. Parent: Compensate "Charge_Payment" step',
    "4. Child: Undo Update_Ledger",
    "5. Child: Undo Reserve_Items",
    "6. Child: Undo Check_Stock",
    '7. Parent: Compensate "Allocate_Inventory" step',
    '8. Parent: Compensate "Reserve_Flight" step',
]
UNDONE = [[], ["1. Child: Undo Check_Stock (no-op, failed before execution)"], DECLINED, SEEDS_FIVE]
LINES = """
73000 g on QY 204 booked
planned in WH-1
held 2 PITCH-MOTOR
held 40 BLADE-BOLT
ledger posted
credit of 511520 counted
claim booked
payment of 511520 closed
pick-up by hansa booked
36000 g on QY 311 booked
flight released
18500 g on QY 118 booked
planned in WH-1
held 1 PITCH-MOTOR
ledger posted
credit of 186000 counted
credit freed
charge withdrawn
ledger reversed
items released
plan withdrawn
allocation withdrawn
flight released
14400 g on QY 311 booked
planned in WH-3
held 2 SLIP-RING
items released
plan withdrawn
allocation withdrawn
flight released
""".strip().splitlines()
"""What the shop's books must say at the end, in this order, whatever happened on the way."""
COMPENSATIONS = 12
"""Those that run: eight of the declined order, four of the other; the ones that are skipped do not."""


def lines(folder: Path, database: str, query: str) -> list[str]:
    with closing(sqlite3.connect(folder / database)) as books:
        return [row[0] for row in books.execute(query)]


def diary(folder: Path) -> list[str]:
    return lines(folder, "shop.db", "SELECT what FROM diary ORDER BY line")


def statement(folder: Path) -> list[str]:
    return lines(folder, "provider.db", "SELECT what FROM statement ORDER BY line")


def seen_through(folder: Path) -> list[Processed]:
    """What a run of the demo comes to, on whatever earlier ones have left."""
    return asyncio.run(process_orders(folder))


def assert_all_as_it_should_be(folder: Path, orders: list[Processed]) -> None:
    assert [each.undone for each in orders] == UNDONE
    assert [each.tree.key for each in orders] == [each["order_id"] for each in ORDERS]
    assert [each.tree.shown_status for each in orders] == ["COMPLETED"] * 2 + ["FAILED_ROLLED_BACK"] * 2
    assert diary(folder) == LINES
    assert statement(folder) == ["authorized order-1001 511520"]


def killed(folder: Path, boundary: str, nth: int) -> Killed | Exited:
    argv = child_argv("tests.examples.orders_scene:run_demo", str(folder))
    return run_until_killed(argv, boundary, nth, cwd=PROJECT)


def test_L37_the_demo_prints_the_documents_list_of_five(tmp_path, capsys):
    assert main(["--folder", str(tmp_path)]) == 0
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert printed[0] == "order-1001: confirmed, 5,115.20 EUR, from WH-1 with hansa"
    assert "order-1002: backordered" in printed
    assert "InventoryAllocation  COMPLETED, undone  $0.00" in printed
    last = next(at for at, line in enumerate(printed) if line.startswith("order-1004: FAILED_ROLLED_BACK"))
    assert printed[last + 2 : last + 8] == ["Compensation Order:", *SEEDS_FIVE]
    assert_all_as_it_should_be(tmp_path, seen_through(tmp_path))


def test_L9_run_twice_it_does_nothing_twice(tmp_path):
    first = seen_through(tmp_path)
    assert_all_as_it_should_be(tmp_path, first)
    again = seen_through(tmp_path)
    assert_all_as_it_should_be(tmp_path, again)
    assert [each.tree for each in again] == [each.tree for each in first]


@pytest.mark.parametrize(
    ("boundary", "nth"),
    [
        *(("saga.compensated", nth) for nth in (1, 8, COMPENSATIONS)),
        ("saga.before", 10),
        ("saga.recorded", 5),
        ("saga.child", 1),
    ],
)
def test_L37_killed_in_the_middle_of_a_rollback_it_undoes_everything_once_and_in_order(boundary, nth, tmp_path):
    ending = killed(tmp_path, boundary, nth)
    assert isinstance(ending, Killed), ending
    assert len(diary(tmp_path)) < len(LINES) or nth == COMPENSATIONS
    assert_all_as_it_should_be(tmp_path, seen_through(tmp_path))


def test_L37_killed_again_and_again_in_one_rollback_it_comes_to_its_end(tmp_path):
    """Each of the victims gets one compensation further, and dies before that is recorded."""
    for _ in range(3):
        assert isinstance(killed(tmp_path, "saga.compensated", 2), Killed)
    orders = seen_through(tmp_path)
    assert_all_as_it_should_be(tmp_path, orders)
    assert max(attempts(tmp_path)) >= 2


def attempts(folder: Path) -> list[int]:
    """How often each compensation was begun."""

    async def read() -> list[int]:
        async with Remit(f"sqlite:///{folder / 'remit.db'}") as app:
            roots = await app.list(process="OrderProcessing")
            trees = [await app.tree(root.execution_id) for root in roots]
        return [each.attempt for tree in trees for node in (tree, *tree.children) for each in node.compensations]

    return asyncio.run(read())


@pytest.mark.parametrize(("boundary", "nth"), [("step.after", 4), ("step.after", 17)])
def test_L47_killed_in_the_middle_of_an_order_it_goes_on(boundary, nth, tmp_path):
    ending = killed(tmp_path, boundary, nth)
    assert isinstance(ending, Killed), ending
    assert_all_as_it_should_be(tmp_path, seen_through(tmp_path))


def test_the_demo_says_what_it_cannot_start_on(tmp_path, capsys):
    (tmp_path / "remit.db").write_bytes(b"this is no database" * 100)
    assert main(["--folder", str(tmp_path)]) == 2
    assert "remit.db" in capsys.readouterr().err
