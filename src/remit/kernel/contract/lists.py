"""Lists that one side gives and the other does not take (L41)."""

from __future__ import annotations

from collections.abc import Iterator

from remit.kernel.contract.gaps import Comparing, Form, Gap, shown_in_list, some
from remit.kernel.contract.schema import impossible
from remit.kernel.contract.shapes import Shape
from remit.kernel.contract.values import Sampled, sample

__all__ = ["list_gaps"]


def list_gaps(comparing: Comparing, given: Shape, taken: Shape) -> Iterator[Gap]:
    """Lists of another length, with equal items, or with items that are not taken."""
    if given.fewest < taken.fewest:
        yield Gap(Form.VALUE, (f"a list of fewer than {taken.fewest} items",), _at_least(taken), some(given))
    if given.greatest > taken.greatest:
        words = f"a list of more than {int(taken.greatest)} items"
        yield Gap(Form.VALUE, (words,), f"at most {int(taken.greatest)}", _long(given, int(taken.greatest) + 1))
    if taken.unique and not given.unique and given.greatest > 1:
        shown = _twice(given)
        yield Gap(Form.VALUE, ("a list with equal items",), "items that all differ", shown, certain=bool(shown))
    for at in range(max(given.places, taken.places) + 1):
        if at >= given.greatest or impossible(taken.item(at)):
            break  # the lengths have told it
        further = at >= max(given.places, taken.places)
        show = shown_in_list(given, at)
        for gap in comparing.below(given.item(at), taken.item(at)):
            yield gap.below("*" if further else str(at), show)


def _at_least(taken: Shape) -> str:
    return f"at least {taken.fewest}"


def _long(given: Shape, count: int) -> Sampled:
    """A list of just so many items."""
    last = sample(given.item(count - 1)) if count <= _ITEMS_SHOWN_MAX and not given.unique else ()
    return shown_in_list(given, count - 1)(last[0]) if last else ()


def _twice(given: Shape) -> Sampled:
    """A list whose first two items are equal."""
    first = sample(given.item(1))
    if not first:
        return ()
    for base in shown_in_list(given, 1)(first[0]):
        return ([first[0], *base[1:]],)
    return ()


_ITEMS_SHOWN_MAX = 20
