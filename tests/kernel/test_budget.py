"""The ledger of a trace against one that recomputes everything by summing (L24, L25, L26, L27)."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from remit.kernel.budget import Account, Pool, Refusal
from remit.kernel.usage import NOTHING, Amount
from tests.kernel.reference_ledger import Ledger

limits = st.none() | st.integers(0, 120)
amounts = st.integers(0, 60)


class AnyTree(RuleBasedStateMachine):
    """Executions that call, use and end in any order, on the pools and on the reference."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.pools: list[Pool] = []

    def _add(self, parent: int | None, limit: int | None) -> None:
        self.ledger.add(parent, limit)
        self.pools.append(Pool(None if parent is None else self.pools[parent], limit))

    def _open(self) -> list[int]:
        return [number for number, entry in enumerate(self.ledger.entries) if not entry.settled]

    @initialize(limit=limits)
    def begin(self, limit: int | None) -> None:
        self._add(None, limit)

    @precondition(lambda self: self._open())
    @rule(data=st.data(), estimate=amounts, limit=limits)
    def call(self, data: st.DataObject, estimate: int, limit: int | None) -> None:
        """A call: admitted where the estimate fits, refused where it does not; a refusal takes nothing."""
        caller = data.draw(st.sampled_from(self._open()))
        estimate = Amount(estimate, 0).within(limit, None).tokens
        room = self.ledger.headroom(caller)
        if room is not None and (estimate > room or room <= 0):
            return
        before = [(self.ledger.spent(each) + self.ledger.held(each)) for each in self.ledger.path(caller)]
        self._add(caller, limit)
        self.ledger.reserve(len(self.pools) - 1, estimate)
        self.pools[-1].reserve(estimate)
        for number, committed in zip(self.ledger.path(caller), before, strict=True):
            ceiling, pool = self.ledger.entries[number].limit, self.pools[number]
            assert ceiling is None or pool.spent + pool.held <= max(ceiling, committed), "an admission passed a limit"

    @precondition(lambda self: self._open())
    @rule(data=st.data(), amount=amounts)
    def use(self, data: st.DataObject, amount: int) -> None:
        """Reported usage, even beyond what was reserved."""
        name = data.draw(st.sampled_from(self._open()))
        self.ledger.spend(name, amount)
        self.pools[name].spend(amount)

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """An end, in any order, a second one of the same execution included."""
        name = data.draw(st.sampled_from(range(len(self.pools))))
        self.ledger.settle(name)
        self.pools[name].settle()

    @invariant()
    def agrees_with_the_sums(self) -> None:
        for number, (pool, entry) in enumerate(zip(self.pools, self.ledger.entries, strict=True)):
            assert (pool.unused, pool.settled) == (entry.unused, entry.settled)
            assert pool.spent == self.ledger.spent(number)
            assert pool.held == self.ledger.held(number)
            assert pool.headroom() == self.ledger.headroom(number)

    @invariant()
    def nothing_is_negative(self) -> None:
        assert all(min(pool.unused, pool.held, pool.spent, pool.estimate) >= 0 for pool in self.pools)


class MeteredTree(AnyTree):
    """The same where nothing is used that was not reserved first: then no limit is ever passed (L26)."""

    @precondition(lambda self: self._open())
    @rule(data=st.data(), amount=amounts)
    def use(self, data: st.DataObject, amount: int) -> None:
        name = data.draw(st.sampled_from(self._open()))
        room = self.pools[name].headroom()
        granted = amount if room is None else max(0, min(amount, room))
        self.ledger.spend(name, granted)
        self.pools[name].spend(granted)

    @invariant()
    def no_limit_is_passed(self) -> None:
        assert all(pool.limit is None or pool.spent + pool.held <= pool.limit for pool in self.pools)


quick = settings(stateful_step_count=25)
AnyTree.TestCase.settings = MeteredTree.TestCase.settings = quick
test_L24_L25_any_tree_agrees_with_a_ledger_that_sums = AnyTree.TestCase  # noqa: N816 - it names its laws
test_L26_metered_work_never_passes_a_limit = MeteredTree.TestCase  # noqa: N816 - it names its law


def account(
    parent: Account | None = None, tokens: int | None = None, cost: int | None = None, estimate: Amount = NOTHING
) -> Account:
    """An account with its reservation taken."""
    made = Account(parent, tokens, cost)
    made.reserve(estimate)
    return made


@pytest.mark.parametrize(
    ("estimate", "refusal"),
    [
        (NOTHING, None),
        (Amount(60, 400), None),
        (Amount(61, 0), Refusal("tokens", 61, 60)),
        (Amount(0, 401), Refusal("cost", 401, 400)),
        (Amount(61, 401), Refusal("tokens", 61, 60)),
    ],
)
def test_L25_an_estimate_beyond_the_headroom_is_refused(estimate: Amount, refusal: Refusal | None) -> None:
    root = account(tokens=100, cost=1_000)
    account(root, estimate=Amount(30, 500))
    root.spend(Amount(10, 100))
    assert root.refusal(estimate) == refusal


@pytest.mark.parametrize("unit", ["tokens", "cost"])
def test_L25_without_headroom_even_a_call_that_needs_nothing_is_refused(unit: str) -> None:
    root = account(tokens=100, cost=100)
    root.spend(Amount(**{"tokens": 0, "cost": 0, unit: 100}))
    assert root.refusal(NOTHING) == Refusal(unit, 0, 0)
    root.spend(Amount(**{"tokens": 0, "cost": 0, unit: 7}))
    assert root.refusal(NOTHING) == Refusal(unit, 0, -7)


def test_L24_without_a_limit_nothing_is_refused_and_all_is_metered() -> None:
    root = account()
    child = account(root, estimate=Amount(10**9, 10**9))
    child.spend(Amount(2 * 10**9, 5))
    assert root.refusal(Amount(10**12, 10**12)) is None
    assert root.overdrawn(Amount(10**12, 10**12)) is None
    assert (root.tokens.spent, root.cost.spent) == (2 * 10**9, 5)


@pytest.mark.parametrize(
    ("maximum", "refusal"),
    [
        (NOTHING, None),
        (Amount(10, 0), None),
        (Amount(11, 0), Refusal("tokens", 11, 10)),
        (Amount(0, 1), Refusal("cost", 1, 0)),
        (Amount(11, 1), Refusal("tokens", 11, 10)),
    ],
)
def test_L26_an_effect_starts_only_where_its_maximum_fits(maximum: Amount, refusal: Refusal | None) -> None:
    root = account(tokens=10, cost=0)
    assert root.overdrawn(maximum) == refusal


def test_L25_a_reservation_below_draws_on_the_nearest_unused_one_first() -> None:
    root = account(tokens=100)
    parent = account(root, estimate=Amount(50, 0))
    child = account(parent, estimate=Amount(30, 0))
    assert (parent.tokens.unused, child.tokens.unused, root.tokens.held) == (20, 30, 50)
    grandchild = account(child, estimate=Amount(45, 0))
    assert (child.tokens.unused, parent.tokens.unused, grandchild.tokens.unused, root.tokens.held) == (0, 5, 45, 50)
    account(child, estimate=Amount(15, 0))
    assert (parent.tokens.unused, root.tokens.held, root.tokens.headroom()) == (0, 60, 40)


def test_L24_once_late_usage_has_passed_the_limit_no_reservation_admits_anything() -> None:
    root = Account(None, limit_tokens=100)
    below = Account(root)
    below.reserve(Amount(50, 0))
    assert Account(below).refusal(Amount(50, 0)) is None
    root.spend(Amount(80, 0))  # reported, not reserved: 80 spent and 50 held are more than 100
    assert Account(below).refusal(Amount(1, 0)) == Refusal("tokens", 1, -30)
    assert Account(below).overdrawn(Amount(1, 0)) == Refusal("tokens", 1, -30)


def test_L24_a_cap_below_only_narrows() -> None:
    root = account(tokens=100)
    narrow = account(root, tokens=20)
    wide = account(root, tokens=1_000)
    assert (narrow.tokens.headroom(), wide.tokens.headroom()) == (20, 100)
    root.spend(Amount(95, 0))
    assert (narrow.tokens.headroom(), wide.tokens.headroom()) == (5, 5)


@pytest.mark.parametrize(
    ("estimate", "tokens", "cost", "within"),
    [
        (Amount(5, 6), None, None, Amount(5, 6)),
        (Amount(5, 6), 3, None, Amount(3, 6)),
        (Amount(5, 6), None, 2, Amount(5, 2)),
        (Amount(5, 6), 9, 9, Amount(5, 6)),
    ],
)
def test_L25_more_than_its_cap_is_reserved_for_nobody(
    estimate: Amount, tokens: int | None, cost: int | None, within: Amount
) -> None:
    assert estimate.within(tokens, cost) == within


def test_L25_settling_an_account_releases_the_rest_once() -> None:
    root = account(tokens=100, cost=100)
    parent = account(root, estimate=Amount(50, 40))
    child = account(parent, estimate=Amount(30, 40))
    child.spend(Amount(10, 5))
    for _ in range(3):
        child.settle()
    assert (parent.tokens.unused, parent.cost.unused) == (40, 35)
    for _ in range(3):
        parent.settle()
    assert (root.tokens.held, root.tokens.headroom(), root.cost.held, root.cost.headroom()) == (0, 90, 0, 95)


def test_L25_what_a_settled_lender_lent_goes_to_the_headroom() -> None:
    root = account(tokens=100)
    parent = account(root, estimate=Amount(50, 0))
    detached = account(parent, estimate=Amount(30, 0))
    parent.settle()
    assert root.tokens.held == 30
    detached.settle()
    assert (parent.tokens.unused, root.tokens.held, root.tokens.headroom()) == (0, 0, 100)


def test_L25_who_lent_is_recorded_and_gets_the_rest_back_all_the_same() -> None:
    root = account(tokens=100, cost=100)
    top = account(root, estimate=Amount(40, 0))
    parent = account(top, estimate=Amount(30, 20))
    child = account(parent, estimate=Amount(35, 30))
    assert (parent.lent(), child.lent()) == ([(1, 30, 0)], [(1, 30, 20), (2, 5, 0)])
    again = Account(parent)
    for name in ("tokens", "cost"):
        old, new = getattr(child, name), getattr(again, name)
        new.estimate, new.unused, new.held = old.estimate, old.unused, old.held
    again.owe(child.lent())
    again.spend(Amount(10, 4))
    again.settle()
    assert (parent.tokens.unused, top.tokens.unused, parent.cost.unused) == (20, 10, 16)
    assert account(root).lent() == []


def test_L27_what_was_spent_stays_spent_when_its_account_is_settled() -> None:
    root = account(tokens=100)
    child = account(root, estimate=Amount(10, 0))
    child.spend(Amount(25, 0))
    child.settle()
    assert (root.tokens.spent, root.tokens.held, root.tokens.headroom()) == (25, 0, 75)


def test_L27_figure_03_adds_up() -> None:
    """Own usage of each execution; 38,200 below the second already holds the 22,100 and 16,100 of its children."""
    root = account(tokens=100_000, cost=10_000_000)
    allocation, payment = account(root), account(root)
    stock, carrier = account(allocation), account(allocation)
    for each, tokens in ((root, 12_400), (stock, 22_100), (carrier, 16_100), (payment, 34_100)):
        each.spend(Amount(tokens, tokens * 10))
    assert (allocation.tokens.spent, root.tokens.spent, root.cost.spent) == (38_200, 84_700, 847_000)
    assert root.tokens.headroom() == 15_300
