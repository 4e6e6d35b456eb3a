"""The parts of a UBL document: parties, lines, allowances and charges, taxes, totals, means of payment."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from .document import Adjustment, Line, Means, Party, TaxShare, TaxTotal, Totals
from .fields import amount, amount_or_none, clipped, decimal_or_none, flag, need, need_text
from .iban import compact
from .refusal import Refused
from .safe_xml import Node

__all__ = ["read_adjustment", "read_line", "read_means", "read_party", "read_taxes", "read_totals"]

_NAMES = (
    "cac:PartyLegalEntity/cbc:RegistrationName",  # the legal name comes first: it owns the account
    "cac:PartyName/cbc:Name",
    "cac:PartyTaxScheme/cbc:RegistrationName",
)
_IDS = (
    "cac:PartyTaxScheme/cbc:CompanyID",
    "cac:PartyLegalEntity/cbc:CompanyID",
    "cac:PartyIdentification/cbc:ID",
    "cbc:EndpointID",
)
_ITEM_IDS = (
    "cac:BuyersItemIdentification",
    "cac:SellersItemIdentification",
    "cac:StandardItemIdentification",
)


def read_party(node: Node) -> Party:
    """A party; refused as `missing_name` where the file gives it no name at all."""
    name = next((text for path in _NAMES if (text := node.value(path))), "") or _person(node)
    if not name:
        raise Refused("missing_name", f"{node.path}/{_NAMES[1]}", "the party has no name", "Add its name")
    ids = (compact(found.text) for path in _IDS for found in node.all(path))
    return Party(element=node.path, name=clipped(name), ids=tuple(dict.fromkeys(id_ for id_ in ids if id_)))


def read_line(node: Node, quantity_element: str, currency: str) -> Line:
    """An invoice line or credit note line."""
    item = need(node, "cac:Item")
    category, percent = _category(item, "cac:ClassifiedTaxCategory")
    item_ids = (found.text for name in _ITEM_IDS for found in item.all(f"{name}/cbc:ID"))
    return Line(
        element=node.path,
        id=need_text(node, "cbc:ID"),
        name=clipped(item.value("cbc:Name") or item.value("cbc:Description")),
        quantity=decimal_or_none(node, quantity_element),
        net=amount(need(node, "cbc:LineExtensionAmount"), currency),
        price=amount_or_none(node, "cac:Price/cbc:PriceAmount", currency),
        base_quantity=_base_quantity(node),
        adjustments=tuple(read_adjustment(found, currency) for found in node.all("cac:AllowanceCharge")),
        item_ids=tuple(dict.fromkeys(id_ for id_ in item_ids if id_)),
        order=node.value("cac:OrderLineReference/cac:OrderReference/cbc:ID"),
        order_line=node.value("cac:OrderLineReference/cbc:LineID"),
        category=category,
        percent=percent,
    )


def read_adjustment(node: Node, currency: str) -> Adjustment:
    """An allowance or charge, of the document or of a line."""
    category, percent = _category(node, "cac:TaxCategory")
    return Adjustment(
        element=node.path,
        charge=flag(node, "cbc:ChargeIndicator"),
        amount=amount(need(node, "cbc:Amount"), currency),
        category=category,
        percent=percent,
    )


def read_taxes(root: Node, currency: str) -> Iterator[TaxTotal]:
    """The taxes in the document's currency; a total repeated in the tax authority's currency is left out."""
    accounting = root.value("cbc:TaxCurrencyCode")
    for node in root.all("cac:TaxTotal"):
        total = need(node, "cbc:TaxAmount")
        stated = total.attributes.get("currencyID", "")
        if stated != currency and stated == accounting:
            continue
        shares = tuple(_share(found, currency) for found in node.all("cac:TaxSubtotal"))
        yield TaxTotal(element=node.path, amount=amount(total, currency), shares=shares)


def read_totals(node: Node, currency: str) -> Totals:
    """The totals; only the payable amount is required."""

    def total(name: str) -> Decimal | None:
        return amount_or_none(node, f"cbc:{name}", currency)

    return Totals(
        element=node.path,
        lines=total("LineExtensionAmount"),
        allowances=total("AllowanceTotalAmount"),
        charges=total("ChargeTotalAmount"),
        exclusive=total("TaxExclusiveAmount"),
        inclusive=total("TaxInclusiveAmount"),
        prepaid=total("PrepaidAmount") or Decimal(0),
        rounding=total("PayableRoundingAmount") or Decimal(0),
        payable=amount(need(node, "cbc:PayableAmount"), currency),
    )


def read_means(node: Node) -> Means:
    """One way to pay, judged later: a document may offer several."""
    account = node.first("cac:PayeeFinancialAccount")
    branch = "cac:FinancialInstitutionBranch"
    return Means(
        element=node.path,
        code=node.value("cbc:PaymentMeansCode"),
        account=account.value("cbc:ID") if account else "",
        bic=(account.value(f"{branch}/cbc:ID") or account.value(f"{branch}/cac:FinancialInstitution/cbc:ID"))
        if account
        else "",
        holder=clipped(account.value("cbc:Name")) if account else "",
        reference=clipped(node.value("cbc:PaymentID")),
    )


def _share(node: Node, currency: str) -> TaxShare:
    category, percent = _category(node, "cac:TaxCategory")
    return TaxShare(
        element=node.path,
        taxable=amount_or_none(node, "cbc:TaxableAmount", currency),
        tax=amount(need(node, "cbc:TaxAmount"), currency),
        category=category,
        percent=decimal_or_none(node, "cbc:Percent") if percent is None else percent,
    )


def _category(node: Node, name: str) -> tuple[str, Decimal | None]:
    found = node.first(name)
    if found is None:
        return "", None
    return found.value("cbc:ID"), decimal_or_none(found, "cbc:Percent")


def _base_quantity(node: Node) -> Decimal:
    stated = decimal_or_none(node, "cac:Price/cbc:BaseQuantity")
    if stated is None:
        return Decimal(1)
    if stated == 0:
        raise Refused(
            "not_a_number",
            f"{node.path}/cac:Price/cbc:BaseQuantity",
            "a price for zero units says nothing",
            "State the number of units the price is for",
        )
    return stated


def _person(node: Node) -> str:
    person = node.first("cac:Person")
    if person is None:
        return ""
    return f"{person.value('cbc:FirstName')} {person.value('cbc:FamilyName')}".strip()
