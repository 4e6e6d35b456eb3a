"""The payables end to end, on the engine: what becomes of invoices, answers, failures and mails."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from examples.payables import demo, work
from examples.payables.demo import Options, process_folder
from examples.payables.desk import Desk
from examples.payables.intake import take_in
from examples.payables.report import Failed, Unfinished, print_report
from remit import DomainError, MisuseError, Record, Status
from tests.examples.payables_runs import (
    EXPECTED,
    PAID,
    RELEASED,
    app_on,
    mails,
    paid,
    sound,
    take_one,
    verdicts,
    waiting_id,
)
from tests.examples.payables_samples import INVOICES, Ubl, sample


@pytest.fixture
def options(tmp_path) -> Options:
    return Options(INVOICES, f"sqlite:///{tmp_path / 'remit.db'}", tmp_path / "payments.xml")


async def test_a_folder_becomes_a_payment_file(options):
    rows, export = await process_folder(options)
    assert verdicts(rows) == EXPECTED
    assert paid(export) == PAID
    assert sound(options)
    assert len(mails(options)) == 13  # all but the one that waits


async def test_L9_a_second_run_pays_nothing_twice(options):
    rows, _ = await process_folder(options)
    first = options.out.read_bytes().splitlines()
    again, export = await process_folder(options)
    second = options.out.read_bytes().splitlines()
    assert verdicts(again) == EXPECTED
    assert paid(export) == PAID
    assert [line for line in first if b"CreDtTm" not in line] == [line for line in second if b"CreDtTm" not in line]
    assert [row.cost for row in again] == [row.cost for row in rows]
    assert len(mails(options)) == 13


async def test_L27_the_cost_of_every_look_up_rolls_up(options):
    rows, _ = await process_folder(options)
    costs = {row.file[:2]: row.cost for row in rows}
    assert {Decimal(costs[name]) for name in ("03", "06", "12")} == {Decimal(0)}  # refused before screening
    assert Decimal(costs["01"]) == Decimal("0.0165")  # account, one name, duplicates
    assert Decimal(costs["14"]) == Decimal("0.0315")  # and the factor's name
    assert Decimal(costs["11"]) == Decimal("0.0160")  # refused by name: the look-ups are paid for all the same
    async with app_on(options) as app:
        for root in await app.list(process="invoice"):
            tree = await app.tree(root.execution_id)
            assert sum(own_costs(tree)) == Decimal(tree.usage.subtree.cost)
            lineage = await app.lineage(root.execution_id)
            assert sum(Decimal(entry.usage.cost) for entry in lineage) == Decimal(tree.usage.subtree.cost)


def own_costs(node: Record) -> list[Decimal]:
    return [Decimal(node.usage.own.cost), *(cost for child in node.children for cost in own_costs(child))]


async def test_L33_the_waiting_invoice_shows_its_whole_chain(options):
    rows, _ = await process_folder(options)
    async with app_on(options) as app:
        tree = await app.tree(waiting_id(rows))
    chain = {node.process: (node.depth, node.status) for node in nodes(tree) if node.ended_at is None}
    assert chain == {
        "invoice": (0, Status.WAITING_CHILD_HUMAN_INPUT),
        "approval": (1, Status.WAITING_CHILD_HUMAN_INPUT),
        "finance_approval": (2, Status.WAITING_CHILD_HUMAN_INPUT),
        "delegate_approval": (3, Status.WAITING_HUMAN_INPUT),
    }
    done = [node.process for node in nodes(tree) if node.status is Status.COMPLETED]
    assert done == ["extract", "match_order", "screening"]


def nodes(node: Record) -> list[Record]:
    return [node, *(below for child in node.children for below in nodes(child))]


async def test_an_answer_releases_the_payment(options):
    rows, _ = await process_folder(options)
    async with app_on(options) as app:
        await app.answer(waiting_id(rows), {"approved": True, "by": "M. Okafor"})
    again, export = await process_folder(options)
    assert verdicts(again) == EXPECTED | {"10-atelier-mercier": "booked"}
    assert paid(export) == RELEASED
    assert sound(options)
    assert b"F-2026-118" in options.out.read_bytes()


async def test_a_no_is_a_refusal_with_its_reason(options):
    rows, _ = await process_folder(options)
    async with app_on(options) as app:
        no = {"approved": False, "by": "M. Okafor", "comment": "not calibrated yet"}
        await app.answer(waiting_id(rows), no)
    again, export = await process_folder(options)
    (refused,) = [row.result for row in again if row.file.startswith("10")]
    assert refused.reason.code == "not_approved"
    assert refused.reason.element == "/Invoice/cac:LegalMonetaryTotal/cbc:PayableAmount"
    assert refused.reason.problem == "above 10,000.00 EUR, and M. Okafor refused: not calibrated yet"
    assert paid(export) == PAID


async def test_a_correction_of_what_was_refused_at_last_is_asked_about_anew(options, tmp_path):
    rows, _ = await process_folder(options)
    async with app_on(options) as app:
        await app.answer(waiting_id(rows), {"approved": False, "by": "M. Okafor"})
    await process_folder(options)
    folder = tmp_path / "in"
    folder.mkdir()
    corrected = sample("10").replace(b"</Invoice>", b"<!-- corrected --></Invoice>")
    (folder / "corrected.xml").write_bytes(corrected)  # the number and the quantities are free again
    rows, _ = await process_folder(Options(folder, options.store, options.out))
    assert verdicts(rows) == {"corrected": "waiting for role:controller"}


async def test_L48_an_answer_of_the_wrong_shape_changes_nothing(options):
    rows, _ = await process_folder(options)
    async with app_on(options) as app:
        with pytest.raises(DomainError):
            await app.answer(waiting_id(rows), {"approved": "perhaps", "by": ""})
    again, _ = await process_folder(options)
    assert verdicts(again) == EXPECTED
    async with app_on(options) as app:
        await app.answer(waiting_id(again), {"approved": True, "by": "M. Okafor"})
        with pytest.raises(MisuseError):
            await app.answer(waiting_id(rows), {"approved": False, "by": "someone else"})


async def test_a_very_large_amount_goes_to_the_chief_financial_officer(options, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    large = sample("10").decode().replace('unitCode="H87">2<', 'unitCode="H87">10<')
    for old, new in (("23800.00", "119000.00"), ("25320.00", "120520.00")):
        large = large.replace(old, new)
    (folder / "large.xml").write_text(large, encoding="utf-8")
    await process_folder(Options(folder, options.store, options.out))  # makes the book, refuses: not received
    with closing(sqlite3.connect(tmp_path / "book.db")) as book, book:
        book.execute("UPDATE order_lines SET quantity = '10' WHERE order_number = 'PO-2026-0107' AND line = '1'")
        book.execute("UPDATE receipts SET quantity = '10' WHERE order_number = 'PO-2026-0107' AND line = '1'")
    (folder / "large.xml").write_text(f"{large}<!-- sent again -->", encoding="utf-8")
    rows, _ = await process_folder(Options(folder, options.store, options.out))
    assert verdicts(rows) == {"large": "waiting for role:cfo"}


async def test_a_corrected_invoice_may_carry_the_number_of_the_refused_one(options, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    wrong = Ubl(lines=[("10", "21.90"), ("10", "99.00")])
    (folder / "a.xml").write_bytes(wrong.content())
    (folder / "b.xml").write_bytes(Ubl(lines=[("80", "21.90")]).content())
    rows, export = await process_folder(Options(folder, options.store, options.out))
    assert verdicts(rows) == {
        "a": "price_too_high /Invoice/cac:InvoiceLine[2]/cbc:LineExtensionAmount",
        "b": "booked",
    }
    assert [transfer.amount for transfer in export.transfers] == [Decimal("2084.88")]


async def test_nothing_in_a_folder_is_a_traceback(options, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    hostile = {
        "empty": (b"", "not_xml"),
        "image": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not_xml"),
        "laughs": (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "unsafe_xml"),
        "order": (b"<Order/>", "not_an_invoice"),
        "cut": (sample("01")[:3000], "not_xml"),
        "utf16": (sample("06").decode().replace("UTF-8", "UTF-16").encode("utf-16"), "unknown_supplier"),
    }
    for name, (content, _) in hostile.items():
        (folder / f"{name}.xml").write_bytes(content)
    (folder / "folder.xml").mkdir()
    (folder / "copy.xml").write_bytes(hostile["utf16"][0])  # the same bytes twice are one invoice
    rows, export = await process_folder(Options(folder, options.store, options.out))
    codes = {row.file.removesuffix(".xml"): row.result.reason.code for row in rows}
    assert codes == {name: code for name, (_, code) in hostile.items()} | {
        "utf16": "same_file",
        "copy": "unknown_supplier",
    }
    assert export.transfers == []
    assert not options.out.exists()
    async with app_on(options) as app:
        assert len(await app.list(process="invoice")) == len(hostile)


async def test_L18_a_mail_server_that_comes_back_gets_its_mail(options, monkeypatch):
    send, refused = work.send_mail, []

    def flaky(host, port, message):
        if len(refused) < 2:
            refused.append(message["Subject"])
            raise ConnectionRefusedError("no mail server")
        send(host, port, message)

    monkeypatch.setattr(work, "send_mail", flaky)
    rows, _ = await process_folder(options)
    assert verdicts(rows) == EXPECTED
    assert len(refused) == 2
    assert len(mails(options)) == 13


async def test_L34_a_failure_that_is_no_refusal_is_shown_as_one_and_retried(options, monkeypatch, capsys):
    fail = True

    def content(desk, digest):
        if fail:
            raise PermissionError("the archive is closed")
        return (desk.archive / f"{digest}.xml").read_bytes()

    monkeypatch.setattr(Desk, "content", content)
    monkeypatch.setattr(demo, "take_in", lambda folder, desk: take_one(desk))
    rows, export = await process_folder(options)
    (failed,) = [row.result for row in rows]
    assert isinstance(failed, Failed)
    assert "the archive is closed" in failed.message
    print_report(Console(width=200), rows, export, options.store, "out.xml")
    assert f"remit retry {failed.execution_id} --store {options.store}" in capsys.readouterr().out
    fail = False
    async with app_on(options, resources=None) as app:
        await app.retry(failed.execution_id)
    rows, _ = await process_folder(options)
    assert verdicts(rows) == {"one": "booked"}


async def test_an_invoice_that_takes_too_long_is_shown_unfinished_and_finishes_next_time(options, monkeypatch, capsys):
    opened = threading.Event()
    read = Desk.content
    monkeypatch.setattr(Desk, "content", lambda desk, digest: opened.wait(30) and read(desk, digest))
    monkeypatch.setattr(demo, "take_in", lambda folder, desk: take_one(desk))
    monkeypatch.setattr(demo, "_PATIENCE_S", 0.2)
    rows, export = await process_folder(options)
    (unfinished,) = [row.result for row in rows]
    assert isinstance(unfinished, Unfinished)
    print_report(Console(width=200), rows, export, options.store, "out.xml")
    assert f"{unfinished.execution_id} is PENDING_SUB_WORKFLOW: run this again" in capsys.readouterr().out
    opened.set()
    monkeypatch.setattr(demo, "_PATIENCE_S", 60.0)
    rows, _ = await process_folder(options)
    assert verdicts(rows) == {"one": "booked"}


async def test_L18_a_busy_book_is_tried_again(options, monkeypatch):
    match, refused = work.match_document, []

    def busy(*arguments):
        if not refused:
            refused.append(1)
            raise sqlite3.OperationalError("database is locked")
        return match(*arguments)

    monkeypatch.setattr(work, "match_document", busy)
    rows, _ = await process_folder(options)
    assert refused
    assert verdicts(rows) == EXPECTED


async def test_what_asks_for_nothing_and_what_is_parked_is_shown_so(options, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    prepaid = '<cbc:PrepaidAmount currencyID="EUR">23.80</cbc:PrepaidAmount><cbc:PayableAmount currencyID="EUR">0.00'
    text = Ubl(lines=[("1", "20.00")]).text().replace('<cbc:PayableAmount currencyID="EUR">23.80', prepaid)
    (folder / "prepaid.xml").write_text(text)
    (folder / "credit.xml").write_bytes(Ubl(kind="CreditNote", number="C-1").content())
    rows, export = await process_folder(Options(folder, options.store, options.out))
    assert verdicts(rows) == {"prepaid": "nothing_due", "credit": "credited"}
    print_report(Console(width=200), rows, export, options.store, "out.xml")
    shown = capsys.readouterr().out
    assert "nothing due" in shown
    assert "waits until invoices exceed the credit" in shown


def test_a_file_that_cannot_be_taken_in_is_refused(tmp_path, monkeypatch):
    desk = Desk(tmp_path / "b", tmp_path / "archive", tmp_path / "s", "", 0)
    (tmp_path / "large.xml").write_bytes(b" " * 100)
    (tmp_path / "link.XML").symlink_to(tmp_path / "large.xml")
    monkeypatch.setattr("examples.payables.intake.MAX_BYTES", 99)
    assert [each.refused.reason.code for each in take_in(tmp_path, desk)] == ["too_large", "too_large"]
    monkeypatch.setattr("examples.payables.intake.MAX_BYTES", 100)
    monkeypatch.setattr(Path, "read_bytes", _closed)
    assert [each.refused.reason.code for each in take_in(tmp_path, desk)] == ["unreadable", "unreadable"]


def _closed(_path):
    raise PermissionError(13, "Permission denied")
