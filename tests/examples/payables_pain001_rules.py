"""The rules of pain.001.001.09, from the message definition and independent of what writes the file.

Structure: element order, cardinality, choices and simple types of every element the payables may use; an
element that is not here is a finding. Cross-element rules: counts, control sums, unique ids, check digits, and
SEPA's rules for groups that ask for its service level.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from xml.etree import ElementTree as ET

NS = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"
MANY = 10**9

# Element: type, least, most. A type whose name starts with "choice:" takes exactly one of its elements.
SEQUENCES: dict[str, list[tuple[str, str, int, int]]] = {
    "Document": [("CstmrCdtTrfInitn", "Initiation", 1, 1)],
    "Initiation": [("GrpHdr", "GroupHeader85", 1, 1), ("PmtInf", "PaymentInstruction30", 1, MANY)],
    "GroupHeader85": [
        ("MsgId", "Max35Text", 1, 1),
        ("CreDtTm", "ISODateTime", 1, 1),
        ("NbOfTxs", "Max15NumericText", 1, 1),
        ("CtrlSum", "DecimalNumber", 0, 1),
        ("InitgPty", "PartyIdentification135", 1, 1),
    ],
    "PaymentInstruction30": [
        ("PmtInfId", "Max35Text", 1, 1),
        ("PmtMtd", "PaymentMethod3Code", 1, 1),
        ("NbOfTxs", "Max15NumericText", 0, 1),
        ("CtrlSum", "DecimalNumber", 0, 1),
        ("PmtTpInf", "PaymentTypeInformation26", 0, 1),
        ("ReqdExctnDt", "choice:DateAndDateTime2", 1, 1),
        ("Dbtr", "PartyIdentification135", 1, 1),
        ("DbtrAcct", "CashAccount38", 1, 1),
        ("DbtrAgt", "Agent6", 1, 1),
        ("ChrgBr", "ChargeBearerType1Code", 0, 1),
        ("CdtTrfTxInf", "CreditTransferTransaction34", 1, MANY),
    ],
    "CreditTransferTransaction34": [
        ("PmtId", "PaymentIdentification6", 1, 1),
        ("Amt", "choice:AmountType4", 1, 1),
        ("CdtrAgt", "Agent6", 0, 1),
        ("Cdtr", "PartyIdentification135", 0, 1),
        ("CdtrAcct", "CashAccount38", 0, 1),
        ("RmtInf", "RemittanceInformation16", 0, 1),
    ],
    "PartyIdentification135": [("Nm", "Max140Text", 0, 1)],
    "PaymentTypeInformation26": [("SvcLvl", "choice:ServiceLevel8", 0, MANY)],
    "choice:ServiceLevel8": [("Cd", "ExternalServiceLevel1Code", 1, 1), ("Prtry", "Max35Text", 1, 1)],
    "choice:DateAndDateTime2": [("Dt", "ISODate", 1, 1), ("DtTm", "ISODateTime", 1, 1)],
    "CashAccount38": [("Id", "choice:AccountIdentification4", 1, 1), ("Ccy", "CurrencyCode", 0, 1)],
    "choice:AccountIdentification4": [("IBAN", "IBAN2007Identifier", 1, 1)],
    "Agent6": [("FinInstnId", "FinancialInstitutionIdentification18", 1, 1)],
    "FinancialInstitutionIdentification18": [
        ("BICFI", "BICFIDec2014Identifier", 0, 1),
        ("Othr", "GenericFinancialIdentification1", 0, 1),
    ],
    "GenericFinancialIdentification1": [("Id", "Max35Text", 1, 1)],
    "PaymentIdentification6": [("InstrId", "Max35Text", 0, 1), ("EndToEndId", "Max35Text", 1, 1)],
    "choice:AmountType4": [("InstdAmt", "Amount", 1, 1)],
    "RemittanceInformation16": [
        ("Ustrd", "Max140Text", 0, MANY),
        ("Strd", "StructuredRemittance16", 0, MANY),
    ],
    "StructuredRemittance16": [
        ("RfrdDocInf", "ReferredDocumentInformation7", 0, MANY),
        ("RfrdDocAmt", "RemittanceAmount2", 0, 1),
        ("CdtrRefInf", "CreditorReferenceInformation2", 0, 1),
    ],
    "ReferredDocumentInformation7": [
        ("Tp", "ReferredDocumentType4", 0, 1),
        ("Nb", "Max35Text", 0, 1),
        ("RltdDt", "ISODate", 0, 1),
    ],
    "ReferredDocumentType4": [("CdOrPrtry", "choice:DocumentType6Code", 1, 1), ("Issr", "Max35Text", 0, 1)],
    "choice:DocumentType6Code": [("Cd", "DocumentType6Code", 1, 1), ("Prtry", "Max35Text", 1, 1)],
    "RemittanceAmount2": [("DuePyblAmt", "Amount", 0, 1), ("CdtNoteAmt", "Amount", 0, 1)],
    "CreditorReferenceInformation2": [("Tp", "CreditorReferenceType2", 0, 1), ("Ref", "Max35Text", 0, 1)],
    "CreditorReferenceType2": [("CdOrPrtry", "choice:DocumentType3Code", 1, 1), ("Issr", "Max35Text", 0, 1)],
    "choice:DocumentType3Code": [("Cd", "DocumentType3Code", 1, 1), ("Prtry", "Max35Text", 1, 1)],
}
PATTERNS: dict[str, str] = {
    "Max35Text": r".{1,35}",
    "Max140Text": r".{1,140}",
    "Max15NumericText": r"[0-9]{1,15}",
    "DecimalNumber": r"-?(?=[0-9.]{1,19}$)[0-9]+(\.[0-9]{1,17})?",
    "ISODateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?",
    "ISODate": r"\d{4}-\d\d-\d\d",
    "PaymentMethod3Code": r"CHK|TRF|TRA",
    "ChargeBearerType1Code": r"DEBT|CRED|SHAR|SLEV",
    "ExternalServiceLevel1Code": r".{1,4}",
    "CurrencyCode": r"[A-Z]{3}",
    "IBAN2007Identifier": r"[A-Z]{2}[0-9]{2}[a-zA-Z0-9]{1,30}",
    "BICFIDec2014Identifier": r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?",
    "Amount": r"(?=[0-9.]{1,19}$)[0-9]+(\.[0-9]{1,5})?",
    "DocumentType6Code": r"MSIN|CNFA|DNFA|CINV|CREN|DEBN|HIRI|SBIN|CMCN|SOAC|DISP|BOLD|VCHR|AROI|TSUT|PUOR",
    "DocumentType3Code": r"RADM|RPIN|FXDR|DISP|PUOR|SCOR",
}
SEPA_TEXT = re.compile(r"[a-zA-Z0-9/\-?:().,'+ ]*")
DECIMALS = {"JPY": 0, "KRW": 0, "KWD": 3}


def findings(content: bytes, today: date) -> list[str]:
    """Every rule a payment file breaks, as `path: what`; empty where it breaks none."""
    root = ET.fromstring(content)
    if root.tag != f"{NS}Document":
        return [f"/: the root is {root.tag}"]
    structure = list(_structure(root, "Document", "Document"))
    return structure or [finding for rule in RULES for finding in rule(root, today)]


def _structure(node: ET.Element, type_: str, path: str) -> Iterator[str]:
    if type_ not in SEQUENCES:
        yield from _simple(node, type_, path)
        return
    if (node.text or "").strip() or node.attrib:
        yield f"{path}: has text or attributes of its own"
    names = [child.tag.removeprefix(NS) for child in node]
    allowed = SEQUENCES[type_]
    order = [name for name, *_ in allowed]
    if unknown := [name for name in names if name not in order]:
        yield f"{path}: {unknown[0]} does not belong here"
        return
    if names != sorted(names, key=order.index):
        yield f"{path}: {names} is not the order of the schema"
    if type_.startswith("choice:"):
        if len(names) != 1:
            yield f"{path}: takes exactly one of {order}"
    else:
        for name, _, least, most in allowed:
            if not least <= names.count(name) <= most:
                yield f"{path}: {names.count(name)} x {name}"
    types = {name: child_type for name, child_type, *_ in allowed}
    for child, name in zip(node, names, strict=True):
        yield from _structure(child, types[name], f"{path}/{name}")


def _simple(node: ET.Element, type_: str, path: str) -> Iterator[str]:
    text = node.text or ""
    if len(node):
        yield f"{path}: has elements inside"
    if not re.fullmatch(PATTERNS[type_], text):
        yield f"{path}: {text!r} is no {type_}"
    if set(node.attrib) != ({"Ccy"} if type_ == "Amount" else set()):
        yield f"{path}: attributes {sorted(node.attrib)}"
    if type_ == "Amount":
        currency = node.get("Ccy", "")
        decimals = len(text.partition(".")[2])
        if not re.fullmatch(r"[A-Z]{3}", currency) or decimals > DECIMALS.get(currency, 2):
            yield f"{path}: {text} {currency}"
    if type_ == "ISODate" and re.fullmatch(PATTERNS[type_], text):
        try:
            date.fromisoformat(text)
        except ValueError:
            yield f"{path}: no such day {text}"


def _counts(root: ET.Element, _today: date) -> Iterator[str]:
    for scope in [root.find(f".//{NS}CstmrCdtTrfInitn"), *_all(root, "PmtInf")]:
        assert scope is not None
        holder = scope.find(f"{NS}GrpHdr")
        holder = scope if holder is None else holder
        amounts = [Decimal(node.text or "") for node in _all(scope, "InstdAmt")]
        if _text(holder, "NbOfTxs") != str(len(amounts)):
            yield f"{scope.tag}: NbOfTxs {_text(holder, 'NbOfTxs')}, there are {len(amounts)}"
        if Decimal(_text(holder, "CtrlSum")) != sum(amounts):
            yield f"{scope.tag}: CtrlSum {_text(holder, 'CtrlSum')}, the sum is {sum(amounts)}"


def _amounts(root: ET.Element, _today: date) -> Iterator[str]:
    for node in _all(root, "InstdAmt"):
        if Decimal(node.text or "") <= 0:
            yield f"InstdAmt: {node.text} is not above zero"


def _unique(root: ET.Element, _today: date) -> Iterator[str]:
    for name in ("PmtInfId", "EndToEndId"):
        for text, count in Counter(node.text for node in _all(root, name)).items():
            if count > 1:
                yield f"{name}: {text} stands {count} times"


def _accounts(root: ET.Element, _today: date) -> Iterator[str]:
    for node in _all(root, "IBAN"):
        iban = node.text or ""
        digits = "".join(str("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(c)) for c in iban[4:] + iban[:4])
        if int(digits) % 97 != 1:
            yield f"IBAN: {iban} fails its check"


def _dates(root: ET.Element, today: date) -> Iterator[str]:
    for node in root.iter(f"{NS}ReqdExctnDt"):
        if date.fromisoformat(_text(node, "Dt")) < today:
            yield f"ReqdExctnDt: {_text(node, 'Dt')} is past"


def _groups(root: ET.Element, _today: date) -> Iterator[str]:
    seen = Counter(
        (
            _text(group, "Dbtr/Nm"),
            _text(group, "DbtrAcct/Id/IBAN"),
            _text(group, "ReqdExctnDt/Dt"),
            _is_sepa(group),
        )
        for group in _all(root, "PmtInf")
    )
    yield from (f"PmtInf: {key} in {count} groups" for key, count in seen.items() if count > 1)
    for group in _all(root, "PmtInf"):
        currencies = {node.get("Ccy") for node in _all(group, "InstdAmt")}
        if currencies != {_text(group, "DbtrAcct/Ccy")}:
            yield f"PmtInf: {currencies} from an account in {_text(group, 'DbtrAcct/Ccy')}"


def _sepa(root: ET.Element, _today: date) -> Iterator[str]:
    for group in filter(_is_sepa, _all(root, "PmtInf")):
        if _text(group, "ChrgBr") != "SLEV":
            yield f"ChrgBr: {_text(group, 'ChrgBr')} in a SEPA group"
        if {node.get("Ccy") for node in _all(group, "InstdAmt")} != {"EUR"}:
            yield "InstdAmt: another currency than EUR in a SEPA group"
        for transfer in _all(group, "CdtTrfTxInf"):
            if not _text(transfer, "Cdtr/Nm") or not _text(transfer, "CdtrAcct/Id/IBAN"):
                yield "CdtTrfTxInf: a SEPA transfer needs name and IBAN"


def _characters(root: ET.Element, _today: date) -> Iterator[str]:
    for node in root.iter():
        text = (node.text or "") if not len(node) else ""
        name = node.tag.removeprefix(NS)
        if not SEPA_TEXT.fullmatch(text):
            yield f"{name}: {text!r} has characters outside the Latin set"
        if name == "Nm" and len(text) > 70:
            yield f"Nm: {len(text)} characters"
        if name in {"MsgId", "PmtInfId", "EndToEndId"} and (text[:1] == "/" or text[-1:] == "/" or "//" in text):
            yield f"{name}: slashes in {text!r}"


def _remittance(root: ET.Element, _today: date) -> Iterator[str]:
    for transfer in _all(root, "CdtTrfTxInf"):
        plain, structured = _all(transfer, "Ustrd"), _all(transfer, "Strd")
        if bool(plain) == bool(structured) or len(plain) > 1:
            yield "RmtInf: one Ustrd, or Strd"
        due = sum((Decimal(node.text or "") for node in _all(transfer, "DuePyblAmt")), Decimal(0))
        credit = sum((Decimal(node.text or "") for node in _all(transfer, "CdtNoteAmt")), Decimal(0))
        if due and due - credit != Decimal(_text(transfer, "Amt/InstdAmt")):
            yield f"RmtInf: {due} less {credit} is not {_text(transfer, 'Amt/InstdAmt')}"


RULES: list[Callable[[ET.Element, date], Iterator[str]]] = [
    _counts,
    _amounts,
    _unique,
    _accounts,
    _dates,
    _groups,
    _sepa,
    _characters,
    _remittance,
]


def _is_sepa(group: ET.Element) -> bool:
    return _text(group, "PmtTpInf/SvcLvl/Cd") == "SEPA"


def _all(node: ET.Element, name: str) -> list[ET.Element]:
    return list(node.iter(f"{NS}{name}"))


def _text(node: ET.Element, path: str) -> str:
    return node.findtext("/".join(f"{NS}{part}" for part in path.split("/"))) or ""
