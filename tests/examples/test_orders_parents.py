"""InventoryAllocation and its four parents, one of them a process in Python; each gives back what it can no longer use."""

from __future__ import annotations

from datetime import timedelta

import pytest

from examples.orders.key_accounts import Reservation, Reserved, reservation
from remit.testing import TestApp, after, assert_called, assert_not_called, assert_tree
from tests.examples.orders_scene import change, diary, free, open_company, order, rows

__all__ = ["open_company"]

RETURN = {"order_id": "o-1", "sku": "PITCH-MOTOR", "quantity": 1}
TRANSFER = {"source": "WH-1", "target": "WH-2", "items": [{"sku": "BLADE-BOLT", "qty": 50}]}
RESERVATION = Reservation(customer="aurora", sku="PITCH-MOTOR", quantity=2)


@pytest.fixture
def with_an_order(open_company):
    change(open_company, "INSERT INTO orders VALUES ('o-1', 'aurora', 'confirmed')")
    return open_company


async def test_four_parents_call_one_definition(with_an_order):
    events = {"loaded": None, "fetched": None}
    async with TestApp(**with_an_order.terms(), events=events) as app:
        outcomes = [
            await app.run("OrderProcessing", order("o-2", PITCH_MOTOR=1)),
            await app.run("ReturnProcessing", RETURN),
            await app.run("TransferProcessing", TRANSFER),
            await app.run(reservation, RESERVATION),
        ]
        allocations = await app.list(process="InventoryAllocation")
        parents = {each.parent_execution_id for each in allocations}
        callers = [(await app.get(each.execution_id)).department for each in outcomes]
        assert_called(app.calls, "InventoryAllocation", times=4)
    assert all(each.ok for each in outcomes)
    assert parents == {each.execution_id for each in outcomes}
    assert callers == ["sales", "aftersales", "logistics", "key-accounts"]
    assert {each.version for each in allocations} == {"1.0.0"}
    assert [each.input["purpose"] for each in reversed(allocations)] == [
        "o-2",
        "return of o-1",
        "transfer to WH-2",
        "reservation of aurora",
    ]


# -- returns -----------------------------------------------------------------------------------------------------------


async def test_a_return_is_replaced(with_an_order):
    async with TestApp(**with_an_order.terms()) as app:
        outcome = await app.run("ReturnProcessing", RETURN)
    assert outcome.unwrap() == {"settled_by": "replacement", "credit": 0, "warehouse_id": "WH-1"}
    assert free(with_an_order, "WH-1", "PITCH-MOTOR") == 3


async def test_what_is_as_new_is_put_back_first(with_an_order):
    async with TestApp(**with_an_order.terms()) as app:
        assert (await app.run("ReturnProcessing", {**RETURN, "condition": "as new"})).ok
    assert free(with_an_order, "WH-1", "PITCH-MOTOR") == 4
    assert "return restocked" in diary(with_an_order)


async def test_L19_without_a_replacement_there_is_a_credit(with_an_order):
    change(with_an_order, "UPDATE stock SET on_hand = 0 WHERE sku = 'PITCH-MOTOR'")
    async with TestApp(**with_an_order.terms()) as app:
        outcome = await app.run("ReturnProcessing", RETURN)
        assert_tree(
            await app.tree(outcome.execution_id),
            """
            ReturnProcessing COMPLETED
              InventoryAllocation FAILED_ROLLED_BACK out_of_stock
            """,
        )
    assert outcome.unwrap() == {"settled_by": "credit", "credit": 186_000, "warehouse_id": None}


async def test_L37_a_return_that_cannot_be_settled_is_struck(with_an_order):
    steps = {"Close_Return": ValueError("the printer is on fire")}
    async with TestApp(**with_an_order.terms(), steps=steps) as app:
        outcome = await app.run("ReturnProcessing", {**RETURN, "condition": "as new"})
        record = await app.compensated(outcome.execution_id)
    assert record.shown_status == "FAILED_ROLLED_BACK"
    assert diary(with_an_order)[-5:] == [
        "ledger reversed",
        "items released",
        "plan withdrawn",
        "return registered",
        "return struck",
    ]
    assert free(with_an_order, "WH-1", "PITCH-MOTOR") == 4


# -- transfers ---------------------------------------------------------------------------------------------------------


async def test_a_transfer_moves_the_goods_once_somebody_has_loaded_them(open_company):
    async with TestApp(**open_company.terms(), events={"loaded": after("5h", {"lorry": "HB-AU 12"})}) as app:
        outcome = await app.run("TransferProcessing", TRANSFER)
        assert app.clock.elapsed == timedelta(hours=5)
    assert outcome.unwrap()["moved"] == 50
    assert free(open_company, "WH-1", "BLADE-BOLT") == 350
    assert free(open_company, "WH-2", "BLADE-BOLT") == 50
    assert rows(open_company, "SELECT DISTINCT state FROM held") == [("moved",)]


async def test_L37_a_transfer_that_nobody_loads_is_dropped_after_two_days(open_company):
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run("TransferProcessing", TRANSFER)
        record = await app.compensated(outcome.execution_id)
        assert app.clock.elapsed == timedelta(days=2)
    assert outcome.error.code == "event_timeout"
    assert record.shown_status == "FAILED_ROLLED_BACK"
    assert diary(open_company)[-4:] == ["ledger reversed", "items released", "plan withdrawn", "transfer dropped"]
    assert free(open_company, "WH-1", "BLADE-BOLT") == 400


# -- reservations ------------------------------------------------------------------------------------------------------


async def test_a_python_process_calls_the_workflow(open_company):
    async with TestApp(**open_company.terms(), events={"fetched": after("1d", None)}) as app:
        outcome = await app.run(reservation, RESERVATION)
        assert_tree(
            await app.tree(outcome.execution_id),
            """
            ReservationProcessing COMPLETED
              InventoryAllocation COMPLETED
            """,
        )
    assert outcome.unwrap() == Reserved(status="fetched", warehouse_id="WH-1")
    assert free(open_company, "WH-1", "PITCH-MOTOR") == 2


async def test_L37_what_nobody_fetches_in_three_days_is_given_back(open_company):
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(reservation, RESERVATION)
        tree = await app.compensated(outcome.execution_id)
        assert app.clock.elapsed == timedelta(days=3)
    assert outcome.error.code == "event_timeout"
    assert tree.shown_status == "FAILED_ROLLED_BACK"
    assert diary(open_company) == [
        "reservation of aurora opened",
        "planned in WH-1",
        "held 2 PITCH-MOTOR",
        "ledger posted",
        "ledger reversed",
        "items released",
        "plan withdrawn",
        "reservation of aurora cancelled",
    ]


async def test_L12_a_reservation_hears_that_there_is_nothing(open_company):
    async with TestApp(**open_company.terms()) as app:
        outcome = await app.run(reservation, RESERVATION.model_copy(update={"quantity": 9}))
        assert_not_called(app.calls, "cancel")
    assert outcome.unwrap() == Reserved(status="refused")


async def test_two_who_want_the_last_ones_do_not_both_get_them(open_company):
    """The warehouse decides in its books, not in the state of either."""
    both = RESERVATION.model_copy(update={"quantity": 4})
    async with TestApp(**open_company.terms(), events={"fetched": None}) as app:
        started = [await app.start(reservation, both) for _ in range(2)]
        results = [(await each.outcome()).unwrap().status for each in started]
    assert sorted(results) == ["fetched", "refused"]
    assert free(open_company, "WH-1", "PITCH-MOTOR") == 0
