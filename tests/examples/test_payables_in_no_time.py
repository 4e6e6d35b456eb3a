"""The payables on the testing kit: a fortnight without an answer, mail servers that are down, and today's code on old histories."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from smtplib import SMTPDataError, SMTPServerDisconnected

import pytest

from examples.payables import demo, work
from examples.payables.book import create_book
from examples.payables.desk import Desk
from examples.payables.messages import Incoming, Settlement
from examples.payables.processes import PROCESSES, invoice
from remit import DomainError
from remit.testing import TestApp, assert_called, assert_not_called, assert_tree, export_history, in_turn, replay
from tests.examples.payables_samples import sample

APPROVED = {"approved": True, "by": "M. Okafor"}


@asynccontextmanager
async def payables(home: Path, **fakes):
    """The payables with a book of their own, and no mail server behind `mail` unless a test brings one."""
    book, sources = home / "book.db", Path(demo.__file__).parent
    create_book(book, (sources / "book.sql").read_text("utf-8"))
    desk = Desk(book, home / "archive", sources / "sanctions.csv", "localhost", 0)
    desk.archive.mkdir()
    async with TestApp(PROCESSES, resources=desk, **({"steps": {"mail": None}} | fakes)) as app:
        yield app, desk


async def settle(app: TestApp, desk: Desk, number: str) -> tuple[Settlement, str]:
    """What becomes of a sample, and its id."""
    outcome = await app.run(invoice, Incoming(digest=desk.take_in(sample(number))))
    return outcome.unwrap(), outcome.execution_id or ""


async def test_a_fortnight_without_an_answer_is_a_no(tmp_path):
    async with payables(tmp_path) as (app, desk):
        settlement, root = await settle(app, desk, "10")
        assert app.clock.elapsed == timedelta(days=14)
        assert (settlement.status, settlement.reason.code) == ("refused", "not_approved")
        assert settlement.reason.problem == "above 10,000.00 EUR, and nobody refused: no answer within 14d"
        assert_not_called(app.calls, "book")
        assert_called(app.calls, "release", times=1)
        assert_tree(
            await app.tree(root),
            """
            invoice COMPLETED
              extract
              match_order
              screening
              approval FAILED not_approved
                finance_approval COMPLETED
                  delegate_approval COMPLETED
              notify
            """,
        )


async def test_the_answer_of_whoever_is_asked_releases_the_payment(tmp_path):
    asked = []

    def answers(what):
        asked.append((what.to, what.prompt))
        return APPROVED

    async with payables(tmp_path, answers={"delegate_approval/release": answers}) as (app, desk):
        settlement, _ = await settle(app, desk, "10")
        assert settlement.status == "booked"
        assert asked == [("role:controller", "Release 25,320.00 EUR to Atelier Mercier SAS for F-2026-118?")]
        assert_called(app.calls, "book", times=1)


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError("no server"), SMTPServerDisconnected("gone"), SMTPDataError(451, b"later")]
)
async def test_L18_a_mail_server_that_asks_for_patience_gets_it(tmp_path, monkeypatch, error):
    sent = in_turn(error, error, None)

    def send(*_arguments):
        told = sent.next("the mail server")
        if told is not None:
            raise told

    monkeypatch.setattr(work, "send_mail", send)
    async with payables(tmp_path, steps={}) as (app, desk):
        settlement, root = await settle(app, desk, "01")
        assert settlement.status == "booked"
        notice = (await app.tree(root)).children[-1]
        assert (await app.outcome(notice.execution_id)).ok
        assert (await app.get(notice.execution_id)).attempt == 3


@pytest.mark.parametrize(
    ("error", "code", "tries"),
    [(ConnectionRefusedError(), "retries_exhausted", 3), (SMTPDataError(550, b"no such mailbox"), "domain_error", 1)],
)
async def test_L14_mail_that_cannot_be_sent_stops_no_payment(tmp_path, monkeypatch, error, code, tries):
    def refuse(*_arguments):
        raise error

    monkeypatch.setattr(work, "send_mail", refuse)
    async with payables(tmp_path, steps={}) as (app, desk):
        settlement, root = await settle(app, desk, "01")
        assert settlement.status == "booked"
        notice = (await app.tree(root)).children[-1]
        assert (await app.outcome(notice.execution_id)).error.code == code
        assert_called(app.calls, "mail", times=tries)


async def test_L19_a_look_up_that_fails_fails_the_invoice_and_claims_no_number(tmp_path):
    async with payables(tmp_path, tools={"screening.sanctions": DomainError("list_unreadable")}) as (app, desk):
        outcome = await app.run(invoice, Incoming(digest=desk.take_in(sample("01"))))
        assert outcome.status == "failed"
        assert_not_called(app.calls, "screening.duplicates")


async def test_L11_today_s_code_continues_the_histories_of_every_kind_of_invoice(tmp_path):
    async with payables(tmp_path, answers={"release": APPROVED}) as (app, desk):
        for number in ("01", "03", "09", "10", "11"):
            _, root = await settle(app, desk, number)
            for again in await replay(await export_history(app, root), PROCESSES, resources=desk):
                assert (again.goes_on_with, again.result) == ((), again.recorded_result)
