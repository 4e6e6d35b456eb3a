"""UBL documents and books for the payables' tests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import examples.payables
from examples.payables.book import create_book
from examples.payables.iban import check_digits

EXAMPLE = Path(examples.payables.__file__).parent
INVOICES = EXAMPLE / "invoices"
UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
BUYER_ID = "NL999000010B01"
SUPPLIER_ID = "DE999000011"
IBAN = "DE" + check_digits("DE", "000000000000123456") + "000000000000123456"


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sample(name: str) -> bytes:
    """The sample invoice whose file name begins so."""
    (path,) = INVOICES.glob(f"{name}*.xml")
    return path.read_bytes()


def demo_book(folder: Path) -> Path:
    book = folder / "book.db"
    create_book(book, (EXAMPLE / "book.sql").read_text(encoding="utf-8"))
    return book


@dataclass
class Ubl:
    """A document that is right in every figure; `extra` goes in before the allowances."""

    lines: list[tuple[str, str]] = field(default_factory=lambda: [("2", "10.00")])  # quantity, price
    rate: str = "19"
    number: str = "T-1"
    currency: str = "EUR"
    kind: str = "Invoice"
    order: str = "PO-2026-0101"
    supplier: str = "Brightwater Paper GmbH"
    supplier_id: str = SUPPLIER_ID
    buyer_id: str = BUYER_ID
    iban: str = IBAN
    item: str = "BP-80-A4"
    extra: str = ""
    allowance: Decimal = Decimal(0)

    @property
    def net(self) -> Decimal:
        return sum((round(Decimal(q) * Decimal(p), 2) for q, p in self.lines), Decimal(0)) - self.allowance

    @property
    def tax(self) -> Decimal:
        return round(self.net * Decimal(self.rate) / 100, 2)

    def content(self) -> bytes:
        return self.text().encode()

    def text(self) -> str:
        net, tax = self.net, self.tax
        lines = "".join(self._line(number, *line) for number, line in enumerate(self.lines, 1))
        allowance = ""
        if self.allowance:
            allowance = (
                f"<cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator>"
                f"{self._amount('Amount', self.allowance)}{self._category('TaxCategory')}"
                f"</cac:AllowanceCharge>"
            )
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><{self.kind} xmlns="{UBL}{self.kind}-2" '
            f'xmlns:cac="{UBL}CommonAggregateComponents-2" xmlns:cbc="{UBL}CommonBasicComponents-2">'
            f"<cbc:ID>{self.number}</cbc:ID><cbc:IssueDate>2026-11-02</cbc:IssueDate>"
            f"<cbc:DocumentCurrencyCode>{self.currency}</cbc:DocumentCurrencyCode>"
            f"<cac:OrderReference><cbc:ID>{self.order}</cbc:ID></cac:OrderReference>"
            f"{self._party('AccountingSupplierParty', self.supplier, self.supplier_id)}"
            f"{self._party('AccountingCustomerParty', 'Halden Instruments B.V.', self.buyer_id)}"
            f"<cac:PaymentMeans><cbc:PaymentMeansCode>58</cbc:PaymentMeansCode><cac:PayeeFinancialAccount>"
            f"<cbc:ID>{self.iban}</cbc:ID></cac:PayeeFinancialAccount></cac:PaymentMeans>"
            f"{self.extra}{allowance}"
            f"<cac:TaxTotal>{self._amount('TaxAmount', tax)}"
            f"<cac:TaxSubtotal>{self._amount('TaxableAmount', net)}{self._amount('TaxAmount', tax)}"
            f"{self._category('TaxCategory')}</cac:TaxSubtotal></cac:TaxTotal>"
            f"<cac:LegalMonetaryTotal>{self._amount('LineExtensionAmount', net + self.allowance)}"
            f"{self._amount('TaxExclusiveAmount', net)}{self._amount('TaxInclusiveAmount', net + tax)}"
            f"{self._amount('AllowanceTotalAmount', self.allowance)}"
            f"{self._amount('PayableAmount', net + tax)}"
            f"</cac:LegalMonetaryTotal>{lines}</{self.kind}>"
        )

    def _line(self, number: int, quantity: str, price: str) -> str:
        name = "CreditedQuantity" if self.kind == "CreditNote" else "InvoicedQuantity"
        net = round(Decimal(quantity) * Decimal(price), 2)
        return (
            f"<cac:{self.kind}Line><cbc:ID>{number}</cbc:ID><cbc:{name}>{quantity}</cbc:{name}>"
            f"{self._amount('LineExtensionAmount', net)}<cac:Item><cbc:Name>Paper</cbc:Name>"
            f"<cac:SellersItemIdentification><cbc:ID>{self.item}</cbc:ID></cac:SellersItemIdentification>"
            f"{self._category('ClassifiedTaxCategory')}</cac:Item>"
            f"<cac:Price>{self._amount('PriceAmount', Decimal(price))}</cac:Price></cac:{self.kind}Line>"
        )

    def _amount(self, name: str, value: Decimal) -> str:
        return f'<cbc:{name} currencyID="{self.currency}">{value}</cbc:{name}>'

    def _category(self, name: str) -> str:
        return (
            f"<cac:{name}><cbc:ID>S</cbc:ID><cbc:Percent>{self.rate}</cbc:Percent>"
            f"<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:{name}>"
        )

    def _party(self, name: str, party: str, id_: str) -> str:
        return (
            f"<cac:{name}><cac:Party><cac:PartyTaxScheme><cbc:CompanyID>{id_}</cbc:CompanyID><cac:TaxScheme>"
            f"<cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme><cac:PartyLegalEntity>"
            f"<cbc:RegistrationName>{party}</cbc:RegistrationName></cac:PartyLegalEntity></cac:Party>"
            f"</cac:{name}>"
        )
