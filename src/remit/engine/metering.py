"""Tokens and cost: reserved before a metered effect starts, charged when it reports, never forgotten (L26-L28)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import TYPE_CHECKING

import orjson

from remit.engine.ending.intents import leave, left_running
from remit.engine.node import Node
from remit.errors import DomainError, ErrorClass, ErrorInfo
from remit.kernel.budget import Account, Refusal
from remit.kernel.department_budgets import Folio
from remit.kernel.usage import NOTHING, Amount, Usage, measured
from remit.store.records import EffectKind, JournalRecord, UsageKey

if TYPE_CHECKING:
    from remit.engine.body.run import Run
    from remit.engine.engine import Engine

__all__ = ["Hold", "Metering"]

_DAY_MS = 86_400_000


class Hold:
    """A reservation for one effect, as an account below its execution's."""

    __slots__ = ("account", "amount", "folios", "node")

    def __init__(self, node: Node, amount: Amount) -> None:
        self.node = node
        self.amount = amount
        self.account = Account(node.account)
        self.folios: Sequence[Folio] = ()


class Metering:
    """Reserves for effects and charges what they used, up the whole tree."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def hold(self, run: Run, entry: JournalRecord, amount: Amount) -> Hold | None:
        """Reserve an effect's maximum; fails or suspends as the root's budget says where there is no headroom (L26)."""
        if not (amount.tokens or amount.cost):
            return None
        refusal = run.node.account.overdrawn(amount)
        if refusal is not None:
            await self._exhausted(run, refusal, entry.name)
        wanted = self._folios(run.node, amount)
        for folio in wanted:
            refusal = folio.account.overdrawn(amount)
            if refusal is not None:
                await self._exhausted(run, refusal, entry.name, folio)
        hold = Hold(run.node, amount)
        hold.account.reserve(amount)
        hold.folios = [each.below() for each in wanted]
        for folio in hold.folios:
            folio.account.reserve(amount)
        run.node.holds[entry.position] = (entry, hold)
        entry.reserved_tokens, entry.reserved_cost = amount
        self._engine.durability.touch(run.node)
        self._engine.touch_lenders(run.node)
        return hold

    def _folios(self, node: Node, amount: Amount) -> list[Folio]:
        """What an effect of that amount draws on beside its root: the budgets of its departments (L45)."""
        return [each.for_amount(amount, self._engine.clock.now()) for each in node.folios]

    async def _exhausted(
        self, run: Run, refusal: Refusal, effect: str, folio: Folio | None = None, *, taken: bool = False
    ) -> None:
        error = _exhausted(run.node, refusal, effect, folio, taken=taken)
        if self._suspends(run.node, folio):
            # A period's budget is whole again when the next one begins; a root's has to be topped up.
            until = None if folio is None else folio.book.span(self._engine.clock.now()).ends
            self._engine.pause(run.node, error, until)
            await run.never()
        raise DomainError(error.message, code=error.code, details=error.details)

    def _suspends(self, node: Node, folio: Folio | None) -> bool:
        if folio is not None:
            return folio.book.suspends
        terms = node.trace.root.record.terms
        return bool(terms) and orjson.loads(terms or b"{}").get("on_exhausted") == "suspend"

    def settle(
        self, hold: Hold | None, node: Node, entry: JournalRecord, usage: Usage | None, *, estimated: bool = False
    ) -> None:
        """Charge what the effect used, or its reservation where that cannot be known or believed; release the rest."""
        amount = hold.amount if hold is not None else Amount(0, 0)
        counts: tuple[int, ...] = (amount.tokens, 0, 0, amount.cost) if estimated else (0, 0, 0, 0)
        if usage is not None:
            found = measured(usage)
            if isinstance(found, str):
                counts = (amount.tokens, 0, 0, amount.cost)
                estimated = True
                self._alert(node, entry, found)
            else:
                counts = tuple(found)
        entry.tokens, entry.input_tokens, entry.output_tokens, entry.cost = counts
        entry.reserved_tokens = entry.reserved_cost = 0
        self._charge(node, entry, hold, counts, estimated=estimated)
        if hold is not None:
            node.holds.pop(entry.position, None)
            hold.account.settle()
            for folio in hold.folios:
                folio.account.settle()
            self._engine.durability.touch(node)
            self._engine.touch_lenders(node)

    def abandon(self, node: Node) -> None:
        """Charge effects that are left while they run: what they used cannot be known, so each costs its reservation (L27)."""
        running = dict(node.holds)
        for entry, hold in running.values():
            self.abandon_one(node, entry, hold)
        if node.entrusted is not None:
            # No flush: this is part of an ending, which is one event. What was charged since is known by its position.
            charged = node.entrusted | running.keys()
            for entry in self._engine.store.journal(node.record.n, node.record.generation):
                if entry.ended_at is None and entry.position not in charged:
                    self.charge_unrecorded(node, entry)

    def abandon_one(self, node: Node, entry: JournalRecord, hold: Hold) -> None:
        """Charge one effect that was left while it ran."""
        leave(node, entry, "The execution stopped waiting while this ran", self._engine.clock.now())
        left_running(entry)
        self.settle(hold, node, entry, None, estimated=True)
        self._engine.durability.amend(entry)
        self._engine.audit.returned(node.id, entry)

    def entrust(self, node: Node) -> None:
        """The code is left and will run again: reservations of open effects stay with the execution until then (L27)."""
        for _, hold in node.holds.values():
            for own, held in ((node.account.tokens, hold.account.tokens), (node.account.cost, hold.account.cost)):
                own.unused += held.unused
                held.unused = 0
            self._entrust_folios(node, hold)
        if node.holds:
            node.entrusted = (node.entrusted or set()) - node.holds.keys()
            node.holds.clear()

    def _entrust_folios(self, node: Node, hold: Hold) -> None:
        """The same with the budgets of departments; what was reserved in a later period goes back to the execution's own."""
        for folio, held in zip(node.folios, hold.folios, strict=True):
            left = Amount(held.account.tokens.unused, held.account.cost.unused)
            if held.span == folio.span:
                held.account.tokens.unused = held.account.cost.unused = 0
                folio.account.tokens.unused += left.tokens
                folio.account.cost.unused += left.cost
            else:
                held.account.settle()
                folio.account.reserve(left)

    async def report(self, run: Run, usage: Usage, entry: JournalRecord) -> None:
        """`charge(Usage(...))`: count it, then fail or suspend where it has passed the limit."""
        self.settle(None, run.node, entry, usage)
        await self.stay_within(run, "charge()")

    async def stay_within(self, run: Run, effect: str) -> None:
        """Fail or suspend, as the budget says, where what was counted has passed a limit, the root's or a department's (L26)."""
        node = run.node
        for account, folio in [(node.account, None), *((each.account, each) for each in self._folios(node, NOTHING))]:
            for unit, pool in (("tokens", account.tokens), ("cost", account.cost)):
                room = pool.headroom()
                if room is not None and room < 0:
                    await self._exhausted(run, Refusal(unit, -room, room), effect, folio, taken=True)

    def charge_unrecorded(self, node: Node, entry: JournalRecord) -> None:
        """A metered effect found open after a crash: its reservation is charged, marked as estimated (L27)."""
        counts = (entry.reserved_tokens, 0, 0, entry.reserved_cost)
        if any(counts):
            entry.tokens, entry.cost = entry.tokens + entry.reserved_tokens, entry.cost + entry.reserved_cost
            entry.reserved_tokens = entry.reserved_cost = 0
            if node.entrusted is not None:
                node.entrusted.add(entry.position)
            self._engine.durability.amend(entry)
            self._charge(node, entry, None, counts, estimated=True)

    def _charge(
        self, node: Node, entry: JournalRecord, hold: Hold | None, counts: tuple[int, ...], *, estimated: bool
    ) -> None:
        if not any(counts):
            return
        tokens, input_tokens, output_tokens, cost = counts
        record = node.record
        record.tokens += tokens
        record.input_tokens += input_tokens
        record.output_tokens += output_tokens
        record.cost += cost
        record.estimated = record.estimated or estimated
        amount = Amount(tokens, cost)
        (hold.account if hold is not None else node.account).spend(amount)
        if node.folios and self._engine.books is not None:
            folios = hold.folios if hold is not None else self._folios(node, amount)
            for ledger in self._engine.books.charge(folios, amount):
                self._engine.durability.ledger(ledger)
        self._engine.durability.usage(self._billed(node, entry), counts)
        self._engine.durability.touch(node)
        self._engine.touch_lenders(node)
        above: Node | None = node
        while above is not None:
            above.subtree = tuple(map(add, above.subtree, counts))
            above = above.parent

    def _billed(self, node: Node, entry: JournalRecord) -> UsageKey:
        """Whose usage it is: the execution's own, and caused by its root (L31)."""
        record, root = node.record, node.trace.root.record
        return UsageKey(
            self._engine.clock.now() // _DAY_MS,
            record.tenant or "",
            record.department or "",
            record.process,
            record.version,
            entry.name if entry.kind is EffectKind.MODEL else "",
            root.department or "",
            root.process,
            root.version,
        )

    def _alert(self, node: Node, entry: JournalRecord, why: str) -> None:
        details = {"effect": entry.name, "position": entry.position, "why": why, "charged": "its reservation"}
        message = (
            f"{entry.kind} {entry.name!r} reported usage that cannot be believed ({why}); its reservation was charged"
        )
        self._engine.alert(node, "usage_rejected", message, details, f"at {entry.position}")


def _exhausted(node: Node, refusal: Refusal, effect: str, folio: Folio | None, *, taken: bool) -> ErrorInfo:
    """The error of an effect that wants more than is left, or has taken more than there was."""
    wanted, left = refusal.spelled()
    said = folio.said() if folio is not None else {}
    whose = f" of department {said['department']!r} for the {said['period']}" if said else ""
    message = f"{effect} needs {wanted} {refusal.unit}; the budget{whose} has {left} left"
    if taken:
        message = f"{effect} has taken {wanted} {refusal.unit} more than the budget{whose} had"
    details = {"unit": refusal.unit, "needed": wanted, "headroom": left, "effect": effect, **said}
    return ErrorInfo(ErrorClass.DOMAIN, "budget_exhausted", message, details, node.id, node.record.attempt)
