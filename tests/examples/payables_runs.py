"""Runs of the payables, and what the samples are expected to come to."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from examples.payables import demo
from examples.payables.demo import Options
from examples.payables.messages import Settlement
from examples.payables.processes import PROCESSES
from examples.payables.report import Failed, Row, Unfinished, Waiting
from remit import Remit
from tests.examples.payables_pain001_rules import findings
from tests.examples.payables_samples import sample

EXPECTED = {
    "01-brightwater-paper": "booked",
    "02-van-den-berg-elektro": "booked",
    "03-costa-azul-catering": "wrong_total /Invoice/cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount",
    "04-officina-bellini": "broken_iban /Invoice/cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID",
    "05-brightwater-paper-again": "duplicate /Invoice/cbc:ID",
    "06-quickparts-trading": "unknown_supplier /Invoice/cac:AccountingSupplierParty/cac:Party"
    "/cac:PartyTaxScheme/cbc:CompanyID",
    "07-sjoberg-verktyg": "booked",
    "08-fenwick-tooling": "no_account_in_currency /Invoice/cbc:DocumentCurrencyCode",
    "09-brightwater-credit-note": "credited",
    "10-atelier-mercier": "waiting for role:controller",
    "11-zarya-marine": "sanctions_hit /Invoice/cac:AccountingSupplierParty/cac:Party",
    "12-kowalski-opakowania": "not_received /Invoice/cac:InvoiceLine/cbc:InvoicedQuantity",
    "13-lumen-lys": "account_not_on_file /Invoice/cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID",
    "14-hibernia-data": "booked",
}
PAID = {"EUR": Decimal("4524.22"), "SEK": Decimal("21240.00")}
RELEASED = {"EUR": Decimal("29844.22"), "SEK": Decimal("21240.00")}


def verdict(row: Row) -> str:
    match row.result:
        case Waiting(who=who):
            return f"waiting for {who}"
        case Failed(code=code):
            return f"failed: {code}"
        case Unfinished(status=status):
            return f"unfinished: {status}"
        case Settlement(reason=None) as settlement:
            return settlement.status
        case Settlement(reason=reason):
            return f"{reason.code} {reason.element}"


def verdicts(rows: list[Row]) -> dict[str, str]:
    return {row.file.removesuffix(".xml"): verdict(row) for row in rows}


def paid(export) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for transfer in export.transfers:
        sums[transfer.head.currency] = sums.get(transfer.head.currency, Decimal(0)) + transfer.amount
    return sums


def sound(options: Options) -> bool:
    return findings(options.out.read_bytes(), datetime.now(UTC).date()) == []


def app_on(options: Options, **more) -> Remit:
    return Remit(options.store, processes=PROCESSES, **more)


def waiting_id(rows: list[Row]) -> str:
    (found,) = [row.result.execution_id for row in rows if isinstance(row.result, Waiting)]
    return found


def mails(options: Options) -> list[str]:
    return sorted(path.name for path in (options.out.parent / "mail").iterdir())


def take_one(desk):
    return [demo.Taken("one.xml", desk.take_in(sample("01")))]
