"""The orders example: an order that is kept, one that waits, and those that come to nothing and are undone."""

from __future__ import annotations

from decimal import Decimal

import pytest

from examples.orders.report import compensation_order, undone
from remit import DomainError, InvalidInput, TransientError
from remit.testing import TestApp, assert_called, assert_not_called, assert_tree, in_turn
from tests.examples.orders_scene import change, diary, free, open_company, order, rows

__all__ = ["open_company"]

ORDER = "OrderProcessing"
SEEDS_FIVE = [
    "1. Child: Undo Update_Ledger (no-op, failed before execution)",
    "2. Child: Undo Reserve_Items",
    "3. Child: Undo Check_Stock",
    '4. Parent: Compensate "Allocate_Inventory" step',
    '5. Parent: Compensate "Reserve_Flight" step',
]


async def test_an_order_is_confirmed_by_four_departments(open_company):
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(ORDER, order(PITCH_MOTOR=2, BLADE_BOLT=40))
        tree = await app.tree(outcome.execution_id)
    assert outcome.unwrap() == {
        "order_id": "o-1",
        "stage": "confirmed",
        "total": (2 * 186_000 + 40 * 4_600) * 92 // 100,
        "warehouse_id": "WH-1",
        "carrier": "hansa",
        "label": "o-1 / WH-1 / QY 204 / 73.0 kg",
    }
    assert_tree(
        tree,
        """
        OrderProcessing COMPLETED $0.08
          InventoryAllocation COMPLETED $0.00
          PricingCalculation COMPLETED $0.00
          PaymentProcessing COMPLETED $0.05
          ShippingArrangement COMPLETED $0.03
        """,
    )
    departments = [tree.department, *(child.department for child in tree.children)]
    assert departments == ["sales", "warehouse", "pricing", "payments", "shipping"]
    assert free(open_company, "WH-1", "PITCH-MOTOR") == 2
    assert open_company.world.statement() == [f"authorized o-1 {511_520}"]
    assert rows(open_company, "SELECT stage FROM orders") == [("confirmed",)]


async def test_L29_every_look_up_outside_is_in_the_lineage_with_its_price_and_without_the_token(open_company):
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(ORDER, order())
        lineage = await app.lineage(outcome.execution_id)
    assert sorted((each.name, each.usage.cost) for each in lineage) == [
        ("Authorize", "0.05"),
        ("carrier.rates", "0.01"),
        ("carrier.rates", "0.01"),
        ("carrier.rates", "0.01"),
    ]
    assert [each.error.code for each in lineage if each.error is not None] == ["no_offer"]
    assert open_company.world.token not in str(lineage)
    assert Decimal(outcome.usage.subtree.cost) == Decimal("0.08")


async def test_L19_an_order_for_what_is_not_there_goes_the_way_of_on_failure(open_company):
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(ORDER, order(customer="bancal", SLIP_RING=5))
        assert outcome.unwrap()["stage"] == "backordered"
        assert_tree(
            await app.tree(outcome.execution_id),
            """
            OrderProcessing COMPLETED
              InventoryAllocation FAILED_ROLLED_BACK out_of_stock
            """,
        )
        assert_not_called(app.calls, "PaymentProcessing")
        assert_called(app.calls, "Record_Backorder", times=1)
    assert rows(open_company, "SELECT * FROM backorders") == [("o-1", "No warehouse has all of it: SLIP-RING missing")]
    assert diary(open_company) == ["36000 g on QY 311 booked", "flight released"]


async def test_L37_the_documents_list_of_five_as_it_really_happened(open_company):
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(ORDER, order(customer="bancal", SLIP_RING=2))
        await app.compensated(outcome.execution_id)
        tree = await app.tree(outcome.execution_id)
        order_of_it = list(compensation_order(await undone(app, tree)))
    assert tree.shown_status == "FAILED_ROLLED_BACK"
    assert tree.error.message == "books_closed: The books of WH-3 are closed for stocktaking"
    assert order_of_it == SEEDS_FIVE
    done = diary(open_company)
    assert done == [
        "14400 g on QY 311 booked",
        "planned in WH-3",
        "held 2 SLIP-RING",
        "items released",
        "plan withdrawn",
        "allocation withdrawn",
        "flight released",
    ]
    assert free(open_company, "WH-3", "SLIP-RING") == 3
    assert rows(open_company, "SELECT free FROM flights WHERE number = 'QY 311'") == [(300_000,)]
    assert rows(open_company, "SELECT * FROM ledger") == []


async def test_L37_a_declined_payment_undoes_children_that_had_completed_too(open_company):
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(ORDER, order(customer="cirrus", PITCH_MOTOR=1))
        await app.compensated(outcome.execution_id)
        tree = await app.tree(outcome.execution_id)
        taken_back = [(node.process, each.params["step"]) for node, each in await undone(app, tree)]
    assert_tree(
        tree,
        """
        OrderProcessing FAILED_ROLLED_BACK payment_declined
          InventoryAllocation COMPLETED
          PricingCalculation COMPLETED
          PaymentProcessing FAILED_ROLLED_BACK payment_declined $0.05
        """,
    )
    assert [child.compensation for child in tree.children] == ["done", "none", "done"]
    assert taken_back == [
        ("PaymentProcessing", "Authorize"),
        ("PaymentProcessing", "Check_Credit"),
        ("OrderProcessing", "Charge_Payment"),
        ("InventoryAllocation", "Update_Ledger"),
        ("InventoryAllocation", "Reserve_Items"),
        ("InventoryAllocation", "Check_Stock"),
        ("OrderProcessing", "Allocate_Inventory"),
        ("OrderProcessing", "Reserve_Flight"),
    ]
    assert diary(open_company)[-7:] == [
        "credit freed",
        "charge withdrawn",
        "ledger reversed",
        "items released",
        "plan withdrawn",
        "allocation withdrawn",
        "flight released",
    ]
    assert open_company.world.statement() == []
    assert free(open_company, "WH-1", "PITCH-MOTOR") == 4
    balance = rows(open_company, "SELECT sum(CASE debit WHEN 'reserved' THEN amount ELSE -amount END) FROM ledger")
    assert balance == [(0,)]


async def test_L37_what_the_provider_has_blocked_is_given_back_when_no_carrier_comes(open_company):
    change(open_company, "DELETE FROM carriers WHERE warehouse = 'WH-1'")
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(ORDER, order(BLADE_BOLT=40))
        record = await app.compensated(outcome.execution_id)
    assert outcome.error.code == "no_carrier"
    assert record.shown_status == "FAILED_ROLLED_BACK"
    assert open_company.world.statement() == ["authorized o-1 169280", "voided o-1"]
    assert rows(open_company, "SELECT debit, sum(amount) FROM ledger GROUP BY debit ORDER BY debit") == [
        ("claims", 169_280),
        ("reserved", 84_000),
        ("revenue", 169_280),
        ("stock", 84_000),
    ]
    assert rows(open_company, "SELECT state FROM credit") == [("free",)]


async def test_L34_a_refused_order_is_retried_when_the_books_are_open_again(open_company):
    """After a rollback the retry is a full rerun, and does everything anew."""
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(ORDER, order(customer="bancal", SLIP_RING=2))
        await app.compensated(outcome.execution_id)
        change(open_company, "UPDATE warehouses SET books_open = 1")
        await app.retry(outcome.execution_id)
        again = await app.outcome(outcome.execution_id)
        tree = await app.tree(outcome.execution_id)
        assert await undone(app, tree) == []
    assert again.unwrap()["stage"] == "confirmed"
    assert (tree.attempt, tree.generation) == (2, 1)
    assert free(open_company, "WH-3", "SLIP-RING") == 1
    assert rows(open_company, "SELECT stage FROM orders") == [("confirmed",)]


async def test_L18_a_provider_that_is_away_is_asked_again(open_company):
    answers = in_turn(TransientError("nobody there"), {"body": {"authorization": "auth-7"}})
    async with TestApp(**open_company.terms(), tools={"Authorize": answers}) as app:
        outcome = await app.run(ORDER, order())
        assert_called(app.calls, "Authorize", times=1, having={"method": "PUT", "attempt": 2})
        payment = (await app.tree(outcome.execution_id)).children[2]
    assert outcome.ok
    assert payment.result == {"paid": True, "authorization": "auth-7"}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (order(customer="nobody"), "unknown_customer"),
        (order(customer="dormant"), "blocked_customer"),
        (order(ROTOR=1), "unknown_part"),
        (order(BLADE_BOLT=600), "no_flight"),
    ],
)
async def test_an_order_that_cannot_begin_does_nothing(open_company, given, code):
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(ORDER, given)
        await app.compensated(outcome.execution_id)
    assert outcome.error.code == code
    assert diary(open_company) == []


async def test_L13_an_order_of_nothing_is_refused_at_the_door(open_company):
    async with TestApp(**open_company.terms()) as app:
        with pytest.raises(InvalidInput, match="/items: List should have at least 1 item"):
            await app.start(ORDER, {**order(), "items": []})


async def test_a_customer_whose_orders_keep_coming_to_nothing_is_looked_at(open_company):
    for number in range(3):
        change(open_company, "INSERT INTO orders VALUES (?, 'aurora', 'refused')", f"old-{number}")
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(ORDER, order())
        record = await app.compensated(outcome.execution_id)
    assert outcome.error.code == "suspicious"
    assert record.shown_status == "FAILED_ROLLED_BACK"
    assert free(open_company, "WH-1", "YAW-SENSOR") == 30


async def test_a_department_is_tested_without_the_others(open_company):
    """The parent alone, its children played: no books but sales' own are touched."""
    children = {
        "InventoryAllocation": {"warehouse_id": "WH-9"},
        "PricingCalculation": {"total": 100},
        "PaymentProcessing": DomainError("The bank is closed", code="payment_declined"),
        "ShippingArrangement": {"label": "l", "carrier": "c"},
    }
    async with TestApp(**open_company.terms(), children=children) as app:
        outcome = await app.run(ORDER, order())
        await app.compensated(outcome.execution_id)
        assert_called(
            app.calls, "PaymentProcessing", having={"input": {"order_id": "o-1", "customer": "aurora", "amount": 100}}
        )
        assert_not_called(app.calls, "ShippingArrangement")
    assert outcome.error.code == "payment_declined"
    assert diary(open_company)[1:] == ["charge withdrawn", "allocation withdrawn", "flight released"]
    assert rows(open_company, "SELECT * FROM held") == []
