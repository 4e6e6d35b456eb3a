"""Whether everything that one schema allows is allowed by another, and if not, where (L41).

Recursive types are compared by assuming, while a pair is being compared, that it fits: a value is finite, and each time round
is one level further down in it. What was found under an assumption that turned out false is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from remit.kernel.contract.apart import apart
from remit.kernel.contract.gaps import Comparing, Form, Gap, merged, some, unclear
from remit.kernel.contract.lists import list_gaps
from remit.kernel.contract.objects import object_gaps
from remit.kernel.contract.scalars import number_gaps, text_gaps
from remit.kernel.contract.schema import Branch, Conjunction, alike, followed
from remit.kernel.contract.shapes import Shape, kinds, shape, shapes
from remit.kernel.contract.values import accepts, branch_accepts, equal, sample, samples
from remit.kernel.contract.words import listing, said, text_of, worded

__all__ = ["PAIRS_MAX", "Comparison"]

PAIRS_MAX = 20_000
LEVELS_MAX = 48
Key = tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]


class Comparison:
    """One comparison of two documents. `lenient`: what is given names no field that only the other side declares."""

    def __init__(self, *, lenient: bool = False) -> None:
        self.lenient = lenient
        self._known: dict[Key, list[Gap]] = {}
        self._open: dict[Key, int] = {}
        self._assumed: list[Key] = []
        self._level = 0
        self._pairs = 0

    def gaps(self, given: Conjunction, taken: Conjunction) -> list[Gap]:
        """Where something is given that is not taken; empty only if everything is."""
        given, taken = followed(given), followed(taken)
        if not taken or alike(given, taken):
            return []
        key = _key(given, taken)
        if key in self._known:
            return self._known[key]
        if key in self._open:
            return [] if self._open[key] < self._level else [unclear("it refers to itself without end")]
        self._pairs += 1
        if self._pairs > PAIRS_MAX or self._level > LEVELS_MAX:
            return [unclear("the schemas are too large to be compared")]
        return self._compared(key, given, taken)

    def below(self, given: Conjunction, taken: Conjunction) -> list[Gap]:
        """The gaps of a field or an item."""
        self._level += 1
        found = self.gaps(given, taken)
        self._level -= 1
        return found

    def _compared(self, key: Key, given: Conjunction, taken: Conjunction) -> list[Gap]:
        self._open[key] = self._level
        mark = len(self._assumed)
        several = shapes(given)
        found = merged(gap for one in several for gap in self._uncovered(one, taken, alone=len(several) == 1))
        del self._open[key]
        if found:
            for each in self._assumed[mark:]:
                del self._known[each]
            del self._assumed[mark:]
        else:
            self._assumed.append(key)
        self._known[key] = found
        return found

    def _uncovered(self, given: Shape, taken: Conjunction, *, alone: bool = False) -> list[Gap]:
        """What one alternative, perhaps the only one, gives that none on the other side takes."""
        if given.listed is not None:
            return list(_untaken(given, taken))
        there = [each for each in shapes(taken) if each.kind == given.kind]
        open_ended = [each for each in there if each.listed is None]
        candidates = [each for each in open_ended if (alone and len(open_ended) == 1) or not _told_apart(given, each)]
        if not candidates:
            gap = _other_tag(given, open_ended) if open_ended else _other_kind(given, taken)
            return self._settled(given, taken, [gap], sure=len(there) == len(open_ended))
        found: list[list[Gap]] = []
        for each in candidates:
            gaps = self._between(given, each)
            if not gaps:
                return []
            found.append(gaps)
        if len(there) > 1:
            parted = _parted(given, candidates)
            if parted:
                return [gap for each in parted for gap in self._uncovered(each, taken)]
        least = min(found, key=lambda gaps: (len(gaps), -_refused(gaps, taken)))
        return self._settled(given, taken, least, sure=len(there) == 1)

    def _between(self, given: Shape, taken: Shape) -> list[Gap]:
        """What one alternative gives that another of the same kind does not take."""
        self._pairs += 1
        named = given.branch.parts, taken.branch.parts
        if _is_whole(given) and _is_whole(taken) and self._open.get(_key(*named)) != self._level:
            return self.gaps(*named)  # one definition is compared with another once
        if taken.branch.blind:
            return [unclear(taken.branch.blind)]
        found = list(_unread(given, taken))
        found += _OF_KIND[given.kind](self, given, taken)
        return found or list(self._excluded(given, taken))

    def _excluded(self, given: Shape, taken: Shape) -> Iterator[Gap]:
        """What both exclude, and what is not given anyway, need not be excluded."""
        for each in taken.branch.excluded:
            if not apart(given, each) and all(self.gaps(each, other) for other in given.branch.excluded):
                yield _excluded_value(given, taken, each)

    def _settled(self, given: Shape, taken: Conjunction, gaps: list[Gap], *, sure: bool) -> list[Gap]:
        """Gaps that a value shows stay certain; where other alternatives may take it, the others do not."""
        branch = given.branch
        if any(not self._uncovered(shape(Branch(branch.parts), given.kind), each) for each in branch.excluded):
            return []  # all of it is excluded
        sure = sure and not branch.blind and not given.written
        sure = sure and all(apart(given, each) for each in branch.excluded)
        return [_confirmed(each, given, taken, sure=sure) for each in gaps]


def _key(given: Conjunction, taken: Conjunction) -> Key:
    return tuple(each.key for each in given), tuple(each.key for each in taken)


def _is_whole(one: Shape) -> bool:
    """Whether an alternative is one part of a schema and nothing else."""
    return len(one.parts) == 1 and not one.branch.excluded and not one.branch.blind and len(kinds(one.branch)) == 1


def _refused(gaps: list[Gap], taken: Conjunction) -> int:
    """How many of the gaps have a witness that none of the alternatives takes."""
    return sum(accepts(taken, value) is False for gap in gaps for value in gap.witness)


def _excluded_value(given: Shape, taken: Shape, excluded: Conjunction) -> Gap:
    shown = sample((*given.parts, *excluded))
    if shown and branch_accepts(given.branch, shown[0]) and branch_accepts(taken.branch, shown[0]) is False:
        return Gap(Form.VALUE, (text_of(shown[0]),), f"what is not {said(excluded)}", shown)
    return unclear(f"it must not be {said(excluded)} as well")


def _confirmed(gap: Gap, given: Shape, taken: Conjunction, *, sure: bool) -> Gap:
    if gap.certain and sure:
        return gap
    witness = gap.witness or some(given)
    shows = bool(witness) and bool(branch_accepts(given.branch, witness[0])) and accepts(taken, witness[0]) is False
    if not shows:
        return _in_doubt(gap, given)
    if gap.form is Form.UNCLEAR and not gap.path:
        return Gap(Form.VALUE, (text_of(witness[0]),), said(taken), witness)
    return replace(gap, certain=True, witness=witness) if gap.form is not Form.UNCLEAR else gap


def _in_doubt(gap: Gap, given: Shape) -> Gap:
    why = given.branch.blind or next((f"`{keyword}` is not understood" for keyword, _ in sorted(given.foreign)), "")
    return unclear(why) if why else gap.doubted()


def _untaken(given: Shape, taken: Conjunction) -> Iterator[Gap]:
    """The values of a list that are not taken."""
    for value in given.listed or ():
        fits = branch_accepts(given.branch, value)
        if fits is False:
            continue
        verdict = accepts(taken, value)
        if verdict is not True:
            gap = Gap(Form.VALUE, (text_of(value),), said(taken), (value,))
            yield gap if verdict is False and fits else _in_doubt(gap, given)


def _other_kind(given: Shape, taken: Conjunction) -> Gap:
    refused = (each for each in samples(given) if accepts(taken, each) is False)
    return Gap(Form.VALUE, (worded(given),), said(taken), next(((each,) for each in refused), ()))


def _told_apart(given: Shape, taken: Shape) -> bool:
    """Whether a field that both always have tells them apart."""
    if given.kind != "object":
        return False
    both = given.tags.keys() & taken.tags.keys()
    return any(not any(equal(one, other) for one in given.tags[name] for other in taken.tags[name]) for name in both)


def _other_tag(given: Shape, others: list[Shape]) -> Gap:
    """None of the alternatives has what is in this one's field."""
    name = next(name for name in given.tags if all(name in each.tags for each in others))
    there = listing(value for each in others for value in each.tags[name])
    return Gap(Form.VALUE, tuple(map(text_of, given.tags[name])), there, some(given), path=(name,))


def _parted(given: Shape, candidates: list[Shape]) -> list[Shape]:
    """An alternative for each value of the field that tells the others apart."""
    names = given.tags if given.kind == "object" else ()
    parting = [name for name in names if len(given.tags[name]) > 1 and all(name in each.tags for each in candidates)]
    if not parting:
        return []
    branch, document = given.branch, given.parts[0].document
    made = [document.make({"properties": {parting[0]: {"const": value}}}) for value in given.tags[parting[0]]]
    found = [shape(Branch((*branch.parts, each), branch.excluded, branch.blind), given.kind) for each in made]
    return [each for each in found if not each.empty]


def _unread(given: Shape, taken: Shape) -> Iterator[Gap]:
    """Keywords that are compared only as they are written."""
    for keyword, _ in sorted((taken.written - given.written) | (given.foreign - taken.foreign)):
        yield unclear(f"`{keyword}` is not understood")


_OF_KIND: dict[str, Callable[[Comparing, Shape, Shape], Iterator[Gap]]] = {
    "number": number_gaps,
    "string": text_gaps,
    "array": list_gaps,
    "object": object_gaps,
}
