"""Numbers and texts that one side gives and the other does not take (L41)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from remit.kernel.contract.gaps import Comparing, Form, Gap, unclear
from remit.kernel.contract.shapes import INFINITE, Bound, Shape
from remit.kernel.contract.texts import EXAMPLES
from remit.kernel.contract.values import Sampled, branch_accepts, least_step, no_number, numbers_between, samples
from remit.kernel.contract.words import text_of, worded

__all__ = ["number_gaps", "text_gaps"]

_LENGTH_SHOWN_MAX = 400
_TEXTS = ("", "x", "0", "A", "?", "x x", "xxxxxxxxxx", "-1.5")


def _shown(values: Iterable[Any], given: Shape, taken: Shape) -> Sampled:
    """The first of these values that the one side gives and the other does not take."""
    return next(
        (
            (each,)
            for each in values
            if branch_accepts(given.branch, each) and branch_accepts(taken.branch, each) is False
        ),
        (),
    )


def number_gaps(_comparing: Comparing, given: Shape, taken: Shape) -> Iterator[Gap]:
    """Numbers outside the range, and those that are no multiple."""
    step = least_step(given.steps)
    below = min(given.high, Bound(taken.low.at, not taken.low.open), key=lambda end: (end.at, not end.open))
    if taken.low.at != -INFINITE and not no_number(given.low, below, step):
        shown = _shown(numbers_between(given.low, below, step), given, taken)
        how = "of at most" if taken.low.open else "below"
        yield Gap(Form.VALUE, (f"a number {how} {taken.low.at}",), worded(taken), shown)
    above = max(given.low, Bound(taken.high.at, not taken.high.open))
    if taken.high.at != INFINITE and not no_number(above, given.high, step):
        shown = _shown(numbers_between(above, given.high, step), given, taken)
        how = "of at least" if taken.high.open else "above"
        yield Gap(Form.VALUE, (f"a number {how} {taken.high.at}",), worded(taken), shown)
    for each in taken.steps:
        if step is None or (step / each).denominator != 1:
            shown = _shown((0.5, 1, *numbers_between(given.low, given.high, step)), given, taken)
            words = "a number that is not whole" if each == 1 else f"a number that is no multiple of {each}"
            yield Gap(Form.VALUE, (words,), worded(taken), shown, certain=bool(shown))


def text_gaps(_comparing: Comparing, given: Shape, taken: Shape) -> Iterator[Gap]:
    """Texts that are too short or too long, and those that are not written as they must be."""
    certain = not given.patterns and not given.formats  # else the pattern may keep to it
    if given.shortest < taken.shortest:
        shown = _shown((*samples(given), "x" * min(given.shortest, _LENGTH_SHOWN_MAX)), given, taken)
        words = f"a text of fewer than {taken.shortest} characters"
        yield Gap(Form.VALUE, (words,), worded(taken), shown, certain or bool(shown))
    if given.longest > taken.longest:
        longer = "x" * (int(taken.longest) + 1) if taken.longest < _LENGTH_SHOWN_MAX else ""
        shown = _shown((longer, *(each + longer for each in samples(given)), *samples(given)), given, taken)
        words = f"a text of more than {int(taken.longest)} characters"
        yield Gap(Form.VALUE, (words,), worded(taken), shown, certain or bool(shown))
    for pattern in taken.patterns:
        if pattern not in given.patterns:
            yield _unlike(f"like {pattern}", given, taken)
    for name in taken.formats:
        if not given.in_format(name):
            yield _unlike(f"in the format {name}", given, taken)


def _unlike(how: str, given: Shape, taken: Shape) -> Gap:
    """Which texts are of one kind and not of another cannot be worked out; some of them can be tried."""
    shown = _shown((*samples(given), *_TEXTS, *EXAMPLES.values()), given, taken)
    if not shown:
        return unclear(f"whether {worded(given)} is always {how} cannot be told")
    return Gap(Form.VALUE, (f"a text such as {text_of(shown[0])}",), worded(taken), shown)
