"""The loans example: what rules decide, what a person decides, and what happens when nobody does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from examples.loans.demo import APPLICATIONS, WORKFLOWS, main, open_bank
from remit import InvalidInput, Remit, Status
from remit.testing import (
    TestApp,
    VirtualClock,
    after,
    assert_called,
    assert_lineage,
    assert_not_called,
    assert_tree,
    in_turn,
)

SMALL, BAD, LARGE = APPLICATIONS
YES = {"approved": True, "by": "T. Berg"}
NO = {"approved": False, "by": "T. Berg", "comment": "not this year"}


@pytest.fixture
async def bank(tmp_path):
    async with open_bank(tmp_path) as found:
        yield found


def mails(tmp_path: Path) -> list[str]:
    """To whom, in the order of their names."""
    folder = tmp_path / "mail"
    texts = [path.read_text("utf-8") for path in sorted(folder.iterdir())] if folder.exists() else []
    return [line.removeprefix("To: ") for text in texts for line in text.splitlines() if line.startswith("To: ")]


def loans(bank) -> list[tuple[str, int]]:
    with bank.connected() as books:
        return [(row["id"], row["amount"]) for row in books.execute("SELECT * FROM loans ORDER BY id")]


async def test_rules_pay_out_what_is_small_and_safe(bank, tmp_path):
    async with TestApp([WORKFLOWS], resources=bank) as app:
        outcome = await app.run("LoanApproval", SMALL)
        assert_not_called(app.calls, "ManagerApprovalTask")
        lineage = await app.lineage(outcome.execution_id)
    assert outcome.unwrap() == {"loan_id": "loan-1", "status": "paid out", "decided_by": "rules", "reason": ""}
    assert_lineage(lineage, "tool credit-bureau $0.80")
    assert loans(bank) == [("loan-1", 8_000)]
    assert mails(tmp_path) == ["lind@customers.example"]


async def test_rules_decline_what_is_too_much(bank):
    async with TestApp([WORKFLOWS], resources=bank) as app:
        outcome = await app.run("LoanApproval", BAD)
    assert outcome.unwrap()["status"] == "declined"
    assert loans(bank) == []


@pytest.mark.parametrize("at", ["the leaf", "the root"])
async def test_L33_somebody_is_waited_for_and_answers_at_the_leaf_or_through_the_root(at, bank, tmp_path):
    async with TestApp([WORKFLOWS], resources=bank) as app:
        loan = await app.start("LoanApproval", LARGE)
        await app.settle()
        tree = await app.tree(loan.id)
        assert_tree(
            tree,
            """
            LoanApproval WAITING_CHILD_HUMAN_INPUT
              ManagerApprovalTask WAITING_HUMAN_INPUT
            """,
        )
        (asked,) = tree.children[0].waiting_on.first
        assert (asked["to"], asked["prompt"]) == (
            "role:loan-manager",
            "A. Osei asks for 40000 EUR, score 622. Approve?",
        )
        assert [each.execution_id for each in await app.list(status="WAITING_CHILD_HUMAN_INPUT")] == [loan.id]
        assert mails(tmp_path) == ["manager@bank.example"]
        await app.clock.advance("1d")
        await app.answer(loan.id if at == "the root" else f"{loan.id}.1", YES)
        outcome = await loan.outcome()
        assert app.clock.elapsed == timedelta(days=1)
    assert outcome.unwrap() == {
        "loan_id": "loan-3",
        "status": "paid out",
        "decided_by": "T. Berg",
        "reason": "approved",
    }
    assert loans(bank) == [("loan-3", 40_000)]
    assert "osei@customers.example" in mails(tmp_path)


async def test_the_approver_says_no(bank):
    async with TestApp([WORKFLOWS], resources=bank, answers={"Wait_For_Approval": NO}) as app:
        outcome = await app.run("LoanApproval", LARGE)
    assert outcome.unwrap()["reason"] == "not this year"
    assert loans(bank) == []


async def test_after_two_days_somebody_else_is_asked(bank, tmp_path):
    answers = {"Wait_For_Head_Of_Credit": after("3h", YES)}
    async with TestApp([WORKFLOWS], resources=bank, answers=answers) as app:
        loan = await app.start("LoanApproval", LARGE)
        await app.clock.advance(timedelta(days=2) - timedelta(seconds=1))
        assert (await app.tree(loan.id)).children[0].waiting_on.first[0]["to"] == "role:loan-manager"
        await app.clock.advance("1s")
        assert (await app.tree(loan.id)).children[0].waiting_on.first[0]["to"] == "role:head-of-credit"
        assert (await app.get(loan.id)).status is Status.WAITING_CHILD_HUMAN_INPUT
        outcome = await loan.outcome()
        assert app.clock.elapsed == timedelta(days=2, hours=3)
    assert outcome.unwrap()["status"] == "paid out"
    assert mails(tmp_path)[:2] == ["head-of-credit@bank.example", "manager@bank.example"]


async def test_after_four_days_nobody_has_decided_and_it_is_declined(bank):
    async with TestApp([WORKFLOWS], resources=bank) as app:
        outcome = await app.run("LoanApproval", LARGE)
        assert app.clock.elapsed == timedelta(days=4)
    result = outcome.unwrap()
    assert (result["status"], result["decided_by"], result["reason"]) == ("declined", "nobody", "not decided in time")
    assert loans(bank) == []


async def test_L21_the_two_days_go_on_while_no_program_runs(bank, tmp_path):
    """The deadline lies in the store: it passes by the clock on the wall, and is kept when a program opens it again."""
    clock, store = VirtualClock("2026-03-02T09:00:00+00:00"), f"sqlite:///{tmp_path / 'remit.db'}"
    async with TestApp([WORKFLOWS], resources=bank, clock=clock, store=store) as app:
        loan = await app.start("LoanApproval", LARGE)
        await app.settle()
    await clock.advance("3d")
    async with TestApp([WORKFLOWS], resources=bank, clock=clock, store=store) as app:
        await app.settle()
        child = (await app.tree(loan.id)).children[0]
        assert child.waiting_on.first[0]["to"] == "role:head-of-credit"
        await app.answer(loan.id, YES)
        assert (await app.outcome(loan.id)).unwrap()["status"] == "paid out"
        assert_not_called(app.calls, "Mail_Manager")
    assert mails(tmp_path) == [
        "head-of-credit@bank.example",
        "manager@bank.example",
        "osei@customers.example",
    ]


async def test_L48_an_answer_that_does_not_fit_is_refused_and_the_ask_stays_open(bank):
    async with TestApp([WORKFLOWS], resources=bank) as app:
        loan = await app.start("LoanApproval", LARGE)
        await app.settle()
        with pytest.raises(InvalidInput, match="'by' is a required property"):
            await app.answer(loan.id, {"approved": True})
        assert (await app.get(loan.id)).status is Status.WAITING_CHILD_HUMAN_INPUT
        await app.answer(loan.id, YES)
        assert (await loan.outcome()).ok


async def test_L19_one_who_decides_on_a_loan_of_their_own_fails_the_task_and_the_loan(bank):
    own = {"Wait_For_Approval": {"approved": True, "by": "A. Osei"}}
    async with TestApp([WORKFLOWS], resources=bank, answers=own) as app:
        outcome = await app.run("LoanApproval", LARGE)
        assert_tree(
            await app.tree(outcome.execution_id),
            """
            LoanApproval FAILED_CHILD_WORKFLOW own_application
              ManagerApprovalTask FAILED own_application
            """,
        )
    assert loans(bank) == []


async def test_L18_mail_waits_for_a_server_that_is_away(bank):
    steps = {"Mail_Manager": in_turn(ConnectionRefusedError(), ConnectionRefusedError(), {})}
    answers = {"Wait_For_Approval": YES}
    async with TestApp([WORKFLOWS], resources=bank, steps=steps, answers=answers) as app:
        assert (await app.run("LoanApproval", LARGE)).ok
        assert_called(app.calls, "Mail_Manager", times=3)
        assert timedelta(0) < app.clock.elapsed < timedelta(minutes=1)


async def test_the_task_is_tested_without_the_loan():
    request = {"loan_id": "l", "applicant": "A. Osei", "amount": 1, "score": 500}
    async with TestApp([WORKFLOWS], steps={"Mail_Manager": {}}, answers={"Wait_For_Approval": YES}) as app:
        outcome = await app.run("ManagerApprovalTask", request)
    assert outcome.unwrap() == {"approved": True, "by": "T. Berg", "comment": "approved"}


async def test_the_loan_is_tested_without_the_task(bank):
    task = {"approved": False, "by": "nobody", "comment": "not decided in time"}
    async with TestApp([WORKFLOWS], resources=bank, children={"ManagerApprovalTask": task}) as app:
        assert (await app.run("LoanApproval", LARGE)).unwrap()["status"] == "declined"
        assert_called(app.calls, "ManagerApprovalTask", having={"input": {"applicant": "A. Osei", "amount": 40_000}})


def test_the_demo_prints_the_command_that_answers_and_goes_on_once_that_is_done(tmp_path, capsys):
    assert main(["--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:3] == ["loan-1: paid out", "loan-2: declined", "loan-3: WAITING_CHILD_HUMAN_INPUT"]
    _, answer, waiting, *_ = printed[4].split()
    assert answer == "answer"
    asyncio.run(answered(f"sqlite:///{tmp_path / 'remit.db'}", waiting))
    assert main(["--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == ["loan-1: paid out", "loan-2: declined", "loan-3: paid out"]
    assert len(mails(tmp_path)) == 4


async def answered(store: str, execution_id: str) -> None:
    """As the command does it: without the code of the workflows."""
    async with Remit(store) as app:
        await app.answer(execution_id, YES)
