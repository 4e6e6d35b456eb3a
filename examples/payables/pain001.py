"""The payment file: ISO 20022 CustomerCreditTransferInitiationV09 (pain.001.001.09)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET

from .bookings import Booking, Debtor
from .iban import check_digits
from .latin import bank_text
from .money import minor_unit, round_amount
from .transfers import Transfer

__all__ = ["NAMESPACE", "payment_file"]

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"

# The countries whose accounts SEPA credit transfers reach (EPC409-09).
_COUNTRIES = (
    "AD AL AT BE BG CH CY CZ DE DK EE ES FI FR GB GI GR HR HU IE IS IT LI LT LU LV MC MD ME MK MT NL NO PL "
    "PT RO RS SE SI SK SM VA"
)
_SEPA = frozenset(_COUNTRIES.split())
_NAME = 70  # SEPA's limit; the schema would allow 140
_REMITTANCE = 140
_ID = 35
_CREDITOR_REFERENCE = re.compile(r"RF\d{2}[A-Z0-9]{1,21}", re.ASCII)

_Group = tuple[str, date, bool]  # currency, execution date, whether SEPA carries it


def payment_file(message_id: str, created: datetime, debtors: dict[str, Debtor], transfers: list[Transfer]) -> bytes:
    """The file that orders these transfers (at least one), each from the debtor account in its currency."""
    groups: dict[_Group, list[Transfer]] = defaultdict(list)
    for transfer in transfers:
        currency = transfer.head.currency
        groups[currency, transfer.day, _is_sepa(debtors[currency], transfer.head)].append(transfer)
    ET.register_namespace("", NAMESPACE)
    document = ET.Element(f"{{{NAMESPACE}}}Document")
    initiation = _add(document, "CstmrCdtTrfInitn")
    header = _add(initiation, "GrpHdr")
    _add(header, "MsgId", bank_text(message_id, _ID))
    _add(header, "CreDtTm", created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    _add_control(header, transfers)
    _add(_add(header, "InitgPty"), "Nm", bank_text(next(iter(debtors.values())).name, _NAME))
    for number, (group, members) in enumerate(sorted(groups.items()), 1):
        _add_group(initiation, f"{message_id}-{number}", group, debtors[group[0]], members)
    ET.indent(document)
    return bytes(ET.tostring(document, encoding="UTF-8", xml_declaration=True)) + b"\n"


def _add_group(parent: ET.Element, payment_id: str, group: _Group, debtor: Debtor, transfers: list[Transfer]) -> None:
    currency, day, sepa = group
    info = _add(parent, "PmtInf")
    _add(info, "PmtInfId", bank_text(payment_id, _ID))
    _add(info, "PmtMtd", "TRF")
    _add_control(info, transfers)
    if sepa:
        _add(_add(_add(info, "PmtTpInf"), "SvcLvl"), "Cd", "SEPA")
    _add(_add(info, "ReqdExctnDt"), "Dt", day.isoformat())
    _add(_add(info, "Dbtr"), "Nm", bank_text(debtor.name, _NAME))
    account = _add_account(info, "DbtrAcct", debtor.iban)
    _add(account, "Ccy", currency)
    _add_agent(info, "DbtrAgt", debtor.bic)
    _add(info, "ChrgBr", "SLEV" if sepa else "SHAR")
    for transfer in transfers:
        _add_transfer(info, transfer)


def _add_transfer(parent: ET.Element, transfer: Transfer) -> None:
    head = transfer.head
    info = _add(parent, "CdtTrfTxInf")
    _add(_add(info, "PmtId"), "EndToEndId", head.end_to_end_id)
    _add_amount(_add(info, "Amt"), "InstdAmt", transfer.amount, head.currency)
    if head.bic:
        _add_agent(info, "CdtrAgt", head.bic)
    _add(_add(info, "Cdtr"), "Nm", bank_text(head.creditor, _NAME))
    _add_account(info, "CdtrAcct", head.iban)
    remittance = _add(info, "RmtInf")
    if len(transfer.bookings) > 1:
        for booking in transfer.bookings:
            _add_referred(remittance, booking)
    elif _is_creditor_reference(head.reference):
        _add_creditor_reference(remittance, head.reference)
    else:
        text = head.reference if head.reference in {"", head.number} else f"{head.number} {head.reference}"
        _add(remittance, "Ustrd", bank_text(text or head.number, _REMITTANCE))


def _add_referred(parent: ET.Element, booking: Booking) -> None:
    """One invoice, or the credit note set off against it, of a transfer that settles several."""
    structured = _add(parent, "Strd")
    referred = _add(structured, "RfrdDocInf")
    is_credit = booking.amount < 0
    _add(_add(_add(referred, "Tp"), "CdOrPrtry"), "Cd", "CREN" if is_credit else "CINV")
    _add(referred, "Nb", bank_text(booking.number, _ID))
    _add(referred, "RltdDt", booking.issued.isoformat())
    name = "CdtNoteAmt" if is_credit else "DuePyblAmt"
    _add_amount(_add(structured, "RfrdDocAmt"), name, abs(booking.amount), booking.currency)


def _add_creditor_reference(parent: ET.Element, reference: str) -> None:
    info = _add(_add(parent, "Strd"), "CdtrRefInf")
    type_ = _add(info, "Tp")
    _add(_add(type_, "CdOrPrtry"), "Cd", "SCOR")
    _add(type_, "Issr", "ISO")
    _add(info, "Ref", reference.replace(" ", ""))


def _add_control(parent: ET.Element, transfers: Iterable[Transfer]) -> None:
    amounts = [_exact(transfer.amount, transfer.head.currency) for transfer in transfers]
    _add(parent, "NbOfTxs", str(len(amounts)))
    _add(parent, "CtrlSum", f"{sum(amounts, Decimal(0)):f}")


def _add_account(parent: ET.Element, name: str, iban: str) -> ET.Element:
    account = _add(parent, name)
    _add(_add(account, "Id"), "IBAN", iban)
    return account


def _add_agent(parent: ET.Element, name: str, bic: str) -> None:
    institution = _add(_add(parent, name), "FinInstnId")
    if bic:
        _add(institution, "BICFI", bic)
    else:
        _add(_add(institution, "Othr"), "Id", "NOTPROVIDED")


def _add_amount(parent: ET.Element, name: str, amount: Decimal, currency: str) -> None:
    _add(parent, name, f"{_exact(amount, currency):f}").set("Ccy", currency)


def _add(parent: ET.Element, name: str, text: str | None = None) -> ET.Element:
    child = ET.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    child.text = text
    return child


def _exact(amount: Decimal, currency: str) -> Decimal:
    return round_amount(amount, minor_unit(currency) or Decimal("0.01"))


def _is_sepa(debtor: Debtor, booking: Booking) -> bool:
    return booking.currency == "EUR" and {debtor.iban[:2], booking.iban[:2]} <= _SEPA


def _is_creditor_reference(text: str) -> bool:
    """Whether the text is an ISO 11649 reference: its check digits are those of an IBAN."""
    reference = text.replace(" ", "")
    if not _CREDITOR_REFERENCE.fullmatch(reference):
        return False
    return check_digits(reference[:2], reference[4:]) == reference[2:4]
