"""UBL 2.1 invoices and credit notes, read by name and namespace whatever prefixes and extras they carry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from .document import Document, Kind
from .fields import day, day_or_none, need, need_text
from .money import minor_unit
from .refusal import Refused
from .safe_xml import Node, parse_xml
from .ubl_parts import read_adjustment, read_line, read_means, read_party, read_taxes, read_totals

__all__ = ["MAX_LINES", "MAX_RECORD", "read_document"]

MAX_LINES = 2_000
MAX_RECORD = 900_000  # bytes; a document must fit into one recorded value, with what goes beside it

_KINDS: dict[str, tuple[Kind, str, str, str]] = {
    "Invoice": ("invoice", "cbc:InvoiceTypeCode", "cac:InvoiceLine", "cbc:InvoicedQuantity"),
    "CreditNote": ("credit_note", "cbc:CreditNoteTypeCode", "cac:CreditNoteLine", "cbc:CreditedQuantity"),
}
_NOT_PAYABLE = {"325", "751"}  # proforma; information for accounting
_CREDIT_CODES = {"81", "83", "261", "262", "296", "308", "381", "396", "420", "458", "532"}
_DUE = ("cbc:DueDate", "cac:PaymentMeans/cbc:PaymentDueDate", "cac:PaymentTerms/cbc:PaymentDueDate")
_PRECEDING = "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID"
_NO_ORDER = {"", "NA", "N/A", "NONE"}


def read_document(content: bytes) -> Document:
    """The document in a file's bytes; raises Refused, naming the element, and nothing else."""
    root = parse_xml(content)
    if root.name not in _KINDS:
        raise Refused(
            "not_an_invoice",
            f"/{root.name}",
            "the file is neither a UBL 2.1 Invoice nor a CreditNote",
            "Send a UBL 2.1 document whose root is Invoice-2 or CreditNote-2",
        )
    kind, type_element, line_element, quantity_element = _KINDS[root.name]
    _check_type(root, type_element)
    currency = _currency(root)
    order = root.value("cac:OrderReference/cbc:ID")
    payee = root.first("cac:PayeeParty")
    document = Document(
        element=root.path,
        kind=kind,
        type_code=root.value(type_element),
        number=need_text(root, "cbc:ID"),
        issued=day(need(root, "cbc:IssueDate")),
        due=_due(root),
        currency=currency,
        supplier=read_party(need(root, "cac:AccountingSupplierParty/cac:Party")),
        customer=read_party(need(root, "cac:AccountingCustomerParty/cac:Party")),
        payee=None if payee is None else read_party(payee),
        order="" if order.upper() in _NO_ORDER else order,
        preceding=tuple(node.text for node in root.all(_PRECEDING)),
        lines=tuple(read_line(node, quantity_element, currency) for node in _lines(root, line_element)),
        adjustments=tuple(read_adjustment(node, currency) for node in root.all("cac:AllowanceCharge")),
        taxes=tuple(read_taxes(root, currency)),
        totals=read_totals(need(root, "cac:LegalMonetaryTotal"), currency),
        means=tuple(read_means(node) for node in root.all("cac:PaymentMeans")),
    )
    _check_size(document)
    return document


def _check_type(root: Node, name: str) -> None:
    """Refuse what is no demand for payment, and what could be read with either sign."""
    code = root.value(name)
    if code in _NOT_PAYABLE:
        raise Refused(
            "not_payable",
            f"{root.path}/{name}",
            f"code {code} (UNTDID 1001) is not a demand for payment",
            "Send the invoice itself (code 380)",
        )
    if root.name == "Invoice" and code in _CREDIT_CODES:
        raise Refused(
            "ambiguous_type",
            f"{root.path}/{name}",
            f"code {code} is a credit note, the file is an Invoice",
            "Send a CreditNote with positive amounts",
        )


def _currency(root: Node) -> str:
    stated = root.first("cbc:DocumentCurrencyCode")
    if stated is not None and stated.text:
        code, element = stated.text, stated.path
    else:  # UBL leaves the code optional, but never the currency of the payable amount
        payable = need(root, "cac:LegalMonetaryTotal/cbc:PayableAmount")
        code, element = payable.attributes.get("currencyID", ""), f"{payable.path}/@currencyID"
    if minor_unit(code) is None:
        raise Refused("unknown_currency", element, f"{code[:40]!r} is no ISO 4217 currency", "Use a code such as EUR")
    return code


def _lines(root: Node, name: str) -> Iterator[Node]:
    nodes = list(root.all(name))
    if not nodes:
        need(root, name)
    if len(nodes) > MAX_LINES:
        raise Refused(
            "too_many_lines",
            f"{root.path}/{name}",
            f"the document has {len(nodes):,} lines",
            f"Split it into documents of at most {MAX_LINES:,} lines",
        )
    return iter(nodes)


def _check_size(document: Document) -> None:
    size = len(document.model_dump_json().encode())
    if size > MAX_RECORD:
        raise Refused(
            "too_large",
            document.element,
            f"its parties, lines and amounts take {size:,} bytes, at most {MAX_RECORD:,} are recorded",
            "Shorten names and identifiers, or split it into several documents",
        )


def _due(root: Node) -> date | None:
    stated = (day_or_none(root, path) for path in _DUE)
    return next((due for due in stated if due is not None), None)
