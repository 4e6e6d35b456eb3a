"""Budgets of departments beside the root's: claimed by calls and effects, rebuilt from rows, written with what they tell (L45).

`Engine.books` is None where no department has a budget, and an execution of no such department has no folios: what follows
is then one look at an attribute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from remit.engine.node import Node
from remit.engine.terms import note, terms_of
from remit.errors import MisuseError
from remit.kernel.budget import Pool
from remit.kernel.department_budgets import Book, BookKey, Folio
from remit.kernel.departments import Period, Span, span_of
from remit.kernel.states import Status
from remit.kernel.trace import ancestors_of
from remit.kernel.usage import NOTHING, Amount
from remit.store.port import Reader
from remit.store.records import BudgetRecord, ExecutionFilter, LedgerRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Books", "budgets_read", "set_budget"]

_MOST_PAUSED = 10_000
_DAY_MS = 86_400_000
Booked = Sequence[tuple[str, str, str, int, int]]
"""Where reservations of an execution stand in a period of before: department, tenant, period, its beginning and end."""


class Books:
    """The budgets of departments, with what was spent and is reserved under each."""

    def __init__(self, reader: Reader, records: Iterable[BudgetRecord]) -> None:
        self._reader = reader
        self._books: dict[BookKey, Book] = {}
        self._of: dict[tuple[str, str], list[Book]] = {}
        self._ledgers: dict[tuple[BookKey, Span], LedgerRecord] = {}
        for each in records:
            key = BookKey(each.department, each.tenant, Period(each.period))
            suspends = each.on_exhausted == "suspend"
            book = Book(key, each.zone, each.limit_tokens, each.limit_cost, self._spent, suspends=suspends)
            self._books[key] = book
            self._of.setdefault(key[:2], []).append(book)
        self._reserve_what_is_open()

    def all(self) -> list[Book]:
        """Every budget, by department, tenant and period."""
        return list(self._books.values())

    def of(self, department: str | None, tenant: str | None) -> list[Book]:
        """The budgets that an execution is under: its department's, with all tenants and with its own."""
        if department is None:
            return []
        alone = self._of.get((department, tenant), []) if tenant is not None else []
        return [*self._of.get((department, ""), []), *alone]

    def _spent(self, key: BookKey, span: Span) -> tuple[int, int]:
        return self._reader.department_spent(key.department, key.tenant, *span)

    def _reserve_what_is_open(self) -> None:
        """Reservations that were made before stand in the rows of the executions that hold them, and count where they were made."""
        found = self._reader.open_reservations()
        departments = self._reader.departments_of({each for row in found for each in (row.id, *ancestors_of(row.id))})
        for row in found:
            booked = orjson.loads(row.terms).get("booked", ()) if row.terms else ()
            names = {departments.get(each) for each in (row.id, *ancestors_of(row.id))}
            for book in {id(each): each for name in names for each in self.of(name, row.tenant)}.values():
                account = book.account(_span(book, row.created_at, booked))
                account.tokens.held += row.tokens
                account.cost.held += row.cost

    # -- executions ---------------------------------------------------------------------------------------------------

    def wanted(
        self, caller: Node | None, department: str | None, tenant: str | None, amount: Amount, now: int
    ) -> list[Folio]:
        """What a call of that department would draw on: its caller's departments' budgets, and the callee's."""
        folios = {} if caller is None else {each.book.key: each.for_amount(amount, now) for each in caller.folios}
        for book in self.of(department, tenant):
            if book.key not in folios:
                folios[book.key] = book.folio(now)
        return list(folios.values())

    def admit(self, node: Node, folios: Iterable[Folio], amount: Amount) -> None:
        """Reserve for a call that passed pre-flight, on both sides; `folios` are what was wanted then."""
        record = node.record
        node.folios = [each.below() for each in folios]
        for each in node.folios:
            each.account.reserve(amount)
        booked = [(*each.book.key, *each.span) for each in node.folios if record.created_at >= each.span.ends]
        if booked:
            note(record, {"booked": booked})

    def of_root(self, department: str | None, tenant: str | None, now: int) -> list[Folio]:
        """What a root draws on; raises MisuseError `budget_exceeded` where there is nothing left to begin with."""
        folios = self.wanted(None, department, tenant, NOTHING, now)
        for folio in folios:
            refusal = folio.account.refusal(NOTHING)
            if refusal is not None:
                said = folio.said()
                raise MisuseError(
                    f"The budget of department {department!r} for the {said['period']} has no {refusal.unit} left."
                    f" Raise it: `remit budget set {department}`, or start again after {said['ends']}.",
                    code="budget_exceeded",
                    details={"unit": refusal.unit, **said},
                )
        return folios

    def attach(self, node: Node) -> None:
        """Claims of an execution that was admitted before; its reservations are among those of its periods already."""
        record = node.record
        booked: Booked = terms_of(record).get("booked", ()) if record.terms is not None else ()
        above = {each.book.key: each for each in node.parent.folios} if node.parent is not None else {}
        own = [each for each in self.of(record.department, record.tenant) if each.key not in above]
        node.folios = [
            self._attached(node, book, above.get(book.key), _span(book, record.created_at, booked))
            for book in (*(each.book for each in above.values()), *own)
        ]
        for _, hold in node.holds.values():
            hold.folios = [each.below() for each in node.folios]
            for each in hold.folios:
                each.account.tokens.unused = hold.account.tokens.unused
                each.account.cost.unused = hold.account.cost.unused

    def _attached(self, node: Node, book: Book, above: Folio | None, span: Span) -> Folio:
        under = above if above is not None and above.span == span else Folio(book, span, book.account(span))
        folio = under.below()
        for own, main in ((folio.account.tokens, node.account.tokens), (folio.account.cost, node.account.cost)):
            own.unused, own.estimate, own.settled = main.unused, main.estimate, main.settled
        lenders = _lenders(folio.account.tokens, folio.book.account(span).tokens)
        lent = terms_of(node.record).get("lent", ()) if node.record.terms is not None else ()
        folio.account.owe(each for each in lent if each[0] <= lenders)
        return folio

    # -- effects ------------------------------------------------------------------------------------------------------

    def charge(self, folios: Iterable[Folio], amount: Amount) -> list[LedgerRecord]:
        """Count what was used; the rows that say so."""
        changed = []
        for folio in folios:
            folio.account.spend(amount)
            changed.append(self._ledger(folio))
        return changed

    def _ledger(self, folio: Folio) -> LedgerRecord:
        key, span = folio.book.key, folio.span
        found = self._ledgers.get((key, span))
        if found is None:
            found = self._ledgers[key, span] = LedgerRecord(key.department, key.tenant, *span)
        account = folio.book.account(span)
        found.tokens, found.cost = account.tokens.spent, account.cost.spent
        return found


def _lenders(pool: Pool, period: Pool) -> int:
    """How many executions stand between an account and that of its period."""
    count = 0
    while pool.parent is not None and pool.parent is not period:
        pool = pool.parent
        count += 1
    return count


def _span(book: Book, created_at: int, booked: Booked) -> Span:
    """The period in which an execution's reservations under a budget were made."""
    there = next((Span(begins, ends) for *key, begins, ends in booked if tuple(key) == book.key), None)
    return there or span_of(created_at, book.key.period, book.zone)


def budgets_read(reader: Reader) -> Books | None:
    """The books as rows tell them; None where no department has a budget."""
    records = reader.department_budgets()
    return Books(reader, records) if records else None


async def set_budget(engine: Engine, place: BookKey, record: BudgetRecord | None) -> None:
    """Set a department's budget, or remove it; durable when this returns. What runs is under it from now on.

    One that is new begins with what was used in its period before; one that replaces another goes on with what that has counted.
    """
    await engine.durability.settled()
    before = engine.store.department_budgets()
    if record is not None and not any(_periods_of(each) == _periods_of(record) for each in before):
        _count_what_was_used(engine, place, record.zone)
    engine.durability.budget((place.department, place.tenant, str(place.period)), record)
    await engine.durability.settled()
    engine.books = budgets_read(engine.store)
    for node in sorted(engine.traces.nodes.values(), key=lambda each: len(each.path)):
        node.folios = ()
        for _, hold in node.holds.values():
            hold.folios = ()
        if engine.books is not None:
            engine.books.attach(node)
    _let_go_on(engine, place)
    await engine.durability.barrier()


def _periods_of(record: BudgetRecord) -> tuple[str, str, str, str]:
    return record.department, record.tenant, record.period, record.zone


def _count_what_was_used(engine: Engine, place: BookKey, zone: str) -> None:
    """The bills tell it, by days in UTC: those count that lie in the period by more than half."""
    span = span_of(engine.clock.now(), place.period, zone)
    first_day = -((_DAY_MS // 2 - span.begins) // _DAY_MS)
    used = engine.store.department_used(place.department, place.tenant, first_day)
    counted = engine.store.department_spent(place.department, place.tenant, *span)
    tokens, cost = map(max, used, counted)  # of a budget that was removed in between, a part is counted already
    if (tokens, cost) != counted:
        engine.durability.ledger(LedgerRecord(place.department, place.tenant, *span, tokens, cost))


def _let_go_on(engine: Engine, place: BookKey) -> None:
    """Drive on what was paused for want of this budget (L26)."""
    paused = ExecutionFilter(status=frozenset({Status.PAUSED}), tenant=place.tenant or None, limit=_MOST_PAUSED)
    for each in engine.store.listing(paused):
        error: dict[str, Any] = orjson.loads(each.error or b"{}")
        if error.get("code") == "budget_exhausted" and error["details"].get("department") == place.department:
            node = engine.traces.load(each.id)
            if node is not None and node.record.status is Status.PAUSED:
                engine.resume(node)
